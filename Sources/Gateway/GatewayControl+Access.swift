import Access
import Base
import Host
import Portal
import Store
import Tunnels

extension GatewayControl {
    func gate() async -> GateStatus {
        var status =
            await gatekeeper.ask { keeper in
                let counters = keeper.counters()
                return GateStatus(
                    settings: keeper.settings, problem: keeper.problem, sessions: keeper.engine.sessions.count,
                    packetsRefused: counters["refused"] ?? 0, packetsDiscarded: counters["discarded"] ?? 0)
            } ?? GateStatus(settings: AccessSettings(), problem: "The gateway is stopping.")
        status.portal = webPages?.pages.address.origin
        status.portalProblem = webPages?.problem
        if status.redirectPort == nil { status.redirectPort = webPages?.pages.redirectPort }
        return status
    }

    func sessions() async -> [SessionStatus] {
        await gatekeeper.ask { keeper in
            let traffic = keeper.traffic()
            return keeper.engine.sessions.values.sorted { $0.id < $1.id }.map {
                keeper.status($0, traffic[$0.address])
            }
        } ?? []
    }

    func changeGate(_ change: GateChange, caller: Caller) async throws -> GateStatus {
        var settings = AccessSettings.read(try refusing { () throws(StoreError) in try store.settings() }).0
        let wasEnabled = settings.isGateEnabled
        if let isEnabled = change.isEnabled { settings.isGateEnabled = isEnabled }
        for prefix in (change.addExempt ?? []).map(\.network) where !settings.exempt.contains(prefix) {
            settings.exempt.append(prefix)
        }
        for prefix in (change.removeExempt ?? []).map(\.network) {
            guard let index = settings.exempt.firstIndex(of: prefix) else {
                throw APIError.notFound("\(prefix) is not exempt. `gatehouse gate exempt list` shows what is.")
            }
            settings.exempt.remove(at: index)
        }
        if let interfaces = change.interfaces { settings.interfaces = interfaces }
        if let inbound = change.inbound { settings.inbound = inbound }
        if let port = change.redirectPort { settings.redirectPort = port == 0 ? nil : port }
        if let seconds = change.sessionSeconds { settings.sessionSeconds = seconds }
        if let seconds = change.idleSeconds { settings.idleSeconds = seconds == 0 ? nil : seconds }
        if let sites = change.sites { settings.sites = sites }
        if let level = change.leastMatch { settings.leastMatch = level }
        if let file = change.leaseFile { settings.leaseFile = file.isEmpty ? nil : file }
        // What is written must be readable, by the same rules as a site file.
        let stored = settings.stored
        let faults = AccessSettings.read(
            Dictionary(uniqueKeysWithValues: stored.compactMap { item in item.value.map { (item.name, $0) } })
        ).faults
        guard faults.isEmpty else { throw APIError.invalid(faults.joined(separator: " ")) }
        for (name, value) in stored {
            try refusing { () throws(StoreError) in
                try store.set(name, to: value, by: Change(actor: caller.description))
            }
        }
        if let isEnabled = change.isEnabled {
            log.add(
                .info, kind: "gate-\(isEnabled ? "enabled" : "disabled")",
                message: "\(caller) turned the gate \(isEnabled ? "on" : "off").")
        }
        gatekeeper.inbox.put(.reread)
        if settings.isGateEnabled, !wasEnabled { try await takeBackUnlessUp(caller) }
        return await gate()
    }

    /// A gate that cannot be put up stays off: the daemon would not start with it.
    private func takeBackUnlessUp(_ caller: Caller) async throws {
        guard let problem = await gatekeeper.ask({ $0.problem }) ?? nil else { return }
        try refusing { () throws(StoreError) in
            try store.set("gate.enabled", to: nil, by: Change(actor: caller.description, reason: problem))
        }
        gatekeeper.inbox.put(.reread)
        throw APIError.unavailable("\(problem) The gate stays off.")
    }

    func admit(_ admission: ManualAdmission, caller: Caller) async throws -> SessionStatus {
        if let seconds = admission.seconds, !(60...31 * 86_400).contains(seconds) {
            throw APIError.invalid("A session lasts from a minute to 31 days.")
        }
        let outcome = try await order(.admit(admission, actor: caller.description))
        guard let session = outcome.opened.first else { throw APIError.internal("No session was opened.") }
        return await status(session)
    }

    func revoke(_ order: RevocationOrder, caller: Caller) async throws -> [SessionStatus] {
        let selectors: [SessionSelector] = [
            order.id.map(SessionSelector.id), order.user.map(SessionSelector.user),
            order.address.map(SessionSelector.address), order.all == true ? .all : nil,
        ].compactMap(\.self)
        guard selectors.count == 1, let selector = selectors.first else {
            throw APIError.badRequest("Name one of id, user, address and all.")
        }
        let actor = caller.description
        let before = await sessions()
        let closed = try await self.order(
            .end(selector, .revoked(by: actor, reason: order.reason), actor: actor)
        ).closed
        if closed.isEmpty, selector != .all {
            throw APIError.notFound("There is no such session. `gatehouse session list` shows those there are.")
        }
        return closed.map { session in
            before.first { $0.id == session.id } ?? SessionStatus(session, user: nil, sites: [])
        }
    }

    func users() async throws -> [UserStatus] {
        await gatekeeper.ask { keeper in
            keeper.engine.users.values.sorted { $0.email < $1.email }.map { keeper.status($0) }
        } ?? []
    }

    func addUser(_ user: UserOrder, caller: Caller) async throws -> UserStatus {
        guard User.isAddress(user.email) else {
            throw APIError.invalid("'\(user.email)' is no e-mail address.")
        }
        let value = User(
            email: user.email, firstName: user.firstName, lastName: user.lastName, source: "local",
            groups: user.groups ?? [], tags: user.tags ?? [], sites: user.sites, createdAt: SystemClock().wall)
        return try await status(of: order(.addUser(value, actor: caller.description)).user)
    }

    func changeUser(email: String, _ change: UserChange, caller: Caller) async throws -> UserStatus {
        let outcome = try await order(
            .changeUser(email, actor: caller.description) { user in
                var changes: [String] = []
                func set<Value: Equatable>(
                    _ place: WritableKeyPath<User, Value>, _ value: Value?, _ words: String
                ) {
                    guard let value, user[keyPath: place] != value else { return }
                    user[keyPath: place] = value
                    changes.append(words)
                }
                if let isEnabled = change.isEnabled { changes += user.setEnabled(isEnabled) }
                set(\.firstName, change.firstName.map(Optional.some), "first name \(change.firstName ?? "")")
                set(\.lastName, change.lastName.map(Optional.some), "last name \(change.lastName ?? "")")
                set(\.groups, change.groups, "groups \((change.groups ?? []).joined(separator: ", "))")
                set(\.tags, change.tags, "tags \((change.tags ?? []).joined(separator: ", "))")
                set(\.sites, change.sites.map(Optional.some), "sites \(change.sites?.description ?? "")")
                if change.usesDefaultSites == true { set(\.sites, .some(nil), "sites as the setting says") }
                return changes
            })
        return try await status(of: outcome.user)
    }

    func removeUser(email: String, caller: Caller) async throws {
        _ = try await order(.removeUser(email, actor: caller.description))
    }

    // MARK: - Parts

    private func status(_ session: Session) async -> SessionStatus {
        await gatekeeper.ask { keeper in keeper.status(session, nil) } ?? SessionStatus(session, user: nil, sites: [])
    }

    private func status(of user: User?) async throws -> UserStatus {
        guard let user else { throw APIError.internal("The user is not there.") }
        return await gatekeeper.ask { keeper in keeper.status(user) } ?? UserStatus(user, reaches: [], sessions: [])
    }

    /// Has the gatekeeper do something; what keeps it from that comes as an answer of ours.
    func order(_ order: Gatekeeper.Order) async throws -> Gatekeeper.Outcome {
        do {
            return try await gatekeeper.carryOut(order)
        } catch let error as AdmissionRefusal {
            if case .noSuchUser = error { throw APIError.notFound(error.description) }
            throw APIError.invalid(error.description)
        } catch let error as Gatekeeper.UserExists {
            throw APIError.conflict("There is a user '\(error.email)' already.")
        } catch let error as Gatekeeper.UserUnknown {
            throw APIError.notFound("There is no user '\(error.email)'. `gatehouse user list` shows those that exist.")
        } catch let error as StoreError {
            throw APIError(error)
        } catch {
            throw APIError.unavailable("\(error)")
        }
    }
}

extension Gatekeeper {
    func status(_ session: Session, _ traffic: GateTable.Traffic?) -> SessionStatus {
        SessionStatus(
            session, user: session.user.flatMap { engine.users[$0] }, sites: engine.reach(of: session).sorted(),
            bytesOut: traffic?.bytesOut ?? 0, bytesIn: traffic?.bytesIn ?? 0, packetsOut: traffic?.packetsOut ?? 0,
            packetsIn: traffic?.packetsIn ?? 0)
    }

    func status(_ user: User) -> UserStatus {
        UserStatus(
            user, reaches: engine.reach(ofUser: user.email).sorted(),
            sessions: engine.sessions(ofUser: user.email).map(\.id))
    }
}
