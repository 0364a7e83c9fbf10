import Access
import Base
import Cryptography
import Dispatch
import Foundation
import HTTP
import Host
import Portal
import Store
import Synchronization
import TestCertificates
import Testing
import Vendors

@testable import Gateway

/// A platform's simulator over TLS, and a keeper that asks it: all that a gateway has of it, without its sockets.
///
/// Proof of Sendable: nothing changes after `init` but what stands behind locks and actors.
final class EndpointLab: @unchecked Sendable {
    static let key = "k3y-of-the-lab"

    let vendor: String
    let port: Int
    let web: HTTPClient
    let store: Store
    let log: EventLog
    private let authority: [UInt8]
    private let process = Process()
    private let input = Pipe()
    private let heard = Mutex<[InventoryChange]>([])
    private let holder = Mutex<InventoryFollower?>(nil)

    /// Starts it. Waiting for a process holds up a thread, so this is none of those that tests share.
    static func start(_ vendor: String) async throws -> EndpointLab {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(with: Result { try EndpointLab(vendor) }) }
        }
    }

    private init(_ vendor: String) throws {
        self.vendor = vendor
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("epp-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        var terms = TestCertificate.Terms("epp", names: "IP:127.0.0.1")
        terms.notBefore = 946_684_800
        terms.notAfter = 2_500_000_000
        let certificate = TestCertificate(terms, key: TestKey(.p256))
        let (file, keyFile) = (folder.appendingPathComponent("epp.crt"), folder.appendingPathComponent("epp.key"))
        try Data(certificate.pem.utf8).write(to: file)
        try Data(certificate.key.pem.utf8).write(to: keyFile)
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../..")
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
        process.arguments = [
            root.appendingPathComponent("tools/simulators/epp.py").path, "--vendor", vendor, "--address", "127.0.0.1",
            "--port", "0", "--certificate", file.path, "--key", keyFile.path, "--until-input-ends",
        ]
        process.standardOutput = output
        process.standardInput = input
        try process.run()
        var text = ""
        while !text.contains("\n") {
            let data = output.fileHandleForReading.availableData
            try #require(!data.isEmpty, "the simulator did not start")
            text += String(decoding: data, as: UTF8.self)
        }
        port = try #require(text.split(separator: " ").last.flatMap { Int($0.filter(\.isNumber)) })
        try FileManager.default.removeItem(at: folder)
        authority = Array(certificate.pem.utf8)
        web = HTTPClient(OutgoingSettings(extraCA: authority))
        store = try Store(
            path: nil, key: SealingKey(Secret([UInt8](repeating: 7, count: 32))), random: SystemRandom.bytes,
            wall: { SystemClock().wall })
        log = EventLog { SystemClock().wall }
    }

    deinit {
        try? input.fileHandleForWriting.close()
        process.terminate()
        web.stop()
    }

    /// Runs `body` with a simulator and a keeper that has one connection to it, `lab`.
    static func with(
        _ vendor: String, devices: String = "[]", change: (inout EndpointConnection) throws -> Void = { _ in },
        _ body: (EndpointLab, EndpointKeeper) async throws -> Void
    ) async throws {
        let lab = try await EndpointLab.start(vendor)
        try await lab.control(#"{"devices": \#(devices), "limits": false}"#)
        var connection = lab.connection
        try change(&connection)
        try lab.store.save(connection, replacing: false, by: Change(actor: "test"))
        try await lab.withKeeper { keeper in
            _ = try await lab.synced(keeper)
            try await body(lab, keeper)
        }
    }

    /// A keeper over the store as it is, until `body` ends.
    func withKeeper(_ body: (EndpointKeeper) async throws -> Void) async throws {
        let keeper = EndpointKeeper(
            web: web, tokens: TokenSource(web: web, clock: SystemClock(), random: SystemRandom.bytes), store: store, log: log,
            clock: SystemClock(), random: SystemRandom.bytes,
            follow: { [weak self] changes in
                if let hold = self?.holder.withLock({ $0 }) { await hold(changes) }
                self?.heard.withLock { $0 += changes }
            })
        let run = Task { await keeper.run() }
        do {
            while await keeper.source("lab") == nil { try await Task.sleep(for: .milliseconds(5)) }
            try await body(keeper)
        } catch {
            run.cancel()
            await run.value
            throw error
        }
        run.cancel()
        await run.value
    }

    var connection: EndpointConnection {
        var connection = EndpointConnection(id: "lab", kind: vendor == "acorn" ? EndpointConnection.custom : vendor)
        connection.url = "https://127.0.0.1:\(port)"
        connection.allowsAnyHost = true
        connection.key = Secret(Array(Self.key.utf8))
        connection.values = [
            "customer": "12345", "tenant": "11111111-1111-1111-1111-111111111111",
            "client-id": "22222222-2222-2222-2222-222222222222", "organisation": "oak",
        ]
        if vendor == "heimdal" {
            // As built in, but at a pace that no test has time for.
            connection.kind = EndpointConnection.custom
            connection.profileText = EndpointProfile.text(of: "heimdal")?
                .replacing("calls: 2, seconds: 40, per-call: true", with: "calls: 100, seconds: 1")
        }
        if vendor == "defender" {
            connection.values["token-url"] = "https://127.0.0.1:\(port)/11111111-1111-1111-1111-111111111111/oauth2/v2.0/token"
        }
        return connection
    }

    /// Changes devices or how the simulator behaves.
    func control(_ order: String) async throws {
        var request = HTTPRequest(.post, WebURL("https://127.0.0.1:\(port)/control")!, purpose: "a test")
        request.addresses = .anywhere
        request.headers = [("Content-Type", "application/json")]
        request.body = Secret(Array(order.utf8))
        // A client of its own: the other one may be leaving the host alone.
        let client = HTTPClient(OutgoingSettings(extraCA: authority))
        defer { client.stop() }
        let answer = try await client.send(request)
        #expect(answer.status == 200)
    }

    func source(_ keeper: EndpointKeeper) async throws -> EndpointSource { try #require(await keeper.source("lab")) }

    /// Everything anew; how it is then.
    func synced(_ keeper: EndpointKeeper, acceptsLoss: Bool = false) async throws -> EndpointSourceStatus {
        let source = try await source(keeper)
        await source.sync(acceptsLoss: acceptsLoss)
        return await source.status
    }

    /// Holds up whoever is told, before it takes note.
    func holdTelling(_ hold: @escaping InventoryFollower) { holder.withLock { $0 = hold } }

    /// Calls that were let out so far, answered or not.
    var calls: UInt64 { web.hosts.reduce(0) { $0 + $1.tally.calls } }

    /// What was told since the last time.
    func news() -> [InventoryChange] {
        heard.withLock { heard in
            defer { heard = [] }
            return heard
        }
    }

    /// What an endpoint is known as, by attribute.
    func values(_ keeper: EndpointKeeper, _ name: String) async throws -> [PostureAttribute: String] {
        let source = try await source(keeper)
        let (records, posture) = await (source.records(matching: name), source.posture)
        let record = try #require(records.first, "there is no \(name)")
        let status = EndpointStatus(record, of: posture, now: SystemClock().wall)
        return Dictionary(
            uniqueKeysWithValues: status.attributes.map { ($0.attribute, $0.value ?? "(\($0.missing ?? ""))") })
    }
}
