import Base
import Cryptography
import IKE
import Profiles
import Testing
import Tunnels

@Suite struct ImportProfileTests {
    @Test func theAWSProfileIsCompleteAndConsistent() throws {
        let aws = try VendorProfile.aws()
        #expect(aws.vendor == "aws")
        #expect(Set(aws.permitted.phase1Groups.map(\.rawValue)) == Set([2] + Array(14...24)))
        #expect(Set(aws.permitted.phase2Groups.map(\.rawValue)) == Set([2, 5] + Array(14...24)))
        #expect(aws.encryption("AES256-GCM-16") == .aes256gcm16)
        #expect(aws.integrity("sha2-512") == .sha512)
        #expect(aws.encryption("3DES") == nil)
        #expect(aws.defaults.phase1LifetimeSeconds == 28_800)
        #expect(aws.ours.dpd == Phase1.DPD(delaySeconds: 10, timeoutSeconds: 30, action: .restart))
        #expect(aws.tunnelInterface.reservedInside.count == 7)
    }

    @Test(arguments: [
        ("phase1LifetimeSeconds: 28800", "phase1LifetimeSeconds: 90000", "default phase 1 lifetime"),
        ("phase1RekeyMarginSeconds: 800", "phase1RekeyMarginSeconds: 100", "not ahead"),
        ("ikeVersion: 2", "ikeVersion: 3", "IKE version"),
        ("[20, 21, 19, 16, 15, 14, 17, 18, 24, 23, 22, 2]", "[20, 20]", "twice"),
        ("as: [AES128]}", "as: [AES256]}", "two algorithms"), ("name: aes128,", "name: rot13,", "cannot be read"),
        ("vendor: aws", "vendr: aws", "cannot be read"),
    ])
    func refusesAnInconsistentProfile(old: String, new: String, reason: String) throws {
        let changed = Profiles.aws.replacing(old, with: new)
        #expect(changed != Profiles.aws)
        let error = #expect(throws: VendorProfile.Invalid.self) { try VendorProfile(yaml: changed) }
        #expect(error?.description.contains(reason) == true)
    }

    @Test func tunnelMTUEqualsTheTableThatAWSPublishes() throws {
        let aws = try VendorProfile.aws()
        #expect(aws.mtuTable.count == 10)
        for row in aws.mtuTable {
            let suite = ESPSuite(encryption: row.encryption, integrity: row.integrity, group: nil, esn: false)
            let plain = TunnelMTU.forSuite(suite, isUDPEncapsulated: false, outsideFamily: .ipv4)
            let encapsulated = TunnelMTU.forSuite(suite, isUDPEncapsulated: true, outsideFamily: .ipv4)
            #expect(plain == TunnelMTU(mtu: row.plain, mss: row.plain - 40))
            #expect(encapsulated == TunnelMTU(mtu: row.natTraversal, mss: row.natTraversal - 40))
            #expect(plain.mtu <= aws.tunnelInterface.maximumMTU)
        }
        #expect(TunnelMTU.awsMaximum == aws.tunnelInterface.maximumMTU)
    }

    @Test func everySuiteFitsThePathAndNotOneBlockMore() {
        for encryption in EncryptionAlgorithm.allCases {
            for integrity in IntegrityAlgorithm.allCases {
                for encapsulated in [false, true] {
                    for family in IPAddress.Family.allCases {
                        let suite = ESPSuite(
                            encryption: encryption, integrity: encryption.isAEAD ? nil : integrity, group: nil,
                            esn: true)
                        let mtu = TunnelMTU.forSuite(suite, isUDPEncapsulated: encapsulated, outsideFamily: family).mtu
                        let block = max(4, encryption.blockLength)
                        // RFC 4303: header 8, IV, payload with padding and 2 bytes of trailer, check value.
                        func onTheWire(_ inner: Int) -> Int {
                            (family == .ipv4 ? 20 : 40) + (encapsulated ? 8 : 0) + 8 + encryption.ivLength
                                + (inner + 2 + block - 1) / block * block
                                + (encryption.isAEAD ? encryption.tagLength : integrity.tagLength)
                        }
                        #expect(onTheWire(mtu) <= 1500)
                        #expect(onTheWire(mtu + 1) > 1500 || mtu == TunnelMTU.awsMaximum)
                    }
                }
            }
        }
    }

    @Test func takesTheSmallerOfTableAndFile() {
        let table = TunnelMTU(mtu: 1446, mss: 1406)
        #expect(table.limited(toMTU: 1436, mss: 1379) == TunnelMTU(mtu: 1436, mss: 1379))
        #expect(table.limited(toMTU: nil, mss: 1460) == TunnelMTU(mtu: 1446, mss: 1406))
        #expect(table.limited(toMTU: 1400, mss: nil) == TunnelMTU(mtu: 1400, mss: 1360))
        #expect(TunnelMTU(mtu: 1422, mss: 1382).limited(to: nil) == TunnelMTU(mtu: 1422, mss: 1382))
        #expect(table.mss6 == 1386)
    }
}
