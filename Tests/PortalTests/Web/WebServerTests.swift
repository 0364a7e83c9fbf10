import Base
import Cryptography
import Foundation
import Glibc
import Identity
import Logging
import Synchronization
import Testing

@testable import Portal

/// The HTTPS server of the sign-in pages, with curl as the browser.
@Suite(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/curl"), "curl is not installed"))
struct WebServerTests {
    /// A server on loopback with a certificate of its own.
    private final class Fixture: Sendable {
        let gateway = FakeSignIn()
        let server: WebServer
        let port: UInt16
        let redirectPort: UInt16
        let folder: String
        private let current: Shared

        init(_ change: (inout WebConfiguration) -> Void = { _ in }) async throws {
            port = try freePort()
            redirectPort = try freePort()
            folder = FileManager.default.temporaryDirectory.path + "/gatehouse-web-\(getpid())-\(port)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let first = try Self.identity(folder + "/first.crt")
            let box = Shared(first)
            current = box
            var configuration = WebConfiguration(
                address: try #require(SiteAddress("https://gate.example.com:\(port)")),
                listen: [IPAddress("127.0.0.1")!], port: port, redirectPort: redirectPort,
                identity: { box.value.withLock { $0 } })
            change(&configuration)
            server = try await WebServer.start(
                configuration, api: gateway, random: { count in (0..<count).map { _ in UInt8.random(in: 0...255) } },
                wall: { WallTime(rfc3339: "2026-11-29T12:00:00Z")! }, tick: { .zero }, logger: Logger(label: "test"))
        }

        final class Shared: Sendable {
            let value: Mutex<WebIdentity>
            init(_ value: WebIdentity) { self.value = Mutex(value) }
        }

        static func identity(_ file: String) throws -> WebIdentity {
            let key = try RSAPrivateKey.generate()
            let seconds = Int64(Date().timeIntervalSince1970)
            let certificate = try key.selfSigned(
                for: ["gate.example.com"], serial: (0..<8).map { _ in UInt8.random(in: 0...255) },
                from: WallTime(nanoseconds: seconds * 1_000_000_000), days: 2)
            try Data(certificate.pem.utf8).write(to: URL(filePath: file))
            return WebIdentity(chain: Array(certificate.pem.utf8), key: try key.pem)
        }

        func change(to identity: WebIdentity) { current.value.withLock { $0 = identity } }

        func curl(_ path: String, _ words: [String] = [], certificate: String = "first.crt") async throws -> (Int32, String) {
            try await PortalTests.curl(
                words + [
                    "--cacert", folder + "/" + certificate, "--resolve", "gate.example.com:\(port):127.0.0.1",
                    "https://gate.example.com:\(port)\(path)",
                ])
        }

        func stop() async {
            await server.stop()
            try? FileManager.default.removeItem(atPath: folder)
        }
    }

    private func serving(
        _ change: (inout WebConfiguration) -> Void = { _ in }, _ body: (Fixture) async throws -> Void
    ) async throws {
        let fixture = try await Fixture(change)
        do { try await body(fixture) } catch { Issue.record("\(error)") }
        await fixture.stop()
    }

    @Test func pagesAreServedEncrypted() async throws {
        try await serving { fixture in
            let (status, text) = try await fixture.curl("/", ["-i"])
            #expect(status == 0 && text.hasPrefix("HTTP/1.1 200 OK"))
            #expect(text.contains("Sign in with Okta") && text.contains("Strict-Transport-Security"))
            let old = try await fixture.curl("/", ["--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"])
            #expect(old.0 != 0, "TLS 1.1 is spoken")
            let head = try await fixture.curl("/", ["-I"])
            #expect(head.1.hasPrefix("HTTP/1.1 200 OK") && head.1.contains("Content-Length"))
        }
    }

    @Test func aFormReachesTheGatewayWithItsAddress() async throws {
        try await serving { fixture in
            let (_, text) = try await fixture.curl(
                "/user/external/saml",
                ["-i", "--data-urlencode", "SAMLResponse=PHg+/w==", "-b", "__Host-gatehouse-request=secret"])
            #expect(text.hasPrefix("HTTP/1.1 303 See Other") && text.contains("Location: /\r\n"))
            let finished = fixture.gateway.with { $0.finished }
            #expect(finished.map(\.message) == ["PHg+/w=="] && finished.first?.browser == "secret")
            #expect(finished.first?.address == IPAddress("127.0.0.1"))
        }
    }

    /// Connections that are accepted in the very moment in which the server stops have nobody to serve them.
    @Test func itStopsWhileConnectionsArrive() async throws {
        for _ in 0..<6 {
            let fixture = try await Fixture()
            let port = fixture.port
            let knocking = Task.detached {
                var sockets: [Int32] = []
                while !Task.isCancelled {
                    sockets.append(Self.knock(port))
                    await Task.yield()
                }
                for socket in sockets where socket >= 0 { close(socket) }
            }
            try await Task.sleep(for: .milliseconds(20))
            #expect(fixture.server.isListening)
            await fixture.stop()
            #expect(!fixture.server.isListening)
            knocking.cancel()
            await knocking.value
        }
    }

    /// Opens a connection and says nothing.
    private static func knock(_ port: UInt16) -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let isOpen = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isOpen else {
            close(descriptor)
            return -1
        }
        return descriptor
    }

    @Test func unencryptedRequestsAreLedToThePages() async throws {
        try await serving { fixture in
            let (_, text) = try await PortalTests.curl(["-i", "http://127.0.0.1:\(fixture.redirectPort)/anything"])
            #expect(text.hasPrefix("HTTP/1.1 302 Found"))
            #expect(text.contains("Location: https://gate.example.com:\(fixture.port)/\r\n"))
            #expect(!text.contains("Strict-Transport-Security"))
            // And no sign-in is taken there.
            _ = try await PortalTests.curl([
                "-d", "SAMLResponse=x", "http://127.0.0.1:\(fixture.redirectPort)/user/external/saml",
            ])
            #expect(fixture.gateway.with { $0.finished }.isEmpty)
        }
    }

    @Test func aNewCertificateIsTakenUpWithoutARestart() async throws {
        try await serving { fixture in
            #expect(try await fixture.curl("/").0 == 0)
            #expect(try !fixture.server.reloadIdentity())
            fixture.change(to: try Fixture.identity(fixture.folder + "/second.crt"))
            #expect(try fixture.server.reloadIdentity())
            #expect(try await fixture.curl("/").0 != 0)
            #expect(try await fixture.curl("/", certificate: "second.crt").0 == 0)
            // One that cannot be used changes nothing.
            fixture.change(to: WebIdentity(chain: Array("nonsense".utf8), key: Secret([])))
            #expect(throws: (any Error).self) { try fixture.server.reloadIdentity() }
            #expect(try await fixture.curl("/", certificate: "second.crt").0 == 0)
        }
    }

    @Test func tooMuchIsRefused() async throws {
        try await serving({ $0.bodyBytes = 10_000 }) { fixture in
            let file = fixture.folder + "/large"
            try Data(repeating: UInt8(ascii: "a"), count: 20_000).write(to: URL(filePath: file))
            for words in [["--data-binary", "@" + file], ["--data-binary", "@" + file, "-H", "Transfer-Encoding: chunked"]] {
                let (_, text) = try await fixture.curl("/user/external/saml", ["-i", "-H", "Expect:"] + words)
                #expect(text.hasPrefix("HTTP/1.1 413"), "\(text.prefix(200))")
            }
            let (_, header) = try await fixture.curl("/", ["-i", "-H", "X: " + String(repeating: "a", count: 40_000)])
            #expect(!header.hasPrefix("HTTP/1.1 200"))
            #expect(fixture.gateway.with { $0.finished }.isEmpty)
            #expect(try await fixture.curl("/").1.contains("Sign in"))
        }
    }

    /// Whoever connects and says nothing is let go, and does not keep the server from stopping.
    @Test func silentConnectionsAreClosed() async throws {
        try await serving({ $0.requestMilliseconds = 300 }) { fixture in
            for port in [fixture.port, fixture.redirectPort] {
                let silent = try TCPClient(port)
                #expect(await silent.isClosedByPeer(), "the connection to \(port) stays open")
            }
            let waiting = try TCPClient(fixture.port)
            await fixture.server.stop()
            #expect(await waiting.isClosedByPeer())
        }
    }

    /// What one client holds is not taken from others, and what it lets go it may have again.
    @Test func oneClientHoldsSoManyConnections() async throws {
        let limits: (inout WebConfiguration) -> Void = {
            $0.connectionsPerClient = 3
            $0.requestMilliseconds = 60_000
        }
        try await serving(limits) { fixture in
            var held = try (0..<5).map { _ in try TCPClient(fixture.port) }
            try await eventually { held.count(where: { !$0.isOpen }) == 2 }
            #expect(try await fixture.curl("/").0 != 0)
            #expect(try await fixture.curl("/", ["--interface", "127.0.0.2"]).1.contains("Sign in"))
            held.removeAll { $0.isOpen }
            try await eventually { try await fixture.curl("/").0 == 0 }
        }
    }

    @Test func anAddressInUseIsNamed() async throws {
        try await serving { fixture in
            let address = try #require(SiteAddress("https://gate.example.com:\(fixture.port)"))
            let identity = try Fixture.identity(fixture.folder + "/other.crt")
            await #expect(throws: (any Error).self) {
                _ = try await WebServer.start(
                    WebConfiguration(
                        address: address, listen: [IPAddress("127.0.0.1")!], port: fixture.port, redirectPort: nil,
                        identity: { identity }), api: fixture.gateway, random: { [UInt8](repeating: 0, count: $0) },
                    wall: { WallTime(nanoseconds: 0) }, tick: { .zero }, logger: Logger(label: "test"))
            }
        }
    }
}

/// Waits for what comes of itself; fails when it does not come.
private func eventually(_ isSo: () async throws -> Bool) async throws {
    for _ in 0..<6000 {
        if try await isSo() { return }
        try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("it did not come")
}

/// A port of loopback that nobody has at this moment.
private func freePort() throws -> UInt16 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, size) == 0 ? getsockname(descriptor, $0, &size) : -1
        }
    }
    try #require(result == 0)
    return UInt16(bigEndian: address.sin_port)
}

/// curl's exit status and output.
private func curl(_ words: [String]) async throws -> (Int32, String) {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/curl")
    process.arguments = ["--silent", "--max-time", "60"] + words
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    let handle = output.fileHandleForReading
    let text = await withCheckedContinuation { continuation in
        Thread.detachNewThread {
            continuation.resume(returning: String(decoding: handle.readDataToEndOfFile(), as: UTF8.self))
        }
    }
    process.waitUntilExit()
    return (process.terminationStatus, text)
}

/// A connection that says nothing.
private final class TCPClient: Sendable {
    private let descriptor: Int32

    init(_ port: UInt16) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(result == 0)
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit {
        // A child process that is just being started may hold a copy for a moment.
        shutdown(descriptor, Int32(SHUT_RDWR))
        close(descriptor)
    }

    /// Whether the other side has not ended the connection yet.
    var isOpen: Bool {
        var byte: UInt8 = 0
        let count = recv(descriptor, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
        return count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR))
    }

    /// Whether the other side ends the connection, within a minute.
    func isClosedByPeer() async -> Bool {
        let descriptor = descriptor
        return await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                var block = [UInt8](repeating: 0, count: 1024)
                var count = 1
                while count > 0 { count = recv(descriptor, &block, block.count, 0) }
                continuation.resume(returning: count == 0 || errno == ECONNRESET)
            }
        }
    }
}
