import Access
import Base
import Cryptography
import Foundation
import HTTP
import Host
import Identity
import Portal
import PortalFake
import Store
import TestSAMLProvider
import Testing
import Tunnels

@testable import Gateway

/// The desk with a real store and a real gatekeeper, whose gate is off: who is admitted, once, and who is not.
@Suite struct SignInDeskTests {
    static let issuer = "https://idp.example/entity"
    static let key = try! RSAPrivateKey.generate()
    static let address = SiteAddress("https://gate.example.com")!

    /// A gatekeeper with its desk, over a store that a second one can take up.
    final class Fixture: Sendable {
        let store: Store
        let log = EventLog { SystemClock().wall }
        let gatekeeper: Gatekeeper
        let desk: SignInDesk
        private let loop: Task<Void, Never>
        private let clock = SystemClock()

        init(_ store: Store? = nil) async throws {
            let clock = clock
            self.store = try store ?? Store(
                path: nil, key: SealingKey(Secret([UInt8](repeating: 1, count: MachineKey.length))),
                random: SystemRandom.bytes, wall: { clock.wall })
            // Something to reach, or nobody is admitted.
            if store == nil { try self.store.add(.example(), by: Change(actor: "test")) }
            let bootPath = FileManager.default.temporaryDirectory.path + "/gatehouse-desk-\(UUID().uuidString).nft"
            gatekeeper = try Gatekeeper(
                inbox: Inbox(),
                machine: Gatekeeper.Machine(
                    clock: clock, table: GateTable(try Netlink(.netfilter)), conntrack: try Netlink(.netfilter),
                    route: try Netlink(), bootPath: bootPath), store: self.store, log: log)
            try await gatekeeper.start()
            loop = Task { [gatekeeper] in await gatekeeper.run() }
            desk = try SignInDesk(
                address: SignInDeskTests.address, gatekeeper: gatekeeper, store: self.store, log: log, clock: clock,
                web: HTTPClient(OutgoingSettings()), random: SystemRandom.bytes)
        }

        func stop() async {
            gatekeeper.inbox.put(.stop(isHandedOver: false))
            await loop.value
        }

        var writer: ResponseWriter {
            ResponseWriter(
                key: SignInDeskTests.key, issuer: SignInDeskTests.issuer, acs: SignInDeskTests.address.acsURL,
                now: clock.wall)
        }

        func add(_ id: String = "corp", _ change: (inout IdentityProvider) -> Void = { _ in }) throws {
            let certificate = try SignInDeskTests.key.selfSigned(
                for: [id], serial: [1, 2, 3, 4, 5, 6, 7, 8], from: clock.wall, days: 2)
            var provider = IdentityProvider(
                id: id, issuer: SignInDeskTests.issuer, serviceURL: "https://idp.example/sso/\(id)",
                certificates: [certificate])
            provider.title = "Corp"
            provider.logoutURL = "https://idp.example/slo"
            change(&provider)
            try store.save(provider, replacing: false, by: Change(actor: "test"))
        }

        func change(_ id: String = "corp", _ change: (inout IdentityProvider) -> Void) throws {
            var provider = try #require(try store.identityProviders().providers.first { $0.id == id })
            change(&provider)
            try store.save(provider, replacing: true, by: Change(actor: "test"))
        }

        /// Posts an answer; nil when somebody was admitted.
        func post(
            _ message: String, relayState: String? = nil, browser: String? = nil, from address: String = "10.1.0.10"
        ) async -> SignInProblem? {
            do throws(SignInProblem) {
                try await desk.finishSignIn(
                    message: Array(message.utf8), relayState: relayState, browser: browser, address: IPAddress(address)!)
                return nil
            } catch {
                return error
            }
        }

        /// Begins a sign-in, and gives the request's ID and RelayState.
        func begin(_ provider: String = "corp", browser: String) async throws -> (id: String, relayState: String) {
            guard
                case .redirect(let location) = try await desk.beginSignIn(
                    provider: provider, browser: browser, address: IPAddress("10.1.0.10")!),
                let query = location.split(separator: "?").last,
                let fields = FormEncoding.fields(Array(query.utf8)), let packed = fields["SAMLRequest"],
                let relayState = fields["RelayState"], let bytes = [UInt8](base64: packed)
            else { throw SignInProblem(.unavailable, reference: "no redirect") }
            let text = String(decoding: try Deflate.inflate(bytes, limit: 1 << 16), as: UTF8.self)
            let id = try #require(text.firstMatch(of: #/ ID="([^"]+)"/#)?.1)
            return (String(id), String(decoding: relayState, as: UTF8.self))
        }

        func who(at address: String = "10.1.0.10") async -> String? {
            await gatekeeper.presence(at: IPAddress(address)!)?.session.user
        }

        /// Whether the audit trail has all of these words in one line.
        func audit(_ words: String...) throws -> Bool {
            try store.audit(limit: 2000).contains { entry in
                words.allSatisfy { "\(entry.action) \(entry.subject) \(entry.detail ?? "")".contains($0) }
            }
        }
    }

    private func desk(_ body: (Fixture) async throws -> Void) async throws {
        let fixture = try await Fixture()
        do { try await body(fixture) } catch { Issue.record("\(error)") }
        await fixture.stop()
    }

    @Test func theFirstSignInBeginsAtTheProviderAndCreatesTheUser() async throws {
        try await desk { desk in
            try desk.add()
            let message = try desk.writer.response(1, email: "Ada@Example.org")
            #expect(await desk.post(message) == nil)
            #expect(await desk.who() == "ada@example.org")
            let standing = try #require(await desk.desk.standing(at: IPAddress("10.1.0.10")!))
            #expect(standing.name == "Person Number 1" && standing.email == "ada@example.org")
            #expect(standing.sites == [Standing.Site(name: "Head office", networks: ["10.0.0.0/16"])])
            #expect(standing.logoutOrigin == "https://idp.example")
            #expect(try desk.audit("user-added", "ada@example.org") && desk.audit("session-admitted", "corp"))
            #expect(await desk.desk.standing(at: IPAddress("10.1.0.11")!) == nil)
        }
    }

    @Test func anAssertionIsGoodForOneSignInAlsoAfterARestart() async throws {
        try await desk { desk in
            try desk.add()
            let message = try desk.writer.response(1, email: "ada@example.org")
            #expect(await desk.post(message) == nil)
            let again = try #require(await desk.post(message, from: "10.1.0.11"))
            #expect(again.kind == .stale)
            #expect(try desk.audit("sign-in-refused", again.reference, "replay:", "10.1.0.11"))
            await desk.stop()
            let next = try await Fixture(desk.store)
            #expect(await next.post(message, from: "10.1.0.12")?.kind == .stale)
            #expect(await next.who() == "ada@example.org")
            await next.stop()
        }
    }

    /// The same answer from twenty windows at once.
    @Test func ofManyAtOnceOneIsAdmitted() async throws {
        try await desk { desk in
            try desk.add()
            let message = try desk.writer.response(1, email: "ada@example.org")
            let admitted = await withTaskGroup(of: Bool.self) { group in
                for number in 0..<20 {
                    group.addTask { await desk.post(message, from: "10.1.1.\(number + 1)") == nil }
                }
                return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(admitted == 1)
            #expect(await desk.gatekeeper.ask { $0.engine.sessions.count } == 1)
        }
    }

    @Test func anAnswerBelongsToTheBrowserThatAsked() async throws {
        try await desk { desk in
            try desk.add()
            #expect(await desk.post(try desk.writer.response(1, email: "ada@example.org")) == nil)
            let (id, relayState) = try await desk.begin(browser: "mine")
            let message = try desk.writer.response(2, email: "ada@example.org", answering: id)
            let wrong: [(String?, String?)] = [("theirs", relayState), (nil, relayState), ("mine", nil), ("mine", "x")]
            for (browser, state) in wrong {
                let problem = await desk.post(message, relayState: state, browser: browser, from: "10.1.0.11")
                #expect(problem?.kind == .stale)
            }
            #expect(await desk.who(at: "10.1.0.11") == nil)
            // None of these has used it up.
            #expect(await desk.post(message, relayState: relayState, browser: "mine", from: "10.1.0.11") == nil)
            #expect(await desk.who(at: "10.1.0.11") == "ada@example.org")
            let late = try desk.writer.response(3, email: "ada@example.org", answering: id)
            #expect(await desk.post(late, relayState: relayState, browser: "mine")?.kind == .stale)
            let unasked = try desk.writer.response(4, email: "ada@example.org", answering: "_unasked")
            #expect(await desk.post(unasked, relayState: relayState, browser: "mine")?.kind == .stale)
        }
    }

    @Test func anUnknownUserMustBeginAtTheProvider() async throws {
        try await desk { desk in
            try desk.add()
            let first = try await desk.begin(browser: "mine")
            let problem = try #require(
                await desk.post(
                    try desk.writer.response(1, email: "eve@example.org", answering: first.id),
                    relayState: first.relayState, browser: "mine"))
            #expect(problem.kind == .unknownUser(provider: "Corp"))
            #expect(try desk.audit("sign-in-refused", "eve@example.org", problem.reference, "unknown-user"))
            #expect(await desk.who() == nil)
            try desk.change { $0.createsUsersOnRequest = true }
            let second = try await desk.begin(browser: "mine")
            let message = try desk.writer.response(2, email: "eve@example.org", answering: second.id)
            #expect(await desk.post(message, relayState: second.relayState, browser: "mine") == nil)
            #expect(await desk.who() == "eve@example.org")
        }
    }

    @Test func settingsOfTheProviderHold() async throws {
        try await desk { desk in
            try desk.add { $0.acceptsUnsolicited = false }
            let unasked = try #require(await desk.post(try desk.writer.response(1, email: "ada@example.org")))
            #expect(unasked.kind == .stale)
            #expect(try desk.audit(unasked.reference, "begun at the provider"))
            try desk.change { $0.isEnabled = false }
            #expect(await desk.desk.signInChoices().isEmpty)
            #expect(await desk.post(try desk.writer.response(2, email: "ada@example.org"))?.kind == .notAcceptable)
            await #expect(throws: SignInProblem.self) {
                _ = try await desk.desk.beginSignIn(
                    provider: "corp", browser: "mine", address: IPAddress("10.1.0.10")!)
            }
            try desk.change {
                $0.isEnabled = true
                $0.acceptsUnsolicited = true
                $0.audience = "https://another.example"
            }
            let other = try #require(await desk.post(try desk.writer.response(3, email: "ada@example.org")))
            #expect(other.kind == .notAcceptable)
            #expect(try desk.audit(other.reference, "audience:"))
            #expect(await desk.who() == nil)
        }
    }

    /// Two applications of one provider, with keys of their own.
    @Test func ofTwoWithOneIssuerTheKeyDecides() async throws {
        try await desk { desk in
            let second = try RSAPrivateKey.generate()
            let certificate = try second.selfSigned(
                for: ["second"], serial: [1, 2, 3, 4, 5, 6, 7, 8], from: SystemClock().wall, days: 2)
            try desk.add("first")
            try desk.add("second") { $0.certificates = [certificate] }
            var writer = desk.writer
            writer.key = second
            #expect(await desk.post(try writer.response(1, email: "ada@example.org")) == nil)
            let session = await desk.gatekeeper.presence(at: IPAddress("10.1.0.10")!)?.session
            #expect(session?.provider == "second")
            writer.key = try RSAPrivateKey.generate()
            #expect(await desk.post(try writer.response(2, email: "ada@example.org"))?.kind == .notAcceptable)
        }
    }

    @Test(arguments: ["", "no base64!", "PGE+", "PGEvPg=="])
    func nonsenseIsRefused(_ message: String) async throws {
        try await desk { desk in
            try desk.add()
            let problem = try #require(await desk.post(message))
            #expect(problem.kind == .notAcceptable)
            #expect(try desk.audit("sign-in-refused", problem.reference))
        }
    }

    @Test func aLogoutEndsTheSessionsThatItNames() async throws {
        try await desk { desk in
            try desk.add()
            for (number, email) in [(1, "ada@example.org"), (2, "ada@example.org"), (3, "eve@example.org")] {
                let message = try desk.writer.response(number, email: email)
                #expect(await desk.post(message, from: "10.1.0.\(number)") == nil)
            }
            var sender = IdentityProvider(
                id: "x", issuer: Self.issuer, serviceURL: "https://x.example", certificates: [])
            sender.logoutURL = Self.address.logoutURL
            func query(_ index: String?) throws -> String {
                let location = try LogoutRequest.location(
                    for: sender, nameID: "ada@example.org", sessionIndex: index, entropy: SystemRandom.bytes(16),
                    now: SystemClock().wall)
                return String(try #require(location).split(separator: "?")[1])
            }
            // Not signed: anyone could have sent the browser here.
            let unsigned = try query(nil)
            let problem = await #expect(throws: SignInProblem.self) { _ = try await desk.desk.receiveLogout(query: unsigned) }
            #expect(try desk.audit("log-out-refused", problem?.reference ?? "-", "unsigned"))
            sender.key = try Self.key.pkcs8
            let location = try await desk.desk.receiveLogout(query: try query("_s1"))
            #expect(location?.hasPrefix("https://idp.example/slo?SAMLResponse=") == true)
            #expect(await desk.who(at: "10.1.0.1") == nil)
            #expect(await desk.who(at: "10.1.0.2") != nil)
            _ = try await desk.desk.receiveLogout(query: try query(nil))
            #expect(await desk.who(at: "10.1.0.2") == nil)
            #expect(await desk.who(at: "10.1.0.3") == "eve@example.org")
            #expect(try desk.audit("session-ended", "ada@example.org", "signed out at the identity provider"))
        }
    }

    @Test func signingOutTellsTheProvider() async throws {
        try await desk { desk in
            try desk.add()
            #expect(await desk.post(try desk.writer.response(1, email: "ada@example.org")) == nil)
            let location = try #require(await desk.desk.signOut(at: IPAddress("10.1.0.10")!))
            #expect(location.hasPrefix("https://idp.example/slo?SAMLRequest="))
            #expect(await desk.who() == nil)
            #expect(await desk.desk.signOut(at: IPAddress("10.1.0.10")!) == nil)
            #expect(try desk.audit("session-ended", "the user signed out"))
        }
    }

    /// Strangers cannot fill the disk.
    @Test func refusalsAreRecordedWithinReason() async throws {
        try await desk { desk in
            try desk.add()
            for _ in 0..<1100 { _ = await desk.post("nonsense!") }
            let lines = try desk.store.audit(limit: 5000).count { $0.action == "sign-in-refused" }
            #expect((1000..<1050).contains(lines), "\(lines) lines")
        }
    }
}
