import Access
import Base
import Host
import Identity
import Portal
import Store
import Tunnels

extension GatewayControl {
    func policies() async throws -> PolicyBook {
        let (set, version) = try refusing { () throws(StoreError) in try store.policies() }
        let faults = set.faults(in: try await world())
        let remarks = await remarks(on: set)
        return PolicyBook(set: set, version: version, warnings: faults + remarks)
    }

    func editPolicies(_ order: PolicyOrder, isDryRun: Bool, caller: Caller) async throws -> PolicyBook {
        var (set, version) = (PolicySet(), "")
        if case .replaceAll? = order.edits.first, (try? store.policies()) == nil {
            // What cannot be read can be replaced all the same.
        } else {
            (set, version) = try refusing { () throws(StoreError) in try store.policies() }
            if let against = order.against, against != version { throw APIError(StoreError.policiesChanged) }
        }
        let old = set
        do throws(PolicyEdit.Fault) {
            for edit in order.edits { try set.apply(edit) }
        } catch {
            throw switch error {
            case .unknown: APIError.notFound(error.description)
            case .exists, .inUse: APIError.conflict(error.description)
            }
        }
        // Only what an edit brings is in its way: what was at fault before may be mended step by step.
        let world = try await world()
        let known = Set(old.faults(in: world))
        let faults = set.faults(in: world)
        let new = faults.filter { !known.contains($0) }
        guard new.isEmpty else { throw APIError.invalid(new.joined(separator: " ")) }
        let changes = set.deeds(since: old).map(Self.words)
        guard !isDryRun, !changes.isEmpty else {
            let remarks = await remarks(on: set)
            return PolicyBook(set: set, version: version, warnings: faults + remarks, changes: changes)
        }
        let complete = set
        let before = version
        try refusing { () throws(StoreError) in
            try store.save(complete, against: before, by: Change(actor: caller.description))
        }
        log.add(
            .info, kind: "policies-changed", message: "\(caller.description): \(changes.joined(separator: ", ")).")
        gatekeeper.inbox.put(.policy(.policies))
        // Answered when the sessions have followed.
        _ = await gatekeeper.ask { _ in true }
        var book = try await policies()
        book.changes = changes
        return book
    }

    private static func words(_ deed: PolicyEdit.Deed) -> String {
        let parts = deed.action.split(separator: "-")
        let what = parts.dropLast().joined(separator: " ")
        return "\(what) \(deed.subject) \(parts.last ?? "")" + (deed.detail.map { ": \($0)" } ?? "")
    }

    private func world() async throws -> PolicySet.World {
        let sources = await gatekeeper.ask { Array($0.policy.directory.sources.values) } ?? []
        let sites = try refusing { () throws(StoreError) in try store.contents().connectors.map(\.id) }
        let providers = try refusing { () throws(StoreError) in
            try store.identityProviders().providers.map(\.id) + store.openIDProviders().providers.map(\.id)
        }
        return PolicySet.World(
            sources: sources, sites: Set(sites), providers: Set(providers),
            hasTimeZone: { (try? TimeZoneFile.rules($0)) != nil })
    }

    /// What is no fault of a set, and most likely not meant: see ``PolicySet/remarks(groups:tags:)``.
    private func remarks(on set: PolicySet) async -> [String] {
        guard let users = await gatekeeper.ask({ $0.engine.users }) else { return [] }
        // Looked through here, since a hundred thousand would keep the gatekeeper from its work.
        var (groups, tags): (Set<String>, Set<String>) = ([], [])
        for user in users.values {
            groups.formUnion(user.groups)
            tags.formUnion(user.tags)
        }
        return set.remarks(groups: groups, tags: tags)
    }

    // MARK: - Questions

    func testPolicies(_ question: PolicyQuestion) async throws -> PolicyAnswer {
        let answer = await gatekeeper.ask { $0.answer(question) }
        guard let answer else { throw APIError.unavailable("The gateway is stopping.") }
        return try answer.get()
    }

    func explainPosture(address: IPAddress) async throws -> PostureReport {
        guard let report = await gatekeeper.ask({ $0.report(address, user: nil) }) else {
            throw APIError.unavailable("The gateway is stopping.")
        }
        return report
    }

    func simulatePolicies(_ order: SimulationOrder) async throws -> PolicySimulation {
        guard (1...Store.signInDays).contains(order.days) else {
            throw APIError.invalid("Sign-ins are kept for \(Store.signInDays) days: name 1 to \(Store.signInDays).")
        }
        let faults = order.set.faults(in: try await world())
        guard faults.isEmpty else { throw APIError.invalid(faults.joined(separator: " ")) }
        let current = try refusing { () throws(StoreError) in try store.policies().set }
        let since = store.wall() + .seconds(-order.days * 86_400)
        let (signIns, unreadable) = try refusing { () throws(StoreError) in
            try store.signIns(since: since, limit: 100_000)
        }
        var zones: [String: TimeZoneRules] = [:]
        for name in order.set.timeZones.union(current.timeZones) { zones[name] = try? TimeZoneFile.rules(name) }
        let (before, after) = (PolicyRules(current, zones: zones), PolicyRules(order.set, zones: zones))
        var result = PolicySimulation(
            changes: order.set.deeds(since: current).map(Self.words), signIns: signIns.count, unreadable: unreadable,
            cases: [], users: [:], refused: 0, admitted: 0)
        for signIn in signIns {
            let circumstances = signIn.circumstances
            let old = before.decide(circumstances, sites: signIn.asked, now: signIn.time)
            let new = after.decide(circumstances, sites: signIn.asked, now: signIn.time)
            guard old.sites != new.sites else { continue }
            result.users[circumstances.user, default: 0] += 1
            if new.sites.isEmpty { result.refused += 1 }
            if old.sites.isEmpty { result.admitted += 1 }
            guard result.cases.count < PolicySimulation.caseLimit else { continue }
            let refusal =
                new.denial == nil
                ? nil : after.refusal(new, circumstances, sites: signIn.asked, now: signIn.time).reason
            result.cases.append(
                PolicySimulation.Case(
                    time: signIn.time, user: circumstances.user, address: circumstances.address,
                    device: circumstances.device.name, before: old.sites.sorted(), after: new.sites.sorted(),
                    refusal: refusal))
        }
        return result
    }
}

extension Gatekeeper {
    func answer(_ question: PolicyQuestion) -> Result<PolicyAnswer, APIError> {
        let key = User.key(question.user)
        guard var user = engine.users[key] ?? question.groups.map({ groups in
            User(email: key, source: question.provider ?? "", groups: groups, createdAt: now.wall)
        }) else {
            return .failure(
                .notFound(
                    "There is no user '\(key)'. `gatehouse user list` shows those that exist; with --group somebody "
                        + "who is not known yet can be thought through."))
        }
        if let groups = question.groups { user.groups = groups }
        let time = now.wall
        let asked = engine.claim(of: user)
        let (_, facts, _) = deviceFacts(at: question.address, user: key, now: time)
        let report = report(question.address, user: key)
        var circumstances = policy.circumstances(
            of: PolicyEngine.Subject(
                user: user, provider: question.provider, address: question.address,
                mac: engine.mac(of: question.address) ?? engine.sessions[question.address]?.mac), now: time)
        circumstances.device = facts
        var trace: PolicyTrace? = PolicyTrace()
        // Facts keep the age that they have now: at another time, only the clock of the windows is another.
        let at = question.at ?? time
        circumstances.device = facts.aged(from: time, to: at)
        let decision = policy.rules.decide(circumstances, sites: asked, now: at, trace: &trace)
        var reason = decision.grounds + " allows it"
        var advice: [String] = []
        if !user.isEnabled {
            reason = "the account of \(key) is disabled"
        } else if asked.isEmpty {
            reason = "\(key) may reach no site, whatever the policies say"
        } else if decision.denial != nil {
            let refusal = policy.rules.refusal(decision, circumstances, sites: asked, now: at)
            reason = refusal.reason
            advice = refusal.advice
        }
        let isAllowed = user.isEnabled && !decision.sites.isEmpty
        return .success(
            PolicyAnswer(
                isAllowed: isAllowed, sites: isAllowed ? decision.sites.sorted() : [],
                denied: asked.subtracting(isAllowed ? decision.sites : []).sorted(), reason: reason, advice: advice,
                until: decision.until, notifies: decision.notifies, trace: trace ?? PolicyTrace(), device: report))
    }

    func report(_ address: IPAddress, user: String?) -> PostureReport {
        let time = now.wall
        let (place, facts, steps) = deviceFacts(at: address, user: user, now: time)
        let sources = facts.sources.map { one in
            var source = PostureReport.Source(
                name: one.source.name, vendor: one.source.vendor, completedAt: one.source.completedAt,
                problem: one.source.problem, endpoint: nil, hostName: nil, match: nil,
                steps: steps[one.source.name] ?? [], attributes: [])
            if case .found(let record, let level) = one.match {
                source.endpoint = record.id
                source.hostName = record.hostName
                source.match = level
            }
            source.attributes = PostureAttribute.allCases.filter(one.source.supports.contains).map { attribute in
                let outcome = facts.outcome(attribute, of: one.source.name, now: time).outcome
                let fact = facts.fact(attribute, of: one.source.name)
                var age: Int?
                if case .value(_, let observedAt) = outcome {
                    age = Int(max(0, (time.nanoseconds - observedAt.nanoseconds) / 1_000_000_000))
                }
                return PostureReport.Attribute(
                    attribute: attribute, outcome: outcome, raw: fact?.raw, note: fact?.note, age: age)
            }
            return source
        }
        return PostureReport(
            address: address, mac: place.mac, macWords: macWords(place), leaseHostName: place.hostName,
            user: engine.sessions[address]?.user, device: facts.name, system: facts.system(now: time)?.family,
            sources: sources, checks: policy.rules.set.checks.map { $0.explain(facts, now: time) })
    }
}
