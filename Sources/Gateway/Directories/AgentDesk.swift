import Base
import Cryptography
import Foundation
import Host
import Identity
import JSONText
import Portal
import Store
import Tunnels

/// Answers directory agents: gives them tokens for their client ID and secret, and takes what they bring.
///
/// What an agent brings counts when its last part is here, and not before. Everything that it did stands in the log of its
/// API access.
actor AgentDesk {
    private struct Ticket {
        var access: String
        var endsAt: Tick
    }

    /// What has come of a directory so far.
    private struct Delivery {
        var run: String
        var nextPart = 0
        var mirror = DirectoryMirror()
        var size = 0
        var began: Tick
    }

    private let store: Store
    private let directories: DirectoryDesk
    private let log: EventLog
    private let clock: SystemClock
    private let random: @Sendable (Int) -> [UInt8]
    /// By the SHA-256 of the token.
    private var tickets: [[UInt8]: Ticket] = [:]
    private var deliveries: [String: Delivery] = [:]

    private static let life = Tick.Span.seconds(3600)
    /// Tokens at a time; whoever asks for more loses the oldest.
    private static let ticketLimit = 1000
    /// A delivery that stands still is forgotten.
    private static let patience = Tick.Span.seconds(600)

    init(
        store: Store, directories: DirectoryDesk, log: EventLog, clock: SystemClock,
        random: @escaping @Sendable (Int) -> [UInt8]
    ) {
        self.store = store
        self.directories = directories
        self.log = log
        self.clock = clock
        self.random = random
    }

    func answer(_ request: AgentRequest) async -> AgentAnswer {
        switch request.name {
        case "token": giveToken(request)
        case "directory": await take(request)
        default: Self.refusal(404, "not_found", "There is nothing at this address.")
        }
    }

    private static func refusal(_ status: Int, _ code: String, _ words: String) -> AgentAnswer {
        let members = [JSON.Member("error", .string(code)), JSON.Member("error_description", .string(words))]
        return AgentAnswer(status: status, body: JSON.object(members).text())
    }

    // MARK: - Signing in

    private func giveToken(_ request: AgentRequest) -> AgentAnswer {
        func text(_ name: String) -> String? { request.form?[name].flatMap { String(validating: $0, as: UTF8.self) } }
        guard text("grant_type") == "client_credentials" else {
            return Self.refusal(400, "unsupported_grant_type", "Only client_credentials is known here.")
        }
        guard let clientID = text("client_id"), let secret = request.form?["client_secret"],
            let known = (try? store.secretHash(ofClient: clientID)) ?? nil
        else {
            return Self.refusal(401, "invalid_client", "The client ID or the secret is wrong.")
        }
        // Compared in constant time.
        guard Secret(Hash.digest(.sha256, [secret])) == Secret(known.hash) else {
            note("sign-in-refused", "from \(request.address): a wrong secret", known.access)
            return Self.refusal(401, "invalid_client", "The client ID or the secret is wrong.")
        }
        let now = clock.now
        tickets = tickets.filter { $0.value.endsAt > now }
        if tickets.count >= Self.ticketLimit, let oldest = tickets.min(by: { $0.value.endsAt < $1.value.endsAt }) {
            tickets[oldest.key] = nil
        }
        let token = Base64URL.encode(random(32))
        tickets[Hash.digest(.sha256, [Array(token.utf8)])] = Ticket(access: known.access, endsAt: now + Self.life)
        note("signed-in", "from \(request.address)", known.access)
        let members = [
            JSON.Member("access_token", .string(token)), JSON.Member("token_type", .string("Bearer")),
            JSON.Member("expires_in", .number(String(Self.life.nanoseconds / 1_000_000_000))),
        ]
        return AgentAnswer(status: 200, body: JSON.object(members).text())
    }

    private func access(_ authorization: Secret?) -> String? {
        guard let authorization, authorization.count > 7 else { return nil }
        let hash = authorization.withUnsafeBytes { bytes -> [UInt8]? in
            bytes.prefix(7).elementsEqual("Bearer ".utf8) ? Hash.digest(.sha256, [Array(bytes.dropFirst(7))]) : nil
        }
        guard let hash, let ticket = tickets[hash], ticket.endsAt > clock.now else { return nil }
        // An access that was removed takes its tokens along.
        let isKnown = ((try? store.apiAccesses()) ?? []).contains { $0.id == ticket.access }
        return isKnown ? ticket.access : nil
    }

    // MARK: - What is brought

    private func take(_ request: AgentRequest) async -> AgentAnswer {
        guard let access = access(request.authorization) else {
            return Self.refusal(401, "invalid_token", "The token is not, or no longer, good here.")
        }
        let push: DirectoryPush
        do {
            push = try JSONDecoder().decode(DirectoryPush.self, from: Data(request.body))
        } catch {
            note("push-refused", "it cannot be read", access)
            return Self.refusal(400, "invalid_request", "The body is no part of a directory in JSON.")
        }
        let now = clock.now
        deliveries = deliveries.filter { now - $0.value.began < Self.patience }
        if push.part == 0 { deliveries[access] = Delivery(run: push.run, began: now) }
        guard var delivery = deliveries[access], delivery.run == push.run, delivery.nextPart == push.part else {
            deliveries[access] = nil
            note("push-refused", "part \(push.part) did not follow", access)
            return Self.refusal(409, "out_of_order", "Part \(push.part) does not follow what is here. Begin anew with part 0.")
        }
        delivery.size += push.people.count + push.groups.reduce(push.groups.count) { $0 + $1.members.count }
        guard delivery.size <= DirectoryPush.limit else {
            deliveries[access] = nil
            note("push-refused", "more than \(DirectoryPush.limit) people, groups and members", access)
            return Self.refusal(413, "too_large", "No directory is that large.")
        }
        delivery.mirror.take(push)
        delivery.nextPart += 1
        deliveries[access] = delivery
        guard push.isLast else { return AgentAnswer(status: 202, body: #"{"taken":true}"#) }
        deliveries[access] = nil
        return await finish(delivery.mirror, access)
    }

    private func finish(_ mirror: DirectoryMirror, _ access: String) async -> AgentAnswer {
        let counts = "\(mirror.peopleCount) people in \(mirror.groupCount) groups"
        let served = await directories.reports().reports.filter { $0.directory.apiAccess == access }
        guard !served.isEmpty else {
            note("push-refused", "\(counts), and no directory here has this API access", access)
            return Self.refusal(
                409, "no_directory", "No directory at the gateway has this API access: `gatehouse directory add agent`.")
        }
        for report in served {
            let id = report.directory.id
            do throws(DirectoryFault) {
                try await directories.take(mirror, for: id)
            } catch {
                note("push-failed", "\(counts) for \(id): \(error)", access)
                return Self.refusal(503, "failed", error.description)
            }
            guard let after = await directories.report(id)?.standing else { continue }
            if let question = after.question {
                note("push-waits", "\(counts) for \(id): \(question)", access)
                return Self.refusal(409, "asks", question)
            }
            note(
                "push-taken",
                "\(counts) for \(id): \(after.added) added, \(after.changed) changed, \(after.disabled) disabled", access)
        }
        return AgentAnswer(status: 200, body: #"{"taken":true,"done":true}"#)
    }

    private func note(_ type: String, _ details: String, _ access: String) {
        do throws(StoreError) {
            try store.log(type, details, ofAccess: access)
        } catch {
            log.add(.error, kind: "store-failed", message: "The log of the API access \(access) cannot be written: \(error)")
        }
    }
}
