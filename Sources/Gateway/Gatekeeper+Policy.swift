import Access
import Base
import Host
import Identity
import Store
import Tunnels

/// What has changed of what the policies rest on.
enum PolicyNews: Sendable {
    case inventory([InventoryChange])
    case leases(DHCPLeases)
    /// The policies were stored anew.
    case policies
}

/// The policies' place in a sign-in, and in the sessions that go on.
extension Gatekeeper {
    func receive(_ news: PolicyNews) {
        switch news {
        case .inventory(let changes): for change in changes { policy.receive(change, now: now.wall) }
        case .leases(let leases): policy.use(leases)
        case .policies: readPolicies()
        }
    }

    /// Takes the stored policies. Where they cannot be read, nobody is let in by them.
    func readPolicies() {
        do throws(StoreError) {
            let set = try store.policies().set
            var zones: [String: TimeZoneRules] = [:]
            for name in set.timeZones {
                do throws(TimeZoneFile.Failure) {
                    zones[name] = try TimeZoneFile.rules(name)
                } catch {
                    log.add(.error, kind: "time-zone-missing", message: "\(error) What depends on it goes by UTC.")
                }
            }
            policy.use(PolicyRules(set, zones: zones))
        } catch {
            log.add(.error, kind: "policies-broken", message: "\(error) Until then nobody signs in.")
            policy.use(PolicyRules(PolicySet(defaultAction: .deny)))
        }
    }

    /// Before the first session is taken up.
    func startPolicies() {
        policy = PolicyEngine()
        do throws(StoreError) {
            policy.restore(devices: try store.knownDevices())
        } catch {
            log.add(.error, kind: "store-failed", message: "The devices that users came from cannot be read: \(error)")
        }
        readPolicies()
        receive(.inventory(machine.inventory()))
    }

    // MARK: - A sign-in

    /// A sign-in with what the policies say of it.
    struct Judged {
        var signIn: SignIn
        var decision: PolicyDecision
        var circumstances: Circumstances
        var asked: Set<String>
    }

    /// Asks the policies about a sign-in.
    ///
    /// - Returns: nil when the user may reach nothing whatever they say.
    func judge(_ signIn: SignIn, into batch: inout Batch) throws(AdmissionRefusal) -> Judged? {
        let user = try engine.user(of: signIn, now: now)
        let asked = engine.claim(of: signIn, by: user)
        guard !asked.isEmpty else { return nil }
        let subject = PolicyEngine.Subject(
            user: user, provider: signIn.subject.provider, address: signIn.address, mac: engine.mac(of: signIn.address))
        let time = now.wall
        let (decision, circumstances) = policy.decide(subject, sites: asked, now: time)
        if decision.notifies { notify(decision, circumstances, asked, at: time, into: &batch) }
        guard !decision.sites.isEmpty else {
            let refusal = policy.rules.refusal(decision, circumstances, sites: asked, now: time)
            let record = JudgedSignIn(
                time: time, circumstances: circumstances, asked: asked, allowed: [], refusal: refusal.reason)
            batch.records.append((.judged(record), "gatehoused"))
            throw .policy(user.email, refusal)
        }
        var signIn = signIn
        signIn.allowed = decision.sites
        signIn.device = circumstances.device.name
        signIn.endpoints = circumstances.device.endpoints
        if policy.rules.set != PolicySet() { signIn.decision = decision.grounds }
        return Judged(signIn: signIn, decision: decision, circumstances: circumstances, asked: asked)
    }

    /// Keeps what a session that was opened rests on.
    func hold(_ judged: Judged, _ session: Session, into batch: inout Batch) {
        policy.hold(
            session.address, judged.decision, judged.circumstances, mac: session.mac, pinned: session.endpoints,
            now: now)
        let refusal =
            judged.decision.denial == nil
            ? nil
            : policy.rules.refusal(
                judged.decision, judged.circumstances, sites: judged.asked, now: session.startedAt)
        batch.records.append(
            (
                .judged(
                    JudgedSignIn(
                        time: session.startedAt, circumstances: judged.circumstances, asked: judged.asked,
                        allowed: judged.decision.sites, refusal: refusal?.reason)), "gatehoused"
            ))
        let names = PolicyEngine.deviceNames(judged.circumstances.device, mac: session.mac)
        let new = policy.remember(names, of: judged.circumstances.user, at: session.startedAt)
        if !new.isEmpty {
            batch.records.append(
                (.knownDevices(new, user: judged.circumstances.user, since: session.startedAt), "gatehoused"))
        }
    }

    private func notify(
        _ decision: PolicyDecision, _ circumstances: Circumstances, _ asked: Set<String>, at time: WallTime,
        into batch: inout Batch
    ) {
        let refusal = policy.rules.refusal(decision, circumstances, sites: asked, now: time)
        let device = circumstances.device.name.map { " on \($0)" } ?? ""
        let message = "\(circumstances.user) at \(circumstances.address)\(device) was denied: \(refusal.reason)."
        log.add(.warning, kind: "policy-denied", message: message)
        batch.records.append((.noted("policy-notified", subject: circumstances.user, detail: message), "gatehoused"))
    }

    // MARK: - Sessions that go on

    /// Decides anew about the sessions that facts have touched.
    func settle(into batch: inout Batch) {
        for address in policy.takeTouched(now: now.tick) { reconsider(address, into: &batch) }
    }

    private func reconsider(_ address: IPAddress, into batch: inout Batch) {
        // The policies are not asked about whom an administrator admits by hand.
        guard let session = engine.sessions[address], session.provider != nil,
            let user = session.user.flatMap({ engine.users[$0] })
        else { return policy.drop(address) }
        let moment = now
        let claim = engine.claim(of: session)
        let mac = engine.mac(of: address) ?? session.mac
        let subject = PolicyEngine.Subject(
            user: user, provider: session.provider, address: address, mac: mac, pinned: session.endpoints,
            since: session.startedAt)
        let (decision, circumstances) = policy.decide(subject, sites: claim, now: moment.wall)
        let reach = engine.reach(of: session)
        if decision.notifies, !reach.isSubset(of: decision.sites) {
            notify(decision, circumstances, claim, at: moment.wall, into: &batch)
        }
        if decision.sites.isEmpty, !claim.isEmpty {
            let refusal = policy.rules.refusal(decision, circumstances, sites: claim, now: moment.wall)
            receive(.end(.address(address), .policy(reason: refusal.reason)), into: &batch)
            return
        }
        policy.hold(address, decision, circumstances, mac: mac, pinned: session.endpoints, now: moment)
        receive(.allowed(address, decision.sites), into: &batch)
        guard engine.reach(of: session) != reach else { return }
        let why =
            decision.denial == nil
            ? decision.grounds : policy.rules.refusal(decision, circumstances, sites: claim, now: moment.wall).reason
        batch.records.append((.reruled(session, sites: engine.reach(of: session), why: why), "gatehoused"))
        batch.events.append(
            ("session-reruled", "The session of \(session.who) at \(address) reaches other sites from now on: \(why)."))
    }

    /// Sessions that were taken up again, before the gate is up.
    func touchAllSessions() {
        for address in engine.sessions.keys { policy.touch(address) }
    }

    // MARK: - Questions

    /// Which device is at an address, with the steps by which it was looked for.
    func deviceFacts(
        at address: IPAddress, user: String?, now time: WallTime
    ) -> (place: Whereabouts, facts: DeviceFacts, steps: [String: [String]]) {
        let session = engine.sessions[address]
        let place = policy.whereabouts(
            address, mac: engine.mac(of: address) ?? session?.mac, user: user ?? session?.user,
            pinned: user == nil || user == session?.user ? session?.endpoints ?? [] : [], now: time)
        var steps: [String: [String]] = [:]
        let facts = policy.directory.facts(of: place, least: policy.leastMatch, now: time) { source, step in
            steps[source, default: []].append(step)
        }
        return (place, facts, steps)
    }

    /// What the sources are asked about who signs in at an address; nil where no policy asks for a device.
    func endpointQuery(_ address: IPAddress) -> EndpointQuery? {
        guard !policy.rules.set.checks.isEmpty else { return nil }
        let (place, facts, _) = deviceFacts(at: address, user: nil, now: now.wall)
        return EndpointQuery(
            keys: Set(facts.endpoints), mac: place.mac, hostName: place.hostName, address: place.address)
    }

    /// How the card at an address is known, or why it is not.
    func macWords(_ place: Whereabouts) -> String {
        if let mac = engine.mac(of: place.address) { return "\(mac), by the neighbour table" }
        if let mac = engine.sessions[place.address]?.mac { return "\(mac), as at the sign-in" }
        let route = (try? machine.route.route(to: place.address)) ?? nil
        let why =
            route?.gateway.map { "\(place.address) is behind the router \($0), which shows its own card only" }
            ?? "the neighbour table has no card for \(place.address)"
        return place.mac.map { "\($0), by the DHCP server's lease: \(why)" } ?? "not known: \(why)"
    }
}
