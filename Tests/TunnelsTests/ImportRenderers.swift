import Base
import Cryptography
import IKE
import Testing

/// A connection that AWS could have made, to be written in any format and read back.
struct RandomConnection {
    struct Tunnel {
        var remote: String
        var key: String
        /// The last two bytes of 169.254.x.y/30: AWS has the next address, we have the one after.
        var inside: (Int, Int)
        var encryption1: EncryptionAlgorithm
        var integrity1: IntegrityAlgorithm
        var group1: DHGroup
        var lifetime1: Int
        var encryption2: EncryptionAlgorithm
        var integrity2: IntegrityAlgorithm
        var group2: DHGroup
        var lifetime2: Int

        var ours: String { "169.254.\(inside.0).\(inside.1 + 2)" }
        var theirs: String { "169.254.\(inside.0).\(inside.1 + 1)" }
    }

    var id: String
    var gateway: String
    var customer: String
    var local: String
    var version: Int
    var tunnels: [Tunnel]
    var dpdInterval: Int
    var dpdRetries: Int
    var mtu: Int
    var mss: Int
    var localASN: Int
    var remoteASN: Int
    var hold: Int

    init(_ numbers: inout SeededNumbers, sharesTerms: Bool, gcm: Bool) {
        func one<Value>(_ values: [Value]) -> Value { values[Int.random(in: 0..<values.count, using: &numbers)] }
        func digits() -> String {
            String((0..<(one([8, 17]))).map { _ in one(Array("0123456789abcdef")) })
        }
        id = "vpn-" + digits()
        gateway = "vgw-" + digits()
        customer = "cgw-" + digits()
        local = "198.51.100.\(Int.random(in: 1...254, using: &numbers))"
        version = one([1, 2])
        let encryptions: [EncryptionAlgorithm] =
            gcm ? [.aes128, .aes256, .aes128gcm16, .aes256gcm16] : [.aes128, .aes256]
        let groups: [DHGroup] = [2, 14, 15, 16, 19, 20, 21, 24].compactMap(DHGroup.init(rawValue:))
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._")
        var tunnels: [Tunnel] = []
        let hosts = [Int.random(in: 1...120, using: &numbers), Int.random(in: 121...254, using: &numbers)]
        for host in one([hosts, hosts.reversed()]) {
            // AWS's keys may begin with a dot or an underscore; 0 is not permitted.
            let key = "\(one(["K", ".", "_", "7"]))" + String((0..<31).map { _ in one(letters) })
            tunnels.append(
                Tunnel(
                    remote: "203.0.113.\(host)", key: key,
                    inside: (Int.random(in: 6...168, using: &numbers), 4 * Int.random(in: 0...62, using: &numbers)),
                    encryption1: one(encryptions), integrity1: one([.sha1, .sha256, .sha384, .sha512]),
                    group1: one(groups), lifetime1: Int.random(in: 3601...28_800, using: &numbers),
                    encryption2: one(encryptions), integrity2: one([.sha1, .sha256, .sha384, .sha512]),
                    group2: one(groups), lifetime2: Int.random(in: 900...3600, using: &numbers)))
        }
        if tunnels[0].inside == tunnels[1].inside { tunnels[1].inside.0 += 1 }
        if sharesTerms {
            var second = tunnels[0]
            (second.remote, second.key, second.inside) = (tunnels[1].remote, tunnels[1].key, tunnels[1].inside)
            tunnels[1] = second
        }
        self.tunnels = tunnels
        dpdInterval = Int.random(in: 5...20, using: &numbers)
        dpdRetries = Int.random(in: 3...6, using: &numbers)
        mtu = Int.random(in: 1400...1440, using: &numbers)
        mss = Int.random(in: 1300...1350, using: &numbers)
        localASN = Int.random(in: 64512...65534, using: &numbers)
        remoteASN = 64_511
        hold = Int.random(in: 9...90, using: &numbers)
    }

    /// The header of every text download, behind the format's comment mark.
    func header(_ mark: String) -> String {
        """
        \(mark) Amazon Web Services
        \(mark) Your VPN Connection ID                  : \(id)
        \(mark) Your Virtual Private Gateway ID         : \(gateway)
        \(mark) Your Customer Gateway ID                : \(customer)

        """
    }

    func divider(_ mark: String, _ number: Int) -> String {
        "\(mark) ------------------------------\n\(mark) IPSec Tunnel #\(number)\n\(mark) -------------------------\n"
    }

    /// The text of each tunnel behind its divider.
    func each(_ mark: String, _ text: (Int, Tunnel) -> String) -> String {
        var result = header(mark)
        for (index, tunnel) in tunnels.enumerated() {
            result += divider(mark, index + 1) + text(index, tunnel) + "\n"
        }
        return result
    }
}

/// One format: how to write a connection in it, and what of it the format has.
struct ImportRenderer: Sendable, CustomTestStringConvertible {
    enum Value: CaseIterable {
        case identifiers, local, version, inside, mtu, mss, phase1, lifetime1, phase2, lifetime2, dpdInterval
        case dpdRetries, dpdTimeout, bgp, hold
    }

    var name: String
    /// What the format does not write.
    var lacks: Set<Value>
    var sharesTerms = false
    var gcm = false
    var text: @Sendable (RandomConnection) -> String

    var testDescription: String { name }
    func has(_ value: Value) -> Bool { !lacks.contains(value) }
}

/// The vendors' words for algorithms.
enum Words {
    static func bits(_ algorithm: EncryptionAlgorithm) -> Int {
        algorithm == .aes256 || algorithm == .aes256gcm16 ? 256 : 128
    }

    static func isGCM(_ algorithm: EncryptionAlgorithm) -> Bool {
        algorithm == .aes128gcm16 || algorithm == .aes256gcm16
    }

    /// 1, 256, 384 or 512.
    static func hash(_ algorithm: IntegrityAlgorithm) -> Int {
        switch algorithm {
        case .sha1: 1
        case .sha256: 256
        case .sha384: 384
        case .sha512: 512
        }
    }

    /// `aes128`, `aes256gcm128`, `sha256`, `modp2048`.
    static func plain(_ algorithm: EncryptionAlgorithm) -> String {
        "aes\(bits(algorithm))" + (isGCM(algorithm) ? "gcm128" : "")
    }
    static func plain(_ algorithm: IntegrityAlgorithm) -> String { "sha\(hash(algorithm))" }

    /// `aes-128-cbc`, `aes-256-gcm`.
    static func dashed(_ algorithm: EncryptionAlgorithm) -> String {
        "aes-\(bits(algorithm))-" + (isGCM(algorithm) ? "gcm" : "cbc")
    }

    /// `sha`, `sha256`: the word that means SHA-1 where nothing else is said.
    static func short(_ algorithm: IntegrityAlgorithm) -> String {
        algorithm == .sha1 ? "sha" : "sha\(hash(algorithm))"
    }
}
