import Access
import Base
import Host
import HTTP
import JSONText
import Portal
import Tunnels
import Vendors

/// One connection to an endpoint protection platform: polls it, keeps its mirror, and tells what has changed.
actor EndpointSource {
    /// What a source works with; made by ``EndpointKeeper``.
    struct Machine: Sendable {
        var web: HTTPClient
        var tokens: TokenSource
        var clock: SystemClock
        var random: @Sendable (Int) -> [UInt8]
        /// Stores what came of a look, then has it told.
        var keep: @Sendable (EndpointMirror.Change, [String: WallTime]) -> Void
        var tell: InventoryFollower
        var log: EventLog
    }

    nonisolated let connection: EndpointConnection
    nonisolated let profile: EndpointProfile
    let machine: Machine
    var mirror: EndpointMirror
    private var plan: PollPlan
    private var paces: [String: Pace] = [:]
    /// When the pace allows the next call for single endpoints, where it stood in their way.
    private var pausedUntil: [String: Tick] = [:]
    private var watched: Set<String>
    private(set) var errors: [String: String] = [:]
    /// The last failure of a call, while nothing better is known.
    private(set) var lastError: String?
    private(set) var state = EndpointSourceStatus.State.starting
    private(set) var since: WallTime
    private(set) var shrinkage: EndpointMirror.Shrinkage?
    private var acceptsLoss = false
    /// Endpoints were not in the last listing: another one will say whether they are gone.
    private var isMissing = false
    /// What was answered before that moment is asked for anew, by order.
    private var anewSince: WallTime?
    /// Listings in a row that had fewer rows than the source said.
    private var shortListings = 0
    private(set) var keyEndsAt: WallTime?
    private(set) var keyWarning: String?
    private var polling: Task<Void, Never>?
    private var sleeper: Task<Void, Never>?
    private var waiters: [CheckedContinuation<Void, Never>] = []
    /// Jobs that those who wait still wait for.
    private var round: Set<PollPlan.Job> = []
    /// From here on nothing is stored and nobody told: another source may have the name.
    private var isStopped = false
    /// The telling of changes that is under way: each waits for the one before.
    private var telling: Task<Void, Never>?
    /// Devices that were looked for in vain, and when: one that is not enrolled is not asked for at each packet.
    private var unknown: [EndpointQuery: Tick] = [:]

    /// Endpoints that are asked for one by one before other calls have their turn.
    private static let batch = 50
    /// Until a listing that lacks endpoints is read once more.
    private static let secondLook = Tick.Span.seconds(15)
    private static let negativeLife = Tick.Span.seconds(60)
    /// Short listings in a row after which the source is believed rather than its count.
    private static let shortLimit = 3

    init(
        _ connection: EndpointConnection, _ profile: EndpointProfile, _ mirror: EndpointMirror, _ machine: Machine,
        watched: Set<String>
    ) {
        self.watched = watched
        self.connection = connection
        self.profile = profile
        self.mirror = mirror
        self.machine = machine
        plan = PollPlan(connection, profile, now: machine.clock.now)
        since = machine.clock.wall
        if mirror.completedAt != nil { state = .ok }
    }

    // MARK: - The loop

    /// Polls until the task is cancelled or ``stop()``.
    func run() async {
        guard !isStopped else { return }
        let task = Task { await poll() }
        polling = task
        await withTaskCancellationHandler { await task.value } onCancel: { task.cancel() }
    }

    private func poll() async {
        await tell([.source(posture), .changed(mirror.records)])
        while !isStopped, !Task.isCancelled {
            let next = plan.next
            await sleep(until: next.at)
            guard !isStopped, !Task.isCancelled else { break }
            guard plan.next.at <= machine.clock.now else { continue }
            await carryOut(plan.next.job)
            let expired = mirror.expire(now: machine.clock.wall)
            if !expired.isEmpty { await keep(expired) }
        }
        isStopped = true
        finishWaiting()
        await telling?.value
    }

    /// Ends the polling for good, and returns when nothing of it is under way: what was asked last is given up, and whoever
    /// follows has been told of what came before.
    func stop() async {
        isStopped = true
        sleeper?.cancel()
        polling?.cancel()
        // What is waited for needs this actor to come to its end, and has it: an actor is free while a method of it waits.
        // Nor does it wait for us or for the keeper: calls and pauses end when they are cancelled, and whoever follows only
        // takes note.
        await polling?.value
        finishWaiting()
        await telling?.value
    }

    /// After each wait for others: what they bring to a source that was stopped meanwhile is dropped.
    private func goOn() throws(CancellationError) {
        if isStopped { throw CancellationError() }
    }

    private func sleep(until tick: Tick) async {
        let left = tick - machine.clock.now
        guard left > .zero else { return }
        // A task that can be cut short when something is to be done sooner, or at the stop; nothing outlives this call.
        let task = Task { _ = try? await Task.sleep(for: .nanoseconds(left.nanoseconds)) }
        sleeper = task
        await withTaskCancellationHandler { await task.value } onCancel: { task.cancel() }
        sleeper = nil
    }

    private func carryOut(_ job: PollPlan.Job) async {
        var outcome = PollPlan.Outcome.done
        do {
            switch job {
            case .listing: try await list()
            case .changes: try await changes()
            case .call(let name): try await other(name)
            case .endpoints(let name): try await endpoints(name)
            case .keyEnd: await askKeyEnd()
            }
        } catch let failure as VendorFailure {
            outcome = failure.needsAttention ? .needsAttention : .failed
        } catch {
            outcome = .failed
        }
        let random = machine.random(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        plan.finish(job, outcome, now: machine.clock.now, random: random)
        if job == .listing, outcome == .done, isMissing { plan.hurry(job, to: machine.clock.now + Self.secondLook) }
        if case .endpoints(let name) = job, outcome == .done, let next = mirror.nextDue(name, watched: watched) {
            let now = machine.clock.now
            plan.hurry(
                job, to: max(now + max(.milliseconds(200), next.span(since: machine.clock.wall)), pausedUntil[name] ?? now))
            pausedUntil[name] = nil
        }
        round.remove(job)
        // A whole listing has all changes in it.
        if job == .listing { round.remove(.changes) }
        if round.isEmpty { finishWaiting() }
    }

    /// Everything at once, and waits until each call has had its turn; of those for single endpoints, one batch.
    func sync(acceptsLoss: Bool) async {
        guard !isStopped else { return }
        self.acceptsLoss = acceptsLoss
        plan.hurryAll(now: machine.clock.now)
        // Where each endpoint's call has a pace of minutes, nobody waits for these.
        round = Set(
            plan.jobs.filter { job in
                if case .endpoints = job { !profile.pacesEachCall } else { true }
            })
        anewSince = machine.clock.wall
        sleeper?.cancel()
        await withCheckedContinuation { waiters.append($0) }
    }

    private func finishWaiting() {
        for waiter in waiters { waiter.resume() }
        waiters = []
    }

    func watch(_ endpoints: Set<String>) {
        let fresh = endpoints.subtracting(watched)
        watched = endpoints
        guard !fresh.isEmpty else { return }
        for call in profile.perEndpointCalls { plan.hurry(.endpoints(call), to: machine.clock.now) }
        sleeper?.cancel()
    }

    // MARK: - Jobs

    private func list() async throws {
        let now = machine.clock.wall
        var listing = EndpointMirror.Listing(mirror, now: now)
        let name = profile.listingName
        let run = try await pages(name, .all) { listing.take($0, mirror) }
        listing.finish()
        let shortfall = max(0, (run.total ?? 0) - listing.count)
        shortListings = shortfall > 0 ? shortListings + 1 : 0
        let isComplete = shortfall == 0 || shortListings >= Self.shortLimit
        let result = mirror.take(
            listing, isComplete: isComplete, isAtomic: run.isAtomic, acceptsLoss: acceptsLoss, now: now)
        isMissing = result.missed > 0
        await keep(result.change)
        shrinkage = result.shrinkage
        if let shrinkage {
            let text = "The listing of '\(connection.id)' has \(shrinkage.after) endpoints, and there were \(shrinkage.before): "
                + "it is not believed. If that many are gone, say 'gatehouse epp sync \(connection.id) --accept-loss'."
            errors[name] = text
            await settle(.needsAttention, text)
            throw VendorFailure(.unreadable, connection: connection.id, host: "", detail: text)
        }
        acceptsLoss = false
        guard isComplete else {
            let text = "The listing of '\(connection.id)' is short of \(shortfall) endpoints that it says there are; it "
                + "is read again."
            errors[name] = text
            await settle(.failing, text)
            throw VendorFailure(.unreadable, connection: connection.id, host: "", detail: text)
        }
        await succeed(name)
    }

    private func changes() async throws {
        guard let last = mirror.completedAt else { return }
        let now = machine.clock.wall
        var rows: [JSONTree] = []
        let run = try await pages(profile.listingName, .changes(since: last)) { rows += $0 }
        // What came is news, but not all of it.
        let isWhole = run.shortage == nil
        await keep(mirror.take(changes: rows, completes: shrinkage == nil && isWhole, now: now))
        try await expectAll(run, profile.listingName)
        await succeed(profile.listingName)
    }

    private func other(_ name: String) async throws {
        let now = machine.clock.wall
        var rows: [JSONTree] = []
        do {
            let run = try await pages(name, .all) { rows += $0 }
            try await expectAll(run, name)
        } catch let failure as VendorFailure where failure.kind == .permission {
            await keep(mirror.refuse(name, now: now))
            throw failure
        }
        await keep(mirror.take(rows, of: name, now: now))
        await succeed(name)
    }

    private func endpoints(_ name: String) async throws {
        for id in mirror.due(
            name, watched: watched, anewSince: anewSince, limit: Self.batch, now: machine.clock.wall)
        {
            guard !isStopped, !Task.isCancelled else { return }
            // Nothing else waits for the pace of these.
            let left = paces[profile.pacesEachCall ? name : ""]?.left(now: machine.clock.now) ?? .zero
            guard left < .seconds(1) else {
                pausedUntil[name] = machine.clock.now + left
                return
            }
            try await endpoint(id, name, isUrgent: false)
            if plan.isListingDue(now: machine.clock.now) { break }
        }
        await succeed(name)
    }

    private func endpoint(_ id: String, _ name: String, isUrgent: Bool) async throws {
        var rows: [JSONTree] = []
        let now = machine.clock.wall
        do {
            let run = try await pages(name, .endpoint(id: id), isUrgent: isUrgent) { rows += $0 }
            try await expectAll(run, name)
        } catch let failure as VendorFailure where failure.kind == .permission {
            await keep(mirror.refuse(name, now: now))
            throw failure
        } catch let failure as VendorFailure where failure.kind == .gone {
            // The listing will say so, too.
        }
        await keep(mirror.take(rows, of: name, endpoint: id, now: now))
    }

    /// Makes a call with all its pages.
    private func pages(
        _ name: String, _ purpose: CallRun.Purpose, isUrgent: Bool = false, _ take: ([JSONTree]) -> Void
    ) async throws -> CallRun {
        // Somebody has asked for a listing by hand, and waits.
        let isHurried = !waiters.isEmpty && !profile.perEndpointCalls.contains(name)
        do {
            var run = try CallRun(
                connection, profile, call: name, purpose, entropy: machine.random(12), now: machine.clock.wall,
                retries: isUrgent ? .signIn : .background)
            while let request = run.request {
                try await wait(for: name, isUrgent: isUrgent || isHurried)
                try goOn()
                let answer = try await send(request)
                try goOn()
                take(try run.receive(answer))
            }
            return run
        } catch let failure as VendorFailure {
            // One that was given up says nothing of the platform.
            if !Task.isCancelled { await fail(name, failure) }
            throw failure
        }
    }

    /// Throws where rows are missing: that nothing bad is among those that came says nothing then, and what was known before
    /// grows old.
    private func expectAll(_ run: CallRun, _ name: String) async throws {
        guard let failure = run.shortage else { return }
        await fail(name, failure)
        throw failure
    }

    func wait(for call: String, isUrgent: Bool) async throws {
        let key = profile.pacesEachCall ? call : ""
        let now = machine.clock.now
        var pace = paces[key] ?? Pace(calls: profile.paceCalls, seconds: profile.paceSeconds, now: now)
        var left = Tick.Span.zero
        if isUrgent { pace.takeAtOnce(now: now) } else { left = pace.take(now: now) }
        paces[key] = pace
        if left > .zero { try await Task.sleep(for: .nanoseconds(left.nanoseconds)) }
    }

    func send(_ request: HTTPRequest) async throws -> HTTPResponse {
        do {
            guard let grant = try profile.grant(connection) else { return try await machine.web.send(request) }
            let tokens = machine.tokens
            return try await Self.unlessCancelled { try await tokens.send(request, with: grant) }
        } catch let failure as HTTPFailure {
            throw VendorFailure(failure, connection: connection.id)
        } catch let refusal as OAuthRefusal {
            throw VendorFailure(refusal)
        }
    }

    /// What `work` gives; a cancellation as soon as the task is cancelled. A token that others may want is fetched to its end,
    /// which can take minutes: whoever has been stopped does not wait for that.
    private static func unlessCancelled<Value: Sendable>(
        _ work: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let (results, result) = AsyncStream<Result<Value, any Error>>.makeStream()
        let task = Task {
            do {
                result.yield(.success(try await work()))
            } catch {
                result.yield(.failure(error))
            }
        }
        return try await withTaskCancellationHandler {
            for await first in results { return try first.get() }
            throw CancellationError()
        } onCancel: {
            task.cancel()
        }
    }

    // MARK: - Look-ups

    /// Asks for one device, if what is known of it is older than it may be at a sign-in.
    func refresh(_ query: EndpointQuery) async {
        let now = machine.clock.now
        let limit = Tick.Span.seconds(connection.lookUpSeconds)
        let known = query.keys.filter { $0.source == connection.id }.compactMap { mirror.record($0.id) }
        let wall = machine.clock.wall
        let isFresh = !known.isEmpty && known.allSatisfy { record in
            mirror.asOf(record.id).map { $0 + limit > wall } ?? false
        }
        guard !isStopped, state != .needsAttention || shrinkage != nil, !isFresh else { return }
        unknown = unknown.filter { now - $0.value < Self.negativeLife }
        guard known.isEmpty ? unknown[query] == nil : true else { return }
        do {
            var rows: [JSONTree] = []
            for purpose in query.purposes(known.map(\.id)) where profile.canLookUp(purpose) {
                _ = try await pages(profile.listingName, purpose, isUrgent: true) { rows += $0 }
                if !rows.isEmpty, known.isEmpty { break }
            }
            if rows.isEmpty, known.isEmpty { unknown[query] = now }
            let change = mirror.take(lookUp: rows, now: machine.clock.wall)
            await keep(change)
            let ids = Set(known.map(\.id) + change.changed.map(\.id))
            for name in profile.perEndpointCalls where profile.isQuick(name) {
                for id in ids.prefix(4) { try await endpoint(id, name, isUrgent: true) }
            }
        } catch {
            // The failure is in the status; what is known serves until it is too old.
        }
    }

    // MARK: - What came of it

    private func keep(_ change: EndpointMirror.Change) async {
        guard !isStopped, !change.isEmpty else { return }
        machine.keep(change, mirror.answered)
        var news: [InventoryChange] = []
        if !change.changed.isEmpty { news.append(.changed(change.changed)) }
        if !change.removed.isEmpty { news.append(.removed(change.removed)) }
        await tell(news)
    }

    private func tell(_ news: [InventoryChange]) async {
        guard !isStopped else { return }
        let (before, follow) = (telling, machine.tell)
        let task = Task {
            await before?.value
            await follow(news)
        }
        telling = task
        await task.value
    }

    private func succeed(_ call: String) async {
        guard !isStopped else { return }
        errors[call] = nil
        machine.keep(EndpointMirror.Change(), mirror.answered)
        if shrinkage == nil, errors.isEmpty {
            await settle(.ok, nil)
        } else {
            await tell([.source(posture)])
        }
    }

    private func fail(_ call: String, _ failure: VendorFailure) async {
        guard !isStopped, failure.kind != .gone else { return }
        errors[call] = failure.description
        await settle(failure.needsAttention ? .needsAttention : .failing, failure.description)
    }

    private func settle(_ state: EndpointSourceStatus.State, _ error: String?) async {
        guard !isStopped else { return }
        let (before, said) = (self.state, lastError)
        self.state = state
        lastError = error
        if state != before {
            since = machine.clock.wall
            if state == .ok, before != .starting {
                machine.log.add(
                    .info, kind: "endpoint-protection-ok", message: "'\(connection.id)' answers again.")
            }
        }
        if let error, state != before || error != said {
            machine.log.add(
                state == .needsAttention ? .error : .warning, kind: "endpoint-protection-failing", message: error)
        }
        await tell([.source(posture)])
    }

    private func askKeyEnd() async {
        var end = connection.keyEndsAt ?? KeyLife.end(statedBy: connection)
        do {
            if var run = try profile.keyEndRun(connection, entropy: machine.random(12), now: machine.clock.wall) {
                while let request = run.request {
                    try await wait(for: "key-end", isUrgent: false)
                    let rows = try run.receive(try await send(request))
                    end = KeyLife.end(in: rows, profile) ?? end
                }
            }
        } catch {
            // A key that may not ask this may do all else: the administrator's date or the key's own word remains.
        }
        guard !isStopped else { return }
        keyEndsAt = end
        let warning = end.flatMap {
            KeyLife.warning(of: connection, profile, end: $0, now: machine.clock.wall)
        }
        if let warning, warning != keyWarning {
            machine.log.add(.warning, kind: "endpoint-protection-key", message: warning)
        }
        keyWarning = warning
    }
}

extension WallTime {
    /// The time from another one to this one; nothing where this one is past.
    fileprivate func span(since other: WallTime) -> Tick.Span {
        Tick.Span(nanoseconds: max(0, nanoseconds &- other.nanoseconds))
    }
}

extension EndpointQuery {
    /// How a listing is asked for the device: by what is surest.
    func purposes(_ ids: [String]) -> [CallRun.Purpose] {
        if !ids.isEmpty { return ids.map { .endpoint(id: $0) } }
        var purposes: [CallRun.Purpose] = []
        if let mac { purposes.append(.mac(mac)) }
        if let hostName { purposes.append(.host(hostName)) }
        if let address { purposes.append(.address(address)) }
        return purposes
    }
}
