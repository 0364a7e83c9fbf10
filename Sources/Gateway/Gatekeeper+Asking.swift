import Access
import Base
import Host
import Identity

/// What others ask of the gatekeeper, from anywhere.
extension Gatekeeper {
    /// Admits whom an identity provider vouched for, at an address; returns when packets pass. What the policies rest on
    /// is looked at anew before.
    ///
    /// - Parameters:
    ///   - mayCreateUser: the provider's setting; a sign-in that began at the provider always may.
    ///   - sites: what this sign-in may reach at most.
    ///   - reference: what the person is told when they are refused.
    /// - Throws: ``AdmissionRefusal``, which the audit trail has by then, or why it could not be done.
    nonisolated func admit(
        _ subject: VerifiedSubject, at address: IPAddress, mayCreateUser: Bool = false, sites: SiteChoice = .all,
        reference: String? = nil
    ) async throws -> Session {
        if let prepare = await ask({ $0.prepare }) ?? nil { await prepare(address) }
        let signIn = SignIn(
            subject: subject, address: address, mayCreateUser: mayCreateUser, sites: sites, reference: reference)
        guard let session = try await carryOut(.signIn(signIn)).opened.first else { throw Stopping() }
        return session
    }

    /// Ends the session at an address because its user wants that; nil when there was none.
    nonisolated func signOut(at address: IPAddress) async throws -> Session? {
        let actor = await presence(at: address)?.session.who ?? "\(address)"
        return try await carryOut(.end(.address(address), .signedOut, actor: actor)).closed.first
    }

    /// Who is in at an address, with the connectors that are reached at this moment: their names and networks.
    struct Presence: Sendable {
        var session: Session
        var user: User?
        var sites: [(name: String, networks: [IPPrefix])]
    }

    /// Who is in at an address; nil for nobody.
    nonisolated func presence(at address: IPAddress) async -> Presence? {
        await ask { keeper in
            keeper.engine.sessions[address].map { session in
                let reach = keeper.engine.reach(of: session)
                return Presence(
                    session: session, user: session.user.flatMap { keeper.engine.users[$0] },
                    sites: keeper.gate.plan.sites.filter { reach.contains($0.id) }.map {
                        (keeper.siteNames[$0.id] ?? $0.id, $0.networks)
                    })
            }
        } ?? nil
    }

    /// Has an order carried out; returns when the kernel has followed.
    nonisolated func carryOut(_ order: Order) async throws -> Outcome {
        try await withCheckedThrowingContinuation { reply in
            if !inbox.put(.order(order, reply)) { reply.resume(throwing: Stopping()) }
        }
    }

    struct UserExists: Error { var email: String }
    struct UserUnknown: Error { var email: String }

    struct Stopping: Error, CustomStringConvertible {
        var description: String { "The gateway is stopping." }
    }

    /// Answers a question from the engine's owner's place; nil when the gateway is stopping.
    nonisolated func ask<Value: Sendable>(_ body: @escaping @Sendable (isolated Gatekeeper) -> Value) async -> Value? {
        await withCheckedContinuation { continuation in
            let isTaken = inbox.put(.call { keeper in continuation.resume(returning: body(keeper)) })
            if !isTaken { continuation.resume(returning: nil) }
        }
    }

    /// What the kernel has counted for everyone who is in; nothing while the gate is off.
    func traffic() -> [IPAddress: GateTable.Traffic] {
        guard settings.isGateEnabled else { return [:] }
        return (try? machine.table.traffic()) ?? [:]
    }

    /// Which card has which address, as far as the kernel knows at this moment.
    func neighbours() -> [(IPAddress, MACAddress)] {
        IPAddress.Family.allCases.flatMap { Self.cards((try? machine.route.neighbours($0)) ?? []) }
    }

    static func cards(_ neighbours: [KernelNeighbour]) -> [(IPAddress, MACAddress)] {
        neighbours.compactMap { neighbour in
            guard neighbour.isValid, let mac = MACAddress(bytes: neighbour.hardwareAddress), mac.value != 0 else {
                return nil
            }
            return (neighbour.address, mac)
        }
    }

    func counters() -> [String: UInt64] {
        guard settings.isGateEnabled else { return [:] }
        return (try? machine.table.counters()) ?? [:]
    }
}
