import Access
import Base
import Host
import Identity
import Store
import Tunnels

/// The one owner of the session engine and of the gate.
///
/// Everything comes through ``inbox`` and is taken out in batches: one transaction in the store and one in the kernel for
/// each batch, so that under load many sign-ins share them. A session is stored, with its line in the audit trail,
/// before its address may pass; an end closes the gate even when it cannot be stored.
actor Gatekeeper {
    enum Message: Sendable {
        case order(Order, Reply)
        case neighbours([KernelNeighbour])
        case neighbourRemoved(IPAddress)
        /// What was told of neighbours is not all that has happened.
        case neighboursLost
        /// Someone else has changed nftables.
        case tableChanged
        /// Settings or connectors may have changed.
        case reread
        case timer
        case call(@Sendable (isolated Gatekeeper) -> Void)
        case policy(PolicyNews)
        /// The gate stays up: closed, or for those who are in as long as the lease runs, when another process takes over.
        case stop(isHandedOver: Bool)
    }

    /// What someone wants of sessions and users.
    enum Order: Sendable {
        case signIn(SignIn)
        case admit(ManualAdmission, actor: String)
        case end(SessionSelector, SessionEnd, actor: String)
        case addUser(User, actor: String)
        case changeUser(String, actor: String, @Sendable (inout User) -> [String])
        case removeUser(String, actor: String)
        /// What a directory does to users; each step as the user stands then.
        case synchronise([DirectoryStep], Directory, predecessors: [String: String], actor: String)
    }

    /// What came of an order: the sessions that it opened or ended, the user that it left.
    struct Outcome: Sendable {
        var opened: [Session] = []
        var closed: [Session] = []
        var user: User?
    }

    typealias Reply = CheckedContinuation<Outcome, any Error>

    /// What the gatekeeper works with; made by ``Gateway``.
    struct Machine: Sendable {
        var clock: SystemClock
        var table: GateTable
        /// Of the bus of nftables, for connection tracking.
        var conntrack: Netlink
        /// Of the bus for links and neighbours.
        var route: Netlink
        /// Where the closed gate stands for the next boot.
        var bootPath: String
        /// Where our own pages take unencrypted requests; a setting goes before it.
        var redirectPort: UInt16?
        /// What was stored of endpoints by the last process.
        var inventory: @Sendable () -> [InventoryChange] = { [] }
    }

    nonisolated let inbox: Inbox<Message>
    let machine: Machine
    let store: Store
    let log: EventLog
    private(set) var engine: SessionEngine
    private(set) var gate: Gate
    var policy = PolicyEngine()
    /// Brings what is known of a device up to date before it signs in.
    private(set) var prepare: (@Sendable (IPAddress) async -> Void)?
    private var alarm = Alarm()
    private var leaseAt: Tick?
    private var checkAt: Tick?
    private(set) var problem: String?
    private var isFinished = false
    private var isHandedOver = false
    var watcher: NftablesWatcher?
    /// Addresses whose entries may last otherwise in the kernel than they should: a change of theirs failed.
    private var unsure: Set<IPAddress> = []
    /// What people call the connectors, by ID.
    var siteNames: [String: String] = [:]
    /// Ends that could not be stored yet: they must not be forgotten, or a restart would let someone in again.
    private var unstored: [(record: AccessRecord, actor: String)] = []

    /// How long the gate stays open without us, and how often that is renewed.
    static let lease = Tick.Span.seconds(30)
    private static let leaseInterval = Tick.Span.seconds(10)
    /// A net under the watcher, and the time between attempts when the kernel refuses.
    private static let checkInterval = Tick.Span.seconds(60)
    private static let retryInterval = Tick.Span.seconds(2)

    init(inbox: Inbox<Message>, machine: Machine, store: Store, log: EventLog) throws {
        self.inbox = inbox
        self.machine = machine
        self.store = store
        self.log = log
        engine = SessionEngine(settings: AccessSettings(), sites: [], nextID: try store.nextSession())
        gate = Gate(GatePlan())
    }

    func use(prepare: @escaping @Sendable (IPAddress) async -> Void) { self.prepare = prepare }

    var now: Moment { Moment(machine.clock.now, machine.clock.wall) }
    var settings: AccessSettings { engine.settings }

    /// Takes up what is stored and puts the gate up, if it is to be.
    ///
    /// - Parameter patience: seconds in which it is tried again, for others may be at work in nftables as well.
    /// - Throws: why nobody can say whether there is to be a gate, or why it cannot be put up. No tunnel may carry packets
    ///   then; what stands in the kernel and for the next boot stays, closed.
    func start(patience: Int = 5) async throws {
        let (settings, sites) = try storedSite()
        engine = SessionEngine(settings: settings, sites: Set(sites.map(\.id)), nextID: try store.nextSession())
        gate = Gate(plan(settings, sites))
        startPolicies()
        policy.use(leastMatch: settings.leastMatch)
        for (address, mac) in neighbours() { _ = try? engine.receive(.neighbour(address, mac), now: now) }
        var batch = Batch()
        carryOut(
            engine.restore(users: try store.users(), sessions: try store.openSessions(), now: now), actor: "gatehoused",
            into: &batch)
        // Another card may have taken an address while we were down.
        for (address, session) in engine.sessions {
            guard let mac = engine.mac(of: address), session.mac != mac else { continue }
            let effects = (try? engine.receive(.neighbour(address, mac), now: now)) ?? []
            carryOut(effects, actor: "gatehoused", into: &batch)
        }
        touchAllSessions()
        settle(into: &batch)
        store(batch: &batch)
        _ = gate.takeChange()
        follow()
        for _ in 0..<patience where problem != nil {
            // Nothing tells when others are through with their rules.
            try await Task.sleep(for: .seconds(1))
            check(isForeign: false, isFirst: true)
        }
        guard let problem else { return }
        throw GateBroken(description: problem + " `gatehoused --gate-off` turns the gate off where it cannot be put up.")
    }

    /// Handles messages until ``Message/stop(isHandedOver:)``.
    func run() async {
        setAlarm()
        while !isFinished, let messages = await inbox.next() {
            var batch = Batch()
            for message in messages { handle(message, into: &batch) }
            commit(&batch)
            setAlarm()
        }
        alarm.cancel()
        watcher?.stop()
        inbox.close()
        if settings.isGateEnabled { try? machine.table.renewLease(isHandedOver ? Self.lease : nil) }
        // Some have asked meanwhile, and whoever stops us may have to wait for them.
        while let rest = await inbox.next() {
            for message in rest {
                switch message {
                case .order(_, let reply): reply.resume(throwing: Stopping())
                case .call(let body): body(self)
                default: break
                }
            }
        }
    }

    // MARK: - Messages

    /// What the messages of one batch come to.
    struct Batch {
        var records: [(record: AccessRecord, actor: String)] = []
        /// Addresses whose connections are cut.
        var cuts: Set<IPAddress> = []
        /// Sessions and users that are no more if they cannot be stored.
        var opened: [Session] = []
        var addedUsers: [String] = []
        var replies: [(Reply, Outcome)] = []
        var events: [(kind: String, message: String)] = []
    }

    private func handle(_ message: Message, into batch: inout Batch) {
        switch message {
        case .order(let order, let reply):
            do {
                batch.replies.append((reply, try take(order, into: &batch)))
            } catch {
                reply.resume(throwing: error)
            }
        case .neighbours(let neighbours):
            for (address, mac) in Self.cards(neighbours) { receive(.neighbour(address, mac), into: &batch) }
        case .neighbourRemoved(let address): receive(.neighbourGone(address), into: &batch)
        case .neighboursLost:
            // Where it cannot be read, what is known is better than nothing.
            let table = try? IPAddress.Family.allCases.flatMap { Self.cards(try machine.route.neighbours($0)) }
            guard let table else { return }
            receive(.neighbours(Dictionary(table, uniquingKeysWith: { first, _ in first })), into: &batch)
        case .tableChanged:
            commit(&batch)
            check(isForeign: true)
        case .reread:
            let (settings, sites) = readSite()
            let wasEnabled = engine.settings.isGateEnabled
            receive(.sites(Set(sites.map(\.id))), into: &batch)
            policy.touchAll()
            policy.use(leastMatch: settings.leastMatch)
            receive(.settings(settings), into: &batch)
            gate.use(plan(settings, sites))
            if wasEnabled != settings.isGateEnabled {
                commit(&batch, isFollowing: false)
                follow()
            }
        case .timer:
            alarm.hasRung()
            let effects = engine.wake(now: now)
            carryOut(effects, actor: "gatehoused", into: &batch)
            if effects.contains(.readTraffic) {
                receive(.traffic(traffic().mapValues(\.packetsOut)), into: &batch)
            }
            if let leaseAt, leaseAt <= machine.clock.now, !renewLease() {
                commit(&batch)
                check(isForeign: true)
            }
            if let checkAt, checkAt <= machine.clock.now {
                commit(&batch)
                check(isForeign: false)
            }
        case .call(let body):
            commit(&batch)
            body(self)
        case .policy(let news): receive(news)
        case .stop(let isHandedOver):
            isFinished = true
            self.isHandedOver = isHandedOver
        }
    }

    @discardableResult
    func receive(_ input: SessionInput, actor: String = "gatehoused", into batch: inout Batch) -> Outcome {
        // None of these can be refused.
        guard let effects = try? engine.receive(input, now: now) else { return Outcome() }
        return carryOut(effects, actor: actor, into: &batch)
    }

    private func take(_ order: Order, into batch: inout Batch) throws -> Outcome {
        switch order {
        case .signIn(let signIn):
            do throws(AdmissionRefusal) {
                let email = User.key(signIn.subject.email ?? signIn.subject.nameID)
                let judged = try judge(signIn, into: &batch)
                let effects = try engine.receive(.signIn(judged?.signIn ?? signIn), now: now)
                let outcome = carryOut(effects, actor: email, into: &batch)
                if let judged, let session = outcome.opened.first { hold(judged, session, into: &batch) }
                return outcome
            } catch {
                refuse(
                    error, signIn.address, signIn.subject.provider, signIn.reference, actor: "gatehoused", into: &batch)
                throw error
            }
        case .admit(let admission, let actor):
            do throws(AdmissionRefusal) {
                return carryOut(try engine.receive(.admit(admission, by: actor), now: now), actor: actor, into: &batch)
            } catch {
                refuse(error, admission.address, nil, nil, actor: actor, into: &batch)
                throw error
            }
        case .end(let selector, let end, let actor):
            return carryOut(try engine.receive(.end(selector, end), now: now), actor: actor, into: &batch)
        case .addUser(let user, let actor):
            guard engine.users[user.email] == nil else { throw UserExists(email: user.email) }
            var outcome = carryOut(try engine.receive(.user(user), now: now), actor: actor, into: &batch)
            batch.records.append((.user(user, action: "user-added", detail: nil), actor))
            batch.addedUsers.append(user.email)
            outcome.user = user
            return outcome
        case .changeUser(let email, let actor, let change):
            guard var user = engine.users[User.key(email)] else { throw UserUnknown(email: email) }
            let wasEnabled = user.isEnabled
            let changes = change(&user)
            guard !changes.isEmpty else { return Outcome(user: user) }
            batch.records.append((.user(user, action: "user-changed", detail: changes.joined(separator: "; ")), actor))
            let input: SessionInput = wasEnabled && !user.isEnabled ? .userDisabled(user, by: actor) : .user(user)
            var outcome = carryOut(try engine.receive(input, now: now), actor: actor, into: &batch)
            policy.touch(user: user.email)
            outcome.user = user
            return outcome
        case .synchronise(let steps, let directory, let predecessors, let actor):
            return synchronise(steps, directory, predecessors, actor, into: &batch)
        case .removeUser(let email, let actor):
            guard let user = engine.users[User.key(email)] else { throw UserUnknown(email: email) }
            var outcome = carryOut(
                try engine.receive(.userRemoved(user.email, by: actor), now: now), actor: actor, into: &batch)
            batch.records.append((.userRemoved(user.email, detail: nil), actor))
            policy.forgetDevices(of: user.email)
            outcome.user = user
            return outcome
        }
    }

    private func refuse(
        _ refusal: AdmissionRefusal, _ address: IPAddress, _ provider: String?, _ reference: String?, actor: String,
        into batch: inout Batch
    ) {
        batch.records.append(
            (.refused(refusal, address: "\(address)", provider: provider, reference: reference), actor))
        let mark = reference.map { " (\($0))" } ?? ""
        batch.events.append(("sign-in-refused", "A sign-in at \(address) was refused\(mark): \(refusal)"))
    }

    // MARK: - Effects

    @discardableResult
    private func carryOut(_ effects: [SessionEffect], actor: String, into batch: inout Batch) -> Outcome {
        var outcome = Outcome()
        for effect in effects {
            switch effect {
            case .addUser(let user, let why):
                batch.records.append((.user(user, action: "user-added", detail: why), actor))
                batch.addedUsers.append(user.email)
                outcome.user = user
            case .updateUser(let user):
                batch.records.append((.refreshedUser(user), actor))
                policy.touch(user: user.email)
                outcome.user = user
            case .open(let session, let sites, let until):
                batch.records.append((.opened(session), actor))
                batch.opened.append(session)
                batch.events.append(
                    (
                        "session-admitted",
                        "\(session.who) is admitted at \(session.address): \(session.reason)."
                    ))
                gate.put(session.address, reaching: sites, until: until)
                outcome.opened.append(session)
            case .reach(let session, let sites, let until, let cuts):
                gate.put(session.address, reaching: sites, until: until)
                if cuts { batch.cuts.insert(session.address) }
            case .learn(let session):
                batch.records.append((.changed(session), actor))
                policy.touch(session.address)
            case .close(let session, let end, let cuts):
                batch.records.append((.closed(session, end), actor))
                batch.events.append(
                    ("session-ended", "The session of \(session.who) at \(session.address) has ended: \(end.words)."))
                gate.remove(session.address)
                policy.drop(session.address)
                if cuts { batch.cuts.insert(session.address) }
                outcome.closed.append(session)
            case .readTraffic: break
            }
        }
        return outcome
    }

    /// Stores what a batch came to, then has the kernel follow, then answers.
    private func commit(_ batch: inout Batch, isFollowing: Bool = true) {
        settle(into: &batch)
        var done = Batch()
        swap(&done, &batch)
        let failure = store(batch: &done)
        if isFollowing { followChange(cutting: done.cuts) }
        for (reply, outcome) in done.replies {
            if let failure {
                reply.resume(throwing: failure)
            } else if let problem, !outcome.opened.isEmpty {
                reply.resume(throwing: GateBroken(description: problem))
            } else {
                reply.resume(returning: outcome)
            }
        }
    }

    struct GateBroken: Error, CustomStringConvertible { var description: String }

    /// - Returns: why it could not be stored: then whoever was to come in stays out.
    @discardableResult
    private func store(batch: inout Batch) -> StoreError? {
        var failure: StoreError?
        do throws(StoreError) {
            try store.write(unstored + batch.records)
            unstored = []
        } catch {
            failure = error
            unstored += batch.records.filter(\.record.isEnd)
            log.add(.error, kind: "store-failed", message: "Sessions cannot be stored: \(error)")
            for session in batch.opened {
                engine.retract(session)
                if engine.sessions[session.address] == nil {
                    gate.remove(session.address)
                    policy.drop(session.address)
                }
            }
            for email in batch.addedUsers { engine.retractUser(email) }
            batch.events = batch.events.filter { $0.kind != "session-admitted" }
        }
        for event in batch.events { log.add(.info, kind: event.kind, message: event.message) }
        return failure
    }

    // MARK: - The kernel

    /// Puts the gate up as it should be, or takes it down.
    private func follow() {
        if settings.isGateEnabled {
            check(isForeign: false, isFirst: true)
        } else {
            leaseAt = nil
            checkAt = nil
            watcher?.stop()
            watcher = nil
            do throws(NetlinkError) {
                try machine.table.remove()
                problem = nil
            } catch {
                // Without rights or nftables there is no gate to take down either.
                problem = nil
            }
        }
        writeBootFile()
    }

    private func followChange(cutting cuts: Set<IPAddress>) {
        let change = gate.takeChange()
        guard settings.isGateEnabled else { return }
        if !change.isEmpty {
            do throws(NetlinkError) {
                try machine.table.apply(change, now: machine.clock.now)
            } catch {
                // The table is not what we thought: someone changed it, or an entry's time ran out before ours.
                unsure.formUnion(change.added.map(\.address))
                check(isForeign: false)
            }
            if change.rules != nil { writeBootFile() }
        }
        cut(cuts)
    }

    /// Compares the kernel's table with what should be there, and mends it.
    private func check(isForeign: Bool, isFirst: Bool = false) {
        guard settings.isGateEnabled else { return }
        unsure.formUnion(gate.takeChange().added.map(\.address))
        let now = machine.clock.now
        checkAt = now + Self.checkInterval
        do throws(NetlinkError) {
            if let part = try machine.table.difference(from: gate.ruleset) {
                try install(now)
                if !isFirst { tellOfMending("\(part) was changed or removed by someone else and is restored") }
            } else {
                let change = gate.difference(from: try machine.table.standings(gate.places), renewing: unsure)
                if !change.isEmpty {
                    do throws(NetlinkError) {
                        try machine.table.apply(change, now: now)
                    } catch where error.kind == .refused {
                        // An address stands in some of its sets and not in others.
                        try install(now)
                    }
                    if isForeign { tellOfMending("entries were changed by someone else and are as they should be again") }
                }
            }
            try machine.table.renewLease(Self.lease)
            leaseAt = now + Self.leaseInterval
            if watcher == nil { try watch() }
            if problem != nil { log.add(.info, kind: "gate-mended", message: "The gate is as it should be again.") }
            problem = nil
            unsure = []
        } catch {
            let sentence = "The gate is not as it should be: \(error)."
            if problem != sentence { log.add(.error, kind: "gate-failed", message: sentence) }
            problem = sentence
            checkAt = now + Self.retryInterval
        }
    }

    /// False when the table is not what it should be.
    private func renewLease() -> Bool {
        leaseAt = nil
        guard settings.isGateEnabled else { return true }
        do throws(NetlinkError) {
            try machine.table.renewLease(Self.lease)
            leaseAt = machine.clock.now + Self.leaseInterval
            return true
        } catch {
            return false
        }
    }

    private func setAlarm() {
        var deadline = Deadline.earlier(engine.deadline, policy.deadline)
        if let leaseAt { deadline = Deadline.earlier(deadline, Deadline(leaseAt, "renew the gate's lease")) }
        if let checkAt { deadline = Deadline.earlier(deadline, Deadline(checkAt, "compare the gate with the kernel")) }
        guard let deadline else { return }
        alarm.set(deadline.tick, now: machine.clock.now) { [inbox] in inbox.put(.timer) }
    }
}
