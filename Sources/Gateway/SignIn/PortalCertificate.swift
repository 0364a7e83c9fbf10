import Base
import Cryptography
import Glibc
import Host
import Portal

/// The certificate of the sign-in pages: the administrator's files, or one that we make at the first start.
struct PortalCertificate: Sendable {
    /// PEM files: the certificate with its chain, and its key.
    let certificatePath: String
    let keyPath: String
    /// For whom to make one when there is none; nil for files that the administrator keeps.
    private let ownNames: [String]?

    /// Days that a certificate of ours is good for, and how long before the end it is replaced. Browsers refuse longer
    /// ones even where somebody trusts them by hand.
    private static let lifetimeDays = 397
    private static let renewalDays = 30

    struct Unusable: Error, CustomStringConvertible { let description: String }

    init(_ pages: BootConfiguration.SignInPages, stateDirectory: String) {
        if let certificate = pages.certificate, let key = pages.key {
            (certificatePath, keyPath, ownNames) = (certificate, key, nil)
        } else {
            certificatePath = stateDirectory + "/portal.crt"
            keyPath = stateDirectory + "/portal.key"
            ownNames = [pages.address.name]
        }
    }

    /// Whether we made it, so that browsers warn of it.
    var isOwn: Bool { ownNames != nil }

    /// Reads both files, after making a certificate of ours where it is missing, nearly over or for another name.
    func load(now: WallTime) throws -> WebIdentity {
        if let ownNames, !isCurrent(ownNames, now) { try make(ownNames, now) }
        let chain = try read(certificatePath)
        let key = try read(keyPath)
        let certificates = try Certificate.list(chain)
        guard let first = certificates.first, first.notAfter > now else {
            throw Unusable(
                description: "\(certificatePath) has expired (\(certificates.first?.notAfter.day ?? "no certificate"))")
        }
        return WebIdentity(chain: chain, key: Secret(key))
    }

    /// When the certificate ends; nil when it cannot be read.
    var notAfter: WallTime? { (try? Certificate.list(read(certificatePath)))?.first?.notAfter }

    private func isCurrent(_ names: [String], _ now: WallTime) -> Bool {
        guard let key = try? PrivateKey(Secret(read(keyPath))),
            let certificate = try? Certificate.list(read(certificatePath)).first,
            (try? certificate.require(key)) != nil
        else { return false }
        let named = certificate.alternativeNames.map(\.description)
        return certificate.notAfter > now + .seconds(Self.renewalDays * 86_400) && names.allSatisfy(named.contains)
    }

    private func make(_ names: [String], _ now: WallTime) throws {
        let key = try RSAPrivateKey.generate()
        let certificate = try key.selfSigned(
            for: names, serial: SystemRandom.bytes(8), from: now, days: Self.lifetimeDays)
        try StateFile.replace(keyPath, with: String(decoding: try key.pem.exposedBytes, as: UTF8.self))
        try StateFile.replace(certificatePath, with: certificate.pem)
    }

    private func read(_ path: String) throws(Unusable) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw Unusable(description: "cannot read \(path): \(String(cString: strerror(errno)))") }
        defer { close(file) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = block.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw Unusable(description: "cannot read \(path): \(String(cString: strerror(errno)))")
            }
            guard count > 0 else { return bytes }
            bytes += block[..<count]
            guard bytes.count <= 1 << 20 else { throw Unusable(description: "\(path) is over 1 MiB: that is no certificate") }
        }
    }
}
