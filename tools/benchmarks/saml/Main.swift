import Base
import Cryptography
import Glibc
import Identity
import TestSAMLProvider

/// Makes SAML responses, and measures what verifying them costs; `tools/bench saml` does the rest.
///
///     bench-saml make FOLDER COUNT ISSUER ACS    a key, and COUNT responses with an assertion, both signed
///     bench-saml verify FOLDER ISSUER ACS SECONDS    CPU a response: ours, and the bare arithmetic of the same ones
@main struct Main {
    static func main() throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        switch (arguments.first, arguments.count) {
        case ("make", 5):
            guard let count = Int(arguments[2]) else { break }
            return try make(Folder(arguments[1]), count, issuer: arguments[3], acs: arguments[4])
        case ("verify", 5):
            guard let seconds = Double(arguments[4]) else { break }
            return try verify(Folder(arguments[1]), issuer: arguments[2], acs: arguments[3], seconds)
        default: break
        }
        print("bench-saml make FOLDER COUNT ISSUER ACS | verify FOLDER ISSUER ACS SECONDS")
        exit(2)
    }

    private static func make(_ folder: Folder, _ count: Int, issuer: String, acs: String) throws {
        let key = try RSAPrivateKey.generate()
        let certificate = try key.selfSigned(for: ["idp"], serial: [1, 2, 3, 4, 5, 6, 7, 8], from: now, days: 2)
        try folder.write("idp.crt", certificate.pem)
        let writer = ResponseWriter(key: key, issuer: issuer, acs: acs, now: now)
        var lines = ""
        for number in 0..<count {
            lines += try writer.response(number, email: "person-\(number)@example.org") + "\n"
        }
        try folder.write("responses", lines)
    }

    private static func verify(_ folder: Folder, issuer: String, acs: String, _ seconds: Double) throws {
        let certificates = try CertificateText.read(try folder.read("idp.crt"))
        let documents = try folder.read("responses").split(separator: UInt8(ascii: "\n")).map { [UInt8](base64: $0)! }
        let trust = SAMLTrust(
            provider: "bench", issuer: issuer, certificates: certificates, audiences: [issuer], acsURL: acs,
            requirement: .both)
        // What no verifier can do without: two RSA signatures, and the hash of every byte that was signed. The response
        // is hashed whole and its assertion again.
        let key = certificates[0].publicKey
        let message = Array("SignedInfo".utf8)
        let signature = try bareSignature(message)
        var ours = 0
        var bare = 0
        var ourTime = 0.0
        var bareTime = 0.0
        let now = now
        while ourTime < seconds {
            let begun = cpuSeconds()
            for document in documents.prefix(200) {
                _ = try ResponseVerifier.verify(document, trust: trust, expecting: .unsolicited, now: now)
                ours += 1
            }
            let between = cpuSeconds()
            for document in documents.prefix(200) {
                _ = signature.key.verifiesPKCS1(signature.value, of: message, hash: .sha256)
                _ = signature.key.verifiesPKCS1(signature.value, of: message, hash: .sha256)
                _ = Hash.digest(.sha256, [document])
                _ = Hash.digest(.sha256, [document[..<(document.count * 3 / 5)]])
                bare += 1
            }
            bareTime += cpuSeconds() - between
            ourTime += between - begun
        }
        precondition(key.bits == 2048 && signature.key.bits == 2048)
        print("ours \(Double(ours) / ourTime)")
        print("bare \(Double(bare) / bareTime)")
        print("bytes \(documents.map(\.count).reduce(0, +) / documents.count)")
    }

    /// A key of its own with one signature, for measuring the arithmetic alone.
    private static func bareSignature(_ message: [UInt8]) throws -> (key: RSAPublicKey, value: [UInt8]) {
        let key = try RSAPrivateKey.generate()
        let certificate = try key.selfSigned(
            for: ["bare"], serial: [UInt8](repeating: 1, count: 8), from: WallTime(nanoseconds: 0), days: 2)
        return (certificate.publicKey, try key.signPKCS1(message, hash: .sha256))
    }

    private static var now: WallTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(nanoseconds: Int64(time.tv_sec) * 1_000_000_000)
    }

    private static func cpuSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

/// The folder that the benchmark works in.
private struct Folder {
    struct Failure: Error { var path: String }

    let path: String
    init(_ path: String) { self.path = path }

    func write(_ name: String, _ text: String) throws {
        guard let file = fopen(path + "/" + name, "we") else { throw Failure(path: path + "/" + name) }
        defer { fclose(file) }
        let bytes = Array(text.utf8)
        guard fwrite(bytes, 1, bytes.count, file) == bytes.count else { throw Failure(path: path + "/" + name) }
    }

    func read(_ name: String) throws -> [UInt8] {
        guard let file = fopen(path + "/" + name, "re") else { throw Failure(path: path + "/" + name) }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = fread(&block, 1, block.count, file), count > 0 { bytes += block[..<count] }
        return bytes
    }
}
