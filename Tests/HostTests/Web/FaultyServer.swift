import Foundation
import HTTP
import TestCertificates
import Testing

/// `faulty_server.py` under way, with certificates of every kind.
///
/// Proof of Sendable: nothing changes after `init`.
final class FaultyServer: @unchecked Sendable {
    enum Certificate: String, CaseIterable {
        /// For `localhost` and 127.0.0.1, by ``FaultyServer/authority``.
        case good
        case otherName, expired, otherAuthority
    }

    /// One for all tests: starting it holds up a thread that others wait for. It ends with this process.
    static let shared = Result { try FaultyServer() }

    /// The PEM of the CA that the good certificate comes from.
    let authority: [UInt8]
    private let process = Process()
    private let input = Pipe()
    private let ports: [Int]

    private init() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("faulty-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        func terms(_ terms: TestCertificate.Terms, until end: Int = 2_500_000_000) -> TestCertificate.Terms {
            var terms = terms
            // Whatever the host's clock says.
            terms.notBefore = 946_684_800
            terms.notAfter = end
            return terms
        }
        let ca = TestCertificate(terms(.authority("CA")), key: TestKey(.p256))
        let other = TestCertificate(terms(.authority("Other")), key: TestKey(.p256))
        authority = Array(ca.pem.utf8)
        var files: [String] = []
        for kind in Certificate.allCases {
            let names = kind == .otherName ? "DNS:other.example" : "DNS:localhost,IP:127.0.0.1"
            let certificate = TestCertificate(
                terms(.init(kind.rawValue, names: names), until: kind == .expired ? 978_307_200 : 2_500_000_000),
                key: TestKey(.p256), issuer: kind == .otherAuthority ? other : ca)
            let file = folder.appendingPathComponent(kind.rawValue + ".pem")
            try Data((certificate.pem + certificate.key.pem).utf8).write(to: file)
            files.append(file.path)
        }
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("faulty_server.py")
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
        process.arguments = [script.path] + files
        process.standardOutput = output
        process.standardInput = input
        try process.run()
        var text = ""
        while text.split(separator: "\n", omittingEmptySubsequences: false).count <= files.count + 1 {
            let data = output.fileHandleForReading.availableData
            try #require(!data.isEmpty, "the server did not start")
            text += String(decoding: data, as: UTF8.self)
        }
        try FileManager.default.removeItem(at: folder)
        ports = text.split(separator: "\n").compactMap { Int($0) }
        try #require(ports.count == files.count + 1)
    }

    func url(_ path: String, _ certificate: Certificate = .good, host: String = "localhost") -> WebURL {
        let index = Certificate.allCases.firstIndex(of: certificate) ?? 0
        return WebURL("https://\(host):\(ports[index])\(path)")!
    }

    var proxyPort: Int { ports[ports.count - 1] }
}
