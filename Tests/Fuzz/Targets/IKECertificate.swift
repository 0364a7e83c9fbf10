import Base
import Cryptography
@testable import IKE

/// What a stranger's IKE_AUTH shows before anyone knows it: IDi, CERT, CERTREQ and AUTH, each as type and
/// length-prefixed body. A type of zero ends the list.
func fuzzIKECertificate(_ bytes: [UInt8]) {
    var input = InputReader(bytes)
    let header = Header(
        initiatorSPI: 1, responderSPI: 2, exchange: ExchangeType.ikeAuth.rawValue, flags: Header.initiatorFlag,
        messageID: 1)
    var writer = MessageWriter(header)
    while case let type = input.byte(), type != 0 {
        let body = input.piece()
        if let known = PayloadType(rawValue: type) { writer.add(known) { $0.append(body) } }
    }
    let message = writer.finish()
    guard let payloads = try? Payloads(first: message[16], message.dropFirst(Header.length)) else { return }
    if let identity = payloads.identityInitiator {
        // What is told of a stranger can be read back, and means the same.
        let again = IKEIdentity(identity.description)
        if case .distinguishedName = identity {
            precondition(again?.matches(identity) == true, "a name that is written in another way than it is read")
        }
        precondition(identity.canonical.matches(identity), "an identity that its canonical form does not match")
    }
    for data in payloads.certificates {
        guard let certificate = try? Certificate(der: data.data) else { continue }
        precondition(certificate.keyHash.count == 20, "a certificate without a key")
        precondition((try? Certificate.list(Array(certificate.pem.utf8))) == [certificate], "PEM that is read otherwise")
        _ = certificate.alternativeNames.map(\.description) + [certificate.serialNumber]
    }
    guard let identity = payloads.identityInitiator, let authentication = payloads.authentication else { return }
    let proof = try? PeerProof.check(
        authentication, identity, payloads.certificates, Workshop.octets, Workshop.credentials, at: Workshop.time)
    if let proof {
        precondition(proof.certificates.first?.der == Workshop.own.der, "someone else's certificate was believed")
    }
}

func ikeCertificateSeeds() -> [[UInt8]] {
    func piece(_ type: UInt8, _ body: [UInt8]) -> [UInt8] {
        [type, UInt8(body.count >> 8), UInt8(body.count & 0xFF)] + body
    }
    let certificate = piece(37, [4] + Workshop.own.der)
    let root = piece(37, [4] + Workshop.root.der)
    let request = piece(38, [4] + Workshop.root.keyHash)
    let signature = (try? Workshop.key.sign(.ecdsa(.sha256), Workshop.octets)) ?? []
    let algorithm = SignatureScheme.ecdsa(.sha256).algorithmIdentifier
    let proof = piece(39, [14, 0, 0, 0, UInt8(algorithm.count)] + algorithm + signature)
    let classic = piece(39, [9, 0, 0, 0] + (Workshop.key.kind.plainECDSA(signature) ?? []))
    let pss = SignatureScheme.pss(.sha256).algorithmIdentifier
    let names: [IKEIdentity] = [
        .fqdn("e.example.org"), .email("o@e.example.org"), .distinguishedName(Workshop.own.subject),
        .ipv4(.v4(0xC000_0201)),
    ]
    var seeds = names.map { piece(35, $0.payloadBody) + certificate + request + proof + [0] }
    seeds.append(piece(35, names[0].payloadBody) + certificate + root + classic + [0])
    seeds.append(piece(35, names[0].payloadBody) + certificate + piece(39, [1, 0, 0, 0] + signature) + [0])
    seeds.append(
        piece(35, names[2].payloadBody) + root + piece(39, [14, 0, 0, 0, UInt8(pss.count)] + pss + signature) + [0])
    seeds.append(piece(35, names[0].payloadBody) + piece(37, [12] + Workshop.root.keyHash) + proof + [0])
    return seeds
}

/// A CA and a peer that it knows. Made with openssl; valid for a hundred years.
private enum Workshop {
    static var octets: [any ByteSource] { [Array("what is signed".utf8)] }
    static let time = WallTime(nanoseconds: 1_800_000_000_000_000_000)
    static let root = certificate(
        """
        -----BEGIN CERTIFICATE-----
        MIIBfjCCASWgAwIBAgIUHBL9zeGTy//irJLK0GSDcUViD6EwCgYIKoZIzj0EAwIw
        DDEKMAgGA1UEAwwBUjAgFw0yNjExMjkwMTIyMjRaGA8yMTI2MTEwNTAxMjIyNFow
        DDEKMAgGA1UEAwwBUjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLq3xYIC8RoX
        lp8ijUxxRsSdv8c+dCouM8eYK7ubZseFc6c8KjheqBmkA6FSUl1IJROuds+cUZIf
        czIVzeL/yQujYzBhMB0GA1UdDgQWBBS1s12JXSfDtWU9cmy0WGh11YeXIDAfBgNV
        HSMEGDAWgBS1s12JXSfDtWU9cmy0WGh11YeXIDAPBgNVHRMBAf8EBTADAQH/MA4G
        A1UdDwEB/wQEAwIBBjAKBggqhkjOPQQDAgNHADBEAiATR+uo/MZ1VZvCPb9ZEkuv
        +dEESlzpKBLclu1DiSPUjgIgAnEfK0diio+vVgmKR8f5Q6jyysggYLMxomBc4j9T
        mS4=
        -----END CERTIFICATE-----
        """)
    static let own = certificate(
        """
        -----BEGIN CERTIFICATE-----
        MIIBtzCCAV6gAwIBAgIBBzAKBggqhkjOPQQDAjAMMQowCAYDVQQDDAFSMCAXDTI2
        MTEyOTAxMjIyNFoYDzIxMjYxMTA1MDEyMjI0WjAZMQswCQYDVQQGEwJDSDEKMAgG
        A1UEAwwBZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABKq+Y5eahCF6VVxtas04
        74UKS0/SRbAypcMxpLSfKgq6Ihwsb4a13jDhVhJxsFPiAgwPfHjC6+v6hCExSZ2s
        /PqjgaEwgZ4wLwYDVR0RBCgwJoINZS5leGFtcGxlLm9yZ4cEwAACAYEPb0BlLmV4
        YW1wbGUub3JnMAsGA1UdDwQEAwIHgDATBgNVHSUEDDAKBggrBgEFBQcDATAJBgNV
        HRMEAjAAMB0GA1UdDgQWBBSLxbt6LnsqxHDAMKjtL590WBNoxDAfBgNVHSMEGDAW
        gBS1s12JXSfDtWU9cmy0WGh11YeXIDAKBggqhkjOPQQDAgNHADBEAiAQWPDo/Vp/
        Py8kUXlB4XByRO7zJWQh/iCisCODhzv4kwIgLwFf9pmrxSAdvpnZxKPa7OzinDfW
        UXPWTC3yG59/6dc=
        -----END CERTIFICATE-----
        """)
    static let key = made {
        try PrivateKey(
            Secret(
                Array(
                    """
                    -----BEGIN PRIVATE KEY-----
                    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgWPTDz/huDw5lf3XG
                    +hQMGZuD43aZwPRpBKqxPomIMoKhRANCAASqvmOXmoQhelVcbWrNOO+FCktP0kWw
                    MqXDMaS0nyoKuiIcLG+Gtd4w4VYScbBT4gIMD3x4wuvr+oQhMUmdrPz6
                    -----END PRIVATE KEY-----
                    """.utf8)))
    }
    static let credentials = made {
        try Credentials(
            CertificateCredential(
                certificates: [own], privateKey: key.pkcs8, authorities: [root],
                revocationLists: RevocationList.list(
                    Array(
                        """
                        -----BEGIN X509 CRL-----
                        MIGRMDowCgYIKoZIzj0EAwIwDDEKMAgGA1UEAwwBUhcNMjYxMTI5MDEyMjI1WhgP
                        MjEyNTA2MjMwMTIyMjVaMAoGCCqGSM49BAMCA0cAMEQCIHsSyb237BwVAnfuQlZ4
                        X9iceXuItWXFShFs360JX+ZhAiA4QX0WtVNx77DOTamkMW2oHyQgLzZ61Vk5VDwg
                        f26t0A==
                        -----END X509 CRL-----
                        """.utf8))), localID: nil)
    }

    private static func certificate(_ pem: String) -> Certificate { made { try Certificate.list(Array(pem.utf8))[0] } }

    private static func made<Value>(_ body: () throws -> Value) -> Value {
        do {
            return try body()
        } catch {
            preconditionFailure("the workshop's own things cannot be read: \(error)")
        }
    }
}
