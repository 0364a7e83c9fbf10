public import Base
internal import Identity

/// Who is in, and until when: users, sessions and every deadline of theirs.
///
///     sign-in, admission by hand ─▶ open ─▶ expired · idle · signed out · revoked · user disabled or removed ·
///                                          address changed hands · replaced · nothing allowed ─▶ closed
///
/// There is one session to an address. The engine decides; its effects are carried out in their order by the one who
/// owns it, and a session whose storing failed is given back with ``retract(_:)``.
public struct SessionEngine: Sendable {
    public private(set) var users: [String: User] = [:]
    public private(set) var sessions: [IPAddress: Session] = [:]
    public private(set) var settings: AccessSettings
    /// The connectors that exist.
    public private(set) var sites: Set<String>
    private var lives: [IPAddress: Life] = [:]
    private var addresses: [String: Set<IPAddress>] = [:]
    private var byID: [Int64: IPAddress] = [:]
    private var expiries = ExpiryQueue()
    private var nextID: Int64
    private var nextTraffic: Tick?
    /// The cards of neighbours, also of those who have not signed in, so far as there are not too many of them.
    private var neighbours: [IPAddress: MACAddress] = [:]

    /// What is known of a session on the monotonic clock.
    private struct Life: Sendable {
        var expires: Tick
        var active: Tick
        var packets: UInt64 = 0
        var reach: Set<String>
        /// What the policies allow; nil where they are not asked.
        var allowed: Set<String>?
    }

    /// How much longer than the session the kernel keeps its entry: the session ends by our hand, and the kernel's own
    /// limit is for the case that we are gone.
    public static let kernelMargin = Tick.Span.seconds(5)
    /// Addresses whose cards are remembered; beyond it only those of sessions. Whoever floods a network with addresses does
    /// not fill our memory.
    public static let neighbourLimit = 65_536
    /// How far the clock may have gone back over a restart before it tells nothing of a session any more.
    public static let clockSlack = Tick.Span.seconds(5 * 60)

    /// - Parameter nextID: above every number that was ever given.
    public init(settings: AccessSettings, sites: Set<String>, nextID: Int64 = 1) {
        self.settings = settings
        self.sites = sites
        self.nextID = nextID
    }

    // MARK: - The engine

    /// Takes up users and sessions as they were stored. Those whose time is over or cannot be told, whose user is gone or
    /// disabled, are closed; the others are opened in the gate.
    public mutating func restore(users stored: [User], sessions open: [Session], now: Moment) -> [SessionEffect] {
        users = Dictionary(stored.map { ($0.email, $0) }) { first, _ in first }
        var effects: [SessionEffect] = []
        for session in open {
            nextID = max(nextID, session.id + 1)
            let left = Self.left(of: session, now.wall)
            if left <= .zero {
                effects.append(.close(session, .expired, cuts: true))
            } else if Self.isBeforeItsTime(session, now.wall) {
                let reason = "the clock shows a time before the session began, so that nobody knows how much of it is left"
                effects.append(.close(session, .revoked(by: "gatehoused", reason: reason), cuts: true))
            } else if let email = session.user, users[email]?.isEnabled != true {
                let end: SessionEnd =
                    users[email] == nil ? .userRemoved(by: "gatehoused") : .userDisabled(by: "gatehoused")
                effects.append(.close(session, end, cuts: true))
            } else {
                let reach = reach(of: session)
                let expires = now.tick + left
                hold(session, Life(expires: expires, active: now.tick, reach: reach))
                effects.append(.reach(session, sites: reach, until: expires + Self.kernelMargin, cuts: false))
            }
        }
        planTraffic(now)
        return effects
    }

    /// How long a stored session may still go on: never longer than it may last in all, whatever the clock shows after a
    /// boot.
    private static func left(of session: Session, _ now: WallTime) -> Tick.Span {
        min(span(from: now, to: session.expiresAt), span(from: session.startedAt, to: session.expiresAt))
    }

    /// Whether the clock shows a time well before the beginning of a session: it was set back, or its battery is empty. The
    /// session might have been over for days.
    private static func isBeforeItsTime(_ session: Session, _ now: WallTime) -> Bool {
        span(from: now, to: session.startedAt) > clockSlack
    }

    /// The time between two moments, and no more than any session lasts: years of it would not fit the clock.
    private static func span(from start: WallTime, to end: WallTime) -> Tick.Span {
        let longest = Tick.Span.seconds(AccessSettings.sessionSecondsRange.upperBound)
        let (nanoseconds, isOverflow) = end.nanoseconds.subtractingReportingOverflow(start.nanoseconds)
        guard !isOverflow else { return start < end ? longest : .zero }
        return min(Tick.Span(nanoseconds: nanoseconds), longest)
    }

    /// - Throws: why somebody is not admitted; nothing has changed then.
    public mutating func receive(_ input: SessionInput, now: Moment) throws(AdmissionRefusal) -> [SessionEffect] {
        switch input {
        case .signIn(let signIn): return try receive(signIn, now)
        case .admit(let admission, let actor): return try receive(admission, by: actor, now)
        case .end(let selector, let end): return select(selector).map { close($0, end) }
        case .user(let user):
            users[user.email] = user
            return reconsider(user.email)
        case .userDisabled(let user, let actor):
            users[user.email] = user
            return select(.user(user.email)).map { close($0, .userDisabled(by: actor)) }
        case .userRemoved(let email, let actor):
            let effects = select(.user(User.key(email))).map { close($0, .userRemoved(by: actor)) }
            users[User.key(email)] = nil
            return effects
        case .settings(let new):
            guard new != settings else { return [] }
            settings = new
            return reconsider(nil)
        case .sites(let new):
            guard new != sites else { return [] }
            sites = new
            return reconsider(nil)
        case .neighbour(let address, let mac): return receive(address, at: mac)
        case .neighbourGone(let address):
            neighbours[address] = nil
            return []
        case .neighbours(let cards): return receive(cards)
        case .traffic(let packets): return receive(packets, now)
        case .allowed(let address, let sites): return receive(address, allowing: sites)
        }
    }

    /// Ends what is due and asks for the counters when it is time.
    public mutating func wake(now: Moment) -> [SessionEffect] {
        var effects: [SessionEffect] = []
        while let address = expiries.popDue(now.tick) {
            guard let session = sessions[address], let life = lives[address], life.expires <= now.tick else { continue }
            effects.append(close(session, .expired))
        }
        if let nextTraffic, nextTraffic <= now.tick {
            effects.append(.readTraffic)
            planTraffic(now)
        }
        return effects
    }

    /// When ``wake(now:)`` has something to do.
    public var deadline: Deadline? {
        Deadline.earlier(
            expiries.first.map { Deadline($0, "a session is over") },
            nextTraffic.map { Deadline($0, "read the sessions' counters") })
    }

    /// Forgets a session that could not be stored; the gate must not have it.
    public mutating func retract(_ session: Session) {
        guard sessions[session.address]?.id == session.id else { return }
        drop(session)
    }

    /// Forgets a user that could not be stored.
    public mutating func retractUser(_ email: String) { users[email] = nil }

    // MARK: - Questions

    public func session(id: Int64) -> Session? { byID[id].flatMap { sessions[$0] } }

    /// The sessions of a user, in the order of their addresses.
    public func sessions(ofUser email: String) -> [Session] { select(.user(email)) }

    /// What a session may reach at this moment.
    public func reach(of session: Session) -> Set<String> {
        let open = claim(of: session)
        return lives[session.address]?.allowed.map(open.intersection) ?? open
    }

    /// What a session may reach as far as the policies allow it.
    public func claim(of session: Session) -> Set<String> {
        let own = session.user.map { users[$0]?.sites ?? settings.sites } ?? .all
        return session.sites.intersection(own).among(sites)
    }

    /// The same of a user, whatever a sign-in brings.
    public func claim(of user: User) -> Set<String> { (user.sites ?? settings.sites).among(sites) }

    /// The same of a sign-in by a user as it leaves them.
    public func claim(of signIn: SignIn, by user: User) -> Set<String> {
        signIn.sites.intersection(user.sites ?? settings.sites).among(sites)
    }

    /// What a user may reach, whatever else a sign-in brings.
    public func reach(ofUser email: String) -> Set<String> {
        (users[User.key(email)]?.sites ?? settings.sites).among(sites)
    }

    /// How long a session has been without a packet, as far as the counters were read.
    public func idle(_ session: Session, now: Tick) -> Tick.Span? {
        lives[session.address].map { now - $0.active }
    }

    /// The card that the kernel has at an address at this moment, as far as it is known; a session has its own beside it.
    public func mac(of address: IPAddress) -> MACAddress? { neighbours[address] }

    // MARK: - Admission

    /// The user as a sign-in leaves them.
    public func user(of signIn: SignIn, now: Moment) throws(AdmissionRefusal) -> User {
        let subject = signIn.subject
        guard Self.isUsable(signIn.address) else { throw .unusableAddress(signIn.address) }
        guard let email = [subject.email, subject.nameID].compactMap(\.self).first(where: User.isAddress) else {
            throw .noEmail(nameID: subject.nameID)
        }
        let key = User.key(email)
        var user: User
        if let known = users[key] {
            guard known.isEnabled else { throw .userDisabled(key) }
            user = known
        } else {
            guard subject.isIdPInitiated || signIn.mayCreateUser else {
                throw .unknownUser(key, provider: subject.provider)
            }
            user = User(email: key, source: subject.provider, createdAt: now.wall)
        }
        user.firstName = subject.firstName ?? user.firstName
        user.lastName = subject.lastName ?? user.lastName
        if user.source != "local" || !subject.groups.isEmpty {
            // The teams of directories are theirs to give and take.
            let teams = user.origins.filter(\.isActive).map(\.team)
            user.groups = subject.groups + teams.filter { !subject.groups.contains($0) }
        }
        user.lastSignInAt = now.wall
        return user
    }

    private mutating func receive(_ signIn: SignIn, _ now: Moment) throws(AdmissionRefusal) -> [SessionEffect] {
        let subject = signIn.subject
        let user = try user(of: signIn, now: now)
        let key = user.email
        var expires = now.wall + .seconds(settings.sessionSeconds)
        if let end = subject.sessionNotOnOrAfter {
            guard end > now.wall else { throw .providerSessionOver(key) }
            expires = min(expires, end)
        }
        var allowed = claim(of: signIn, by: user)
        if let some = signIn.allowed { allowed.formIntersection(some) }
        guard !allowed.isEmpty else { throw .nothingAllowed(key) }

        var effects: [SessionEffect] = []
        if users[key] == nil {
            let how = subject.isIdPInitiated ? "by a sign-in that began there" : "as its setting allows"
            effects.append(.addUser(user, why: "brought by \(subject.provider), \(how)"))
        } else {
            effects.append(.updateUser(user))
        }
        users[key] = user
        let session = Session(
            id: nextID, user: key, address: signIn.address, mac: neighbours[signIn.address], device: signIn.device,
            endpoints: signIn.endpoints, provider: subject.provider, sites: signIn.sites, startedAt: now.wall,
            expiresAt: expires, idleSeconds: settings.idleSeconds,
            reason: "signed in with \(subject.provider)" + (signIn.decision.map { ", \($0)" } ?? ""),
            nameID: subject.nameID, sessionIndex: subject.sessionIndex)
        return effects + open(session, allowed, policies: signIn.allowed, now)
    }

    private mutating func receive(
        _ admission: ManualAdmission, by actor: String, _ now: Moment
    ) throws(AdmissionRefusal) -> [SessionEffect] {
        guard Self.isUsable(admission.address) else { throw .unusableAddress(admission.address) }
        let key = admission.user.map(User.key)
        if let key {
            guard let user = users[key] else { throw .noSuchUser(key) }
            guard user.isEnabled else { throw .userDisabled(key) }
        }
        let session = Session(
            id: nextID, user: key, address: admission.address, mac: neighbours[admission.address],
            sites: admission.sites, startedAt: now.wall,
            expiresAt: now.wall + .seconds(admission.seconds ?? settings.sessionSeconds),
            idleSeconds: settings.idleSeconds,
            reason: "admitted by \(actor)" + (admission.note.map { ": \($0)" } ?? ""))
        let allowed = reach(of: session)
        guard !allowed.isEmpty else { throw .nothingAllowed(session.who) }
        return open(session, allowed, now)
    }

    private mutating func open(
        _ session: Session, _ allowed: Set<String>, policies: Set<String>? = nil, _ now: Moment
    ) -> [SessionEffect] {
        nextID += 1
        var effects: [SessionEffect] = []
        if let old = sessions[session.address] {
            // The same user goes on, with what is the same device as far as anyone can tell.
            let goesOn = old.user != nil && old.user == session.user && (old.mac == nil || old.mac == session.mac)
            effects.append(close(old, .replaced(by: session.who), cuts: !goesOn))
        }
        let left = Tick.Span(nanoseconds: session.expiresAt.nanoseconds &- now.wall.nanoseconds)
        let expires = now.tick + left
        hold(session, Life(expires: expires, active: now.tick, reach: allowed, allowed: policies))
        if session.idleSeconds != nil, nextTraffic == nil { planTraffic(now) }
        return effects + [.open(session, sites: allowed, until: expires + Self.kernelMargin)]
    }

    private static func isUsable(_ address: IPAddress) -> Bool {
        !address.isUnspecified && !address.isMulticast && !address.isLoopback && address != .v4(.max)
    }

    // MARK: - What happens to sessions

    /// Looks at the sessions of one user, or all, after what they may reach has changed.
    private mutating func reconsider(_ email: String?) -> [SessionEffect] {
        var effects: [SessionEffect] = []
        for session in select(email.map(SessionSelector.user) ?? .all) {
            if let user = session.user, users[user]?.isEnabled == false { continue }
            let reach = reach(of: session)
            guard let life = lives[session.address], life.reach != reach else { continue }
            if let user = session.user, (users[user]?.sites ?? settings.sites) == .only([]) {
                effects.append(close(session, .nothingAllowed))
                continue
            }
            lives[session.address]?.reach = reach
            effects.append(
                .reach(
                    session, sites: reach, until: life.expires + Self.kernelMargin,
                    cuts: !life.reach.isSubset(of: reach)))
        }
        return effects
    }

    private mutating func receive(_ address: IPAddress, allowing sites: Set<String>) -> [SessionEffect] {
        guard let session = sessions[address], var life = lives[address], life.allowed != sites else { return [] }
        let before = life.reach
        life.allowed = sites
        life.reach = claim(of: session).intersection(sites)
        lives[address] = life
        guard life.reach != before else { return [] }
        return [
            .reach(
                session, sites: life.reach, until: life.expires + Self.kernelMargin,
                cuts: !before.isSubset(of: life.reach))
        ]
    }

    private mutating func receive(_ address: IPAddress, at mac: MACAddress) -> [SessionEffect] {
        if sessions[address] != nil || neighbours[address] != nil || neighbours.count < Self.neighbourLimit {
            neighbours[address] = mac
        }
        guard var session = sessions[address] else { return [] }
        guard let known = session.mac else {
            session.mac = mac
            sessions[address] = session
            return [.learn(session)]
        }
        return known == mac ? [] : [close(session, .addressChangedHands(to: mac))]
    }

    private mutating func receive(_ cards: [IPAddress: MACAddress]) -> [SessionEffect] {
        neighbours = [:]
        var effects: [SessionEffect] = []
        for address in sessions.keys.sorted() {
            if let mac = cards[address] { effects += receive(address, at: mac) }
        }
        for (address, mac) in cards where neighbours.count < Self.neighbourLimit { neighbours[address] = mac }
        return effects
    }

    private mutating func receive(_ packets: [IPAddress: UInt64], _ now: Moment) -> [SessionEffect] {
        var effects: [SessionEffect] = []
        for (address, session) in sessions {
            guard var life = lives[address] else { continue }
            if let count = packets[address], count != life.packets {
                life.packets = count
                life.active = now.tick
                lives[address] = life
            } else if let seconds = session.idleSeconds, now.tick - life.active >= .seconds(seconds) {
                effects.append(close(session, .idle(seconds: seconds)))
            }
        }
        return effects
    }

    /// The counters are read so often that an idle session is noticed within a quarter of its limit.
    private mutating func planTraffic(_ now: Moment) {
        guard !sessions.isEmpty else { return nextTraffic = nil }
        let shortest = sessions.values.lazy.compactMap(\.idleSeconds).min()
        guard let shortest else { return nextTraffic = nil }
        nextTraffic = now.tick + .seconds(max(1, min(30, shortest / 4)))
    }

    // MARK: - Parts

    private func select(_ selector: SessionSelector) -> [Session] {
        switch selector {
        case .id(let id): session(id: id).map { [$0] } ?? []
        case .address(let address): sessions[address].map { [$0] } ?? []
        case .user(let email):
            (addresses[User.key(email)] ?? []).sorted().compactMap { sessions[$0] }
        case .provider(let provider, let nameID, let index):
            sessions.values.filter {
                $0.provider == provider && (nameID == nil || $0.nameID == nameID)
                    && (index == nil || $0.sessionIndex == index)
            }.sorted { $0.id < $1.id }
        case .all: sessions.values.sorted { $0.id < $1.id }
        }
    }

    private mutating func close(_ session: Session, _ end: SessionEnd, cuts: Bool = true) -> SessionEffect {
        drop(session)
        return .close(session, end, cuts: cuts)
    }

    private mutating func hold(_ session: Session, _ life: Life) {
        sessions[session.address] = session
        lives[session.address] = life
        byID[session.id] = session.address
        if let user = session.user { addresses[user, default: []].insert(session.address) }
        expiries.set(session.address, life.expires)
    }

    private mutating func drop(_ session: Session) {
        sessions[session.address] = nil
        lives[session.address] = nil
        byID[session.id] = nil
        if neighbours.count > Self.neighbourLimit { neighbours[session.address] = nil }
        expiries.remove(session.address)
        if let user = session.user {
            addresses[user]?.remove(session.address)
            if addresses[user]?.isEmpty == true { addresses[user] = nil }
        }
    }
}
