import Access
import Base
import Cryptography
import Host
import HTTP
import Identity
import Store
import Tunnels
import Vendors

/// The one owner of the directories: reads each at its interval, and has the gatekeeper bring and disable users.
///
/// A reading that fails changes nobody. One that was stopped by a bad moment goes on where it was, for a while. Directories
/// do not wait for each other; each has one thing under way at a time.
actor DirectoryDesk {
    /// What is to be done with one directory.
    enum Order: Hashable, Sendable {
        case preview
        /// - isFull: reads everything, whatever was read before.
        /// - isConfirmed: an administrator agrees to what a synchronisation would ask about.
        case synchronise(isFull: Bool, isConfirmed: Bool)
    }

    private enum Message: Sendable { case timer, reread, order(String, Order, number: Int) }

    /// A reading that was stopped.
    private struct Progress {
        var reading: DirectoryReading
        var stoppedAt: Tick
    }

    private struct Work {
        var directory: Directory
        var standing = DirectoryStanding()
        var nextAt: Tick
        var isBusy = false
        var waiting: [(Order, number: Int)] = []
        var progress: Progress?
        /// Failures in a row.
        var failures = 0
        /// Numbers of the last order that was given and that was done.
        var asked = 0
        var done = 0
        var preview: DirectoryPreviewResult?
        /// The error of the last order, which a preview does not keep.
        var lastRefusal: String?
        /// Who would leave by what was asked last, and by what an administrator has agreed to.
        var askedAbout: Set<String>?
        var agreedTo: Set<String>?
    }

    struct DirectoryPreviewResult: Sendable {
        var plan: DirectoryPlan
        var requests: Int
    }

    private let inbox = Inbox<Message>()
    private let courier: DirectoryCourier
    private let gatekeeper: Gatekeeper
    private let store: Store
    private let log: EventLog
    private let clock: SystemClock
    private var works: [String: Work] = [:]
    private var order: [String] = []
    private var broken: [String] = []
    private var alarm = Alarm()
    private var watch = SecretWatch()

    /// How long a stopped reading can go on.
    private static let progressLife = Tick.Span.seconds(3600)
    /// Everything is read once a day, whatever changed: some removals leave no trace.
    private static let fullInterval = Tick.Span.seconds(86_400)
    /// Users in one transaction.
    private static let batch = 500
    private static let firstRetry = Tick.Span.seconds(15)

    init(
        courier: DirectoryCourier, gatekeeper: Gatekeeper, store: Store, log: EventLog, clock: SystemClock
    ) {
        self.courier = courier
        self.gatekeeper = gatekeeper
        self.store = store
        self.log = log
        self.clock = clock
    }

    // MARK: - The loop

    /// Keeps the directories in step until ``stop()``.
    func run() async {
        reread()
        await withDiscardingTaskGroup { group in
            setAlarm()
            while let messages = await inbox.next() {
                for message in messages {
                    switch message {
                    case .timer: alarm.hasRung()
                    case .reread: reread()
                    case .order(let id, let order, let number): works[id]?.waiting.append((order, number))
                    }
                }
                watchSecrets()
                for (id, order, number) in due() {
                    group.addTask { await self.carryOut(order, number, id) }
                }
                setAlarm()
            }
            group.cancelAll()
        }
        alarm.cancel()
    }

    nonisolated func stop() { inbox.close() }

    private func reread() {
        do throws(StoreError) {
            let (directories, faults) = try store.directories()
            broken = faults.map(\.description)
            for fault in faults { log.add(.error, kind: "directory-broken", message: fault.description) }
            order = directories.map(\.id)
            let now = clock.now
            works = works.filter { order.contains($0.key) }
            for directory in directories {
                if works[directory.id]?.directory == directory { continue }
                var work = works[directory.id] ?? Work(directory: directory, nextAt: now)
                if works[directory.id] == nil { work.standing = try store.standing(ofDirectory: directory.id) }
                work.directory = directory
                work.progress = nil
                work.failures = 0
                // A new or changed one at once; after a start, when it would have been its turn.
                let last = works[directory.id] == nil ? work.standing.lastAttemptAt : nil
                let passed = last.map { clock.wall.nanoseconds &- $0.nanoseconds } ?? .max
                let left = Int64(directory.intervalSeconds) * 1_000_000_000 &- max(0, passed)
                work.nextAt = now + Tick.Span(nanoseconds: max(0, left))
                if last != nil, let progress = work.standing.progress {
                    // One that was stopped goes on, when the pause is over that it was asked for.
                    let pause = max(0, progress.goesOnAt.nanoseconds &- clock.wall.nanoseconds)
                    work.nextAt = min(work.nextAt, now + Tick.Span(nanoseconds: pause))
                }
                works[directory.id] = work
            }
        } catch {
            log.add(.error, kind: "store-failed", message: "The directories cannot be read from the store: \(error)")
        }
    }

    /// What begins now; those that begin are busy from here on.
    private func due() -> [(String, Order, number: Int)] {
        let now = clock.now
        var due: [(String, Order, number: Int)] = []
        for (id, work) in works where !work.isBusy {
            if let first = work.waiting.first {
                works[id]?.waiting.removeFirst()
                due.append((id, first.0, first.number))
            } else if isScheduled(work.directory), work.nextAt <= now {
                works[id]?.asked += 1
                due.append((id, .synchronise(isFull: false, isConfirmed: false), number: work.asked + 1))
            } else {
                continue
            }
            works[id]?.isBusy = true
        }
        return due
    }

    private func isScheduled(_ directory: Directory) -> Bool {
        directory.isEnabled && !directory.groups.isEmpty && directory.kind != .agent
    }

    private func setAlarm() {
        // The ends of secrets are looked at once an hour.
        var next = clock.now + .seconds(3600)
        for work in works.values where !work.isBusy && isScheduled(work.directory) { next = min(next, work.nextAt) }
        alarm.set(next, now: clock.now) { [inbox] in inbox.put(.timer) }
    }

    // MARK: - One order

    private func carryOut(_ order: Order, _ number: Int, _ id: String) async {
        guard let directory = works[id]?.directory else { return }
        let began = clock.now
        var fault: DirectoryFault?
        do throws(DirectoryFault) {
            switch order {
            case .preview: try await preview(directory)
            case .synchronise(let isFull, let isConfirmed):
                works[id]?.standing.lastAttemptAt = clock.wall
                try await synchronise(directory, isFull: isFull, isConfirmed: isConfirmed, began)
            }
        } catch {
            fault = error
        }
        finish(order, number, id, fault)
    }

    private func finish(_ order: Order, _ number: Int, _ id: String, _ fault: DirectoryFault?) {
        guard var work = works[id] else { return }
        let now = clock.now
        work.isBusy = false
        work.done = max(work.done, number)
        work.lastRefusal = fault?.description
        if order != .preview {
            let interval = Tick.Span.seconds(work.directory.intervalSeconds)
            if let fault {
                work.failures += 1
                switch fault.kind {
                case .throttled(let pause): work.nextAt = now + max(pause, .seconds(1))
                case .transient:
                    let wait = Tick.Span(nanoseconds: Self.firstRetry.nanoseconds << Int64(min(work.failures - 1, 6)))
                    work.nextAt = now + min(wait, interval)
                default: work.nextAt = now + interval
                }
                if work.standing.lastError != fault.description {
                    log.add(
                        .warning, kind: "directory-failed",
                        message: "The directory \(id) could not be synchronised, and nobody was changed: \(fault)")
                }
                work.standing.lastError = fault.description
            } else {
                work.failures = 0
                work.nextAt = now + interval
            }
        }
        works[id] = work
        if order != .preview { keep(id) }
        // The loop looks for what waits.
        inbox.put(.timer)
    }

    private func keep(_ id: String, mirror: DirectoryMirror? = nil, partial: DirectoryMirror? = nil) {
        guard let standing = works[id]?.standing else { return }
        do throws(StoreError) {
            try store.keep(standing, ofDirectory: id, mirror: mirror, partial: partial)
        } catch {
            log.add(.error, kind: "store-failed", message: "How the directory \(id) stands cannot be stored: \(error)")
        }
    }

    private func preview(_ directory: Directory) async throws(DirectoryFault) {
        // What is stored is left alone: a preview begins with nothing, or with what was read last.
        let reading = try await read(directory, isFull: false, keepsProgress: false)
        let plan = try await plan(directory, reading.mirror)
        works[directory.id]?.preview = DirectoryPreviewResult(plan: plan, requests: reading.requests)
    }

    private func synchronise(
        _ directory: Directory, isFull: Bool, isConfirmed: Bool, _ began: Tick
    ) async throws(DirectoryFault) {
        let reading = try await read(directory, isFull: isFull, keepsProgress: true)
        works[directory.id]?.standing.progress = nil
        try await apply(reading, of: directory, began) { _ in isConfirmed }
    }

    /// Carries out what was read, unless it raises a question to which nobody has agreed.
    private func apply(
        _ reading: DirectoryReading, of directory: Directory, _ began: Tick, hasAgreed: (_ leaving: Set<String>) -> Bool
    ) async throws(DirectoryFault) {
        let id = directory.id
        var plan = try await plan(directory, reading.mirror)
        guard var standing = works[id]?.standing else { return }
        standing.people = reading.mirror.peopleCount
        standing.groups = reading.mirror.groupCount
        standing.requests = reading.requests
        standing.warnings = plan.warnings
        standing.lastError = nil
        if let end = reading.secretEndsAt { standing.secretEndsAt = end }
        if let question = plan.question, !hasAgreed(plan.leaving) {
            works[id]?.askedAbout = plan.leaving
            if standing.question != question {
                log.add(.error, kind: "directory-asks", message: "The directory \(id) is not synchronised: \(question)")
                record("directory-asks", id, question)
            }
            standing.question = question
            // Perhaps it was not the truth: the next reading begins anew.
            standing.cursor = nil
            works[id]?.standing = standing
            return
        }
        let actor = plan.question != nil ? "directory \(id), confirmed" : "directory \(id)"
        let isAnything = !plan.steps.isEmpty
        do {
            try await carryOut(plan.takeSteps(), of: directory, predecessors: plan.predecessors, actor: actor)
        } catch {
            throw DirectoryFault(.transient, "The users cannot be stored: \(error)")
        }
        standing.question = nil
        works[id]?.askedAbout = nil
        standing.added = plan.count(.add)
        standing.changed = plan.count(.change) + plan.count(.enable)
        standing.disabled = plan.count(.disable)
        standing.users = plan.users
        standing.cursor = reading.cursor
        standing.choice = DirectoryReading.choice(of: directory)
        standing.lastSyncAt = clock.wall
        if reading.isFull { standing.lastFullAt = clock.wall }
        standing.seconds = (clock.now - began).seconds
        if isAnything {
            let words = "\(standing.added) added, \(standing.changed) changed, \(standing.disabled) disabled"
            log.add(.info, kind: "directory-synchronised", message: "The directory \(id) was synchronised: \(words).")
        }
        for warning in plan.warnings where works[id]?.standing.warnings.contains(warning) != true {
            log.add(.warning, kind: "directory-warning", message: "The directory \(id): \(warning)")
        }
        works[id]?.standing = standing
        // A list of changes that had none leaves what is stored as it is.
        keep(id, mirror: reading.hasChanged ? reading.mirror : nil)
    }

    private func carryOut(
        _ steps: [DirectoryStep], of directory: Directory, predecessors: [String: String], actor: String
    ) async throws {
        for start in stride(from: 0, to: steps.count, by: Self.batch) {
            let some = Array(steps[start..<min(steps.count, start + Self.batch)])
            _ = try await gatekeeper.carryOut(
                .synchronise(some, directory, predecessors: predecessors, actor: actor))
        }
    }

    private func record(_ action: String, _ id: String, _ reason: String) {
        try? store.record(action, subject: id, by: Change(actor: "gatehoused", reason: reason))
    }

    private func plan(_ directory: Directory, _ mirror: DirectoryMirror) async throws(DirectoryFault) -> DirectoryPlan {
        guard let users = await gatekeeper.ask({ $0.engine.users }) else {
            throw DirectoryFault(.transient, "The gateway is stopping.")
        }
        let roll = DirectoryRoll(directory, mirror, isAddress: User.isAddress)
        return DirectoryPlan(directory, roll, users: users, now: clock.wall)
    }

    // MARK: - Reading

    private func read(
        _ directory: Directory, isFull: Bool, keepsProgress: Bool
    ) async throws(DirectoryFault) -> DirectoryReading {
        let id = directory.id
        guard let work = works[id] else { throw DirectoryFault(.transient, "The directory was removed.") }
        var reading: DirectoryReading
        if let progress = work.progress, !isFull, clock.now - progress.stoppedAt < Self.progressLife {
            reading = progress.reading
        } else {
            reading = try begin(directory, work.standing, isFull: isFull)
        }
        works[id]?.progress = nil
        do throws(DirectoryFault) {
            do throws(DirectoryFault) {
                try await courier.finish(&reading, of: directory)
            } catch where error.kind == .outdated {
                reading = try DirectoryReading(directory, since: nil, mirror: DirectoryMirror())
                try await courier.finish(&reading, of: directory)
            }
        } catch {
            let goesOn: Bool =
                switch error.kind {
                case .throttled, .transient: true
                default: false
                }
            if goesOn, keepsProgress { bookmark(reading, of: directory, error) }
            throw error
        }
        return reading
    }

    /// Keeps a reading that was stopped, so that it goes on there: from memory, and after a restart from the store.
    private func bookmark(_ reading: DirectoryReading, of directory: Directory, _ fault: DirectoryFault) {
        let id = directory.id
        works[id]?.progress = Progress(reading: reading, stoppedAt: clock.now)
        guard let bookmark = reading.bookmark, reading.requests > works[id]?.standing.progress?.requests ?? 0 else { return }
        let pause: Tick.Span = if case .throttled(let pause) = fault.kind { pause } else { .zero }
        works[id]?.standing.progress = DirectoryProgress(
            bookmark: bookmark, choice: DirectoryReading.choice(of: directory), isFull: reading.isFull,
            requests: reading.requests, stoppedAt: clock.wall, goesOnAt: clock.wall + pause)
        keep(id, partial: reading.mirror)
    }

    /// From where the last one was stopped or ended, or from the beginning: once a day, with other groups or another place,
    /// and where what was read is not there any more.
    private func begin(
        _ directory: Directory, _ standing: DirectoryStanding, isFull: Bool
    ) throws(DirectoryFault) -> DirectoryReading {
        let choice = DirectoryReading.choice(of: directory)
        if !isFull, let progress = standing.progress, progress.choice == choice,
            progress.stoppedAt <= clock.wall, clock.wall < progress.stoppedAt + Self.progressLife,
            let mirror = (try? store.partialMirror(ofDirectory: directory.id)) ?? nil,
            let reading = DirectoryReading(directory, after: progress, mirror: mirror)
        {
            return reading
        }
        works[directory.id]?.standing.progress = nil
        let isOld = standing.lastFullAt.map { $0 + Self.fullInterval < clock.wall } ?? true
        if !isFull, !isOld, standing.choice == choice, let cursor = standing.cursor,
            !cursor.isEmpty, let mirror = (try? store.mirror(ofDirectory: directory.id)) ?? nil
        {
            return try DirectoryReading(directory, since: cursor, mirror: mirror)
        }
        return try DirectoryReading(directory, since: nil, mirror: DirectoryMirror())
    }

    // MARK: - Secrets

    private func watchSecrets() {
        let now = clock.wall
        for (id, work) in works {
            guard let end = work.directory.secretEnd(work.standing) else { continue }
            guard watch.due(id, endsAt: end, now: now) != nil,
                let sentence = SecretWatch.sentence("The secret of the directory \(id)", endsAt: end, now: now)
            else { continue }
            log.add(
                .warning, kind: "secret-ends",
                message: sentence + " Make a new one and give it to `gatehouse directory edit \(id)`.")
        }
        for provider in ((try? store.openIDProviders().providers) ?? []).filter(\.isEnabled) {
            guard let (what, end) = provider.proofEnd, watch.due("idp/\(provider.id)", endsAt: end, now: now) != nil,
                let sentence = SecretWatch.sentence(what, endsAt: end, now: now)
            else { continue }
            log.add(
                .warning, kind: "secret-ends",
                message: sentence + " Make a new one and give it to `gatehouse idp edit \(provider.id)`.")
        }
    }

    // MARK: - Questions

    /// Has something done; the number is that of ``Report/done`` once it is.
    func ask(_ order: Order, of id: String) -> Int? {
        guard works[id] != nil else { return nil }
        works[id]?.asked += 1
        let number = works[id]?.asked ?? 0
        inbox.put(.order(id, order, number: number))
        return number
    }

    /// How a directory stands at this moment.
    struct Report: Sendable {
        var directory: Directory
        var standing: DirectoryStanding
        var isBusy: Bool
        var asked: Int
        var done: Int
        var nextAt: WallTime?
        var preview: DirectoryPreviewResult?
        var lastRefusal: String?
    }

    func reports() -> (reports: [Report], broken: [String]) {
        (order.compactMap { report($0) }, broken)
    }

    func report(_ id: String) -> Report? {
        works[id].map { work in
            let left = max(0, (work.nextAt - clock.now).nanoseconds)
            return Report(
                directory: work.directory, standing: work.standing, isBusy: work.isBusy, asked: work.asked,
                done: work.done,
                nextAt: isScheduled(work.directory) ? clock.wall + Tick.Span(nanoseconds: left) : nil,
                preview: work.preview, lastRefusal: work.lastRefusal)
        }
    }

    /// Takes up the definitions at once, so that what was just stored can be asked for.
    func takeUp() {
        reread()
        inbox.put(.reread)
    }

    /// Takes everyone out of a directory that is about to be removed.
    ///
    /// - Parameter keepsUsers: leaves them as they are.
    func release(_ directory: Directory, keepsUsers: Bool, actor: String) async throws {
        guard let users = await gatekeeper.ask({ $0.engine.users }) else { throw Gatekeeper.Stopping() }
        let steps = users.values.filter { $0.origins.contains { $0.directory == directory.id } }.map(\.email).sorted()
            .map { DirectoryStep.go(email: $0, keepsUsers ? .directoryForgotten : .directoryRemoved) }
        try await carryOut(steps, of: directory, predecessors: [:], actor: actor)
    }

    /// Takes what an agent brought, as if it had been read.
    func take(_ mirror: DirectoryMirror, for id: String) async throws(DirectoryFault) {
        guard let directory = works[id]?.directory, directory.isEnabled else {
            throw DirectoryFault(.refused, "The directory '\(id)' is not there, or switched off.")
        }
        works[id]?.standing.lastAttemptAt = clock.wall
        let reading = DirectoryReading(brought: mirror)
        let agreed = works[id]?.agreedTo
        works[id]?.agreedTo = nil
        try await apply(reading, of: directory, clock.now) { leaving in agreed.map(leaving.isSubset) ?? false }
    }

    /// Agrees to what an agent's last delivery asked: the next one is carried out if nobody else would leave. A restart of
    /// the daemon forgets both.
    ///
    /// - Returns: false when nothing is asked, as far as is known since the start.
    func agree(to id: String) -> Bool {
        guard let leaving = works[id]?.askedAbout else { return works[id]?.agreedTo != nil }
        works[id]?.agreedTo = leaving
        works[id]?.askedAbout = nil
        works[id]?.standing.question = nil
        keep(id)
        return true
    }
}
