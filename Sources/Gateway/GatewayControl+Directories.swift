import Access
import Base
import Cryptography
import Host
import Identity
import Portal
import Store
import Tunnels
import Vendors

extension GatewayControl {
    func directories() async throws -> [DirectoryStatus] {
        await directories.reports().reports.map { Self.status($0, now: store.wall()) }
    }

    func saveDirectory(_ directory: Directory, replacing: Bool, caller: Caller) async throws -> DirectoryStatus {
        var directory = directory
        let stored = try refusing { () throws(StoreError) in try store.directories().directories }
            .first { $0.id == directory.id }
        guard (stored != nil) == replacing else {
            throw APIError(replacing ? .directoryUnknown(directory.id) : .directoryExists(directory.id))
        }
        if directory.secret == nil { directory.secret = stored?.secret }
        let faults = directory.faults
        guard faults.isEmpty else { throw APIError.invalid(faults.joined(separator: " ")) }
        if let access = directory.apiAccess {
            guard try refusing({ () throws(StoreError) in try store.apiAccesses() }).contains(where: { $0.id == access })
            else { throw APIError(.accessUnknown(access)) }
        }
        do throws(DirectoryFault) {
            // What the definition itself can say of an address or a key file, before anything is asked.
            _ = try directory.proof()
            if directory.kind == .agent {
                for index in directory.groups.indices where directory.groups[index].id.isEmpty {
                    directory.groups[index].id = directory.groups[index].name
                }
            } else if directory.groups.contains(where: { $0.id.isEmpty }) {
                directory.groups = try Self.resolved(directory.groups, among: await courier.groups(of: directory))
            }
        } catch {
            throw APIError.invalid(error.description)
        }
        let complete = directory
        try refusing { () throws(StoreError) in
            try store.save(complete, replacing: replacing, by: Change(actor: caller.description))
        }
        log.add(
            .info, kind: replacing ? "directory-changed" : "directory-added",
            message: "\(caller) \(replacing ? "changed" : "added") the directory \(complete.id).")
        await tokens.forget(connection: complete.id)
        await directories.takeUp()
        return try await status(of: complete.id)
    }

    /// Finds the groups that were named.
    private static func resolved(
        _ named: [Directory.ChosenGroup], among all: [Directory.ChosenGroup]
    ) throws(DirectoryFault) -> [Directory.ChosenGroup] {
        var found: [Directory.ChosenGroup] = []
        for group in named {
            guard group.id.isEmpty else {
                found.append(group)
                continue
            }
            let name = group.name.lowercased()
            let fitting = all.filter { $0.id == group.name || $0.name.lowercased() == name }
            guard let first = fitting.first else {
                let some = all.prefix(10).map { "'\($0.name)'" }.joined(separator: ", ")
                throw DirectoryFault(
                    .refused,
                    "The directory has no group '\(group.name)'"
                        + (all.isEmpty ? ", and shows none at all." : "; it has \(some)\(all.count > 10 ? " and others" : "")."))
            }
            guard fitting.count == 1 else {
                throw DirectoryFault(
                    .refused,
                    "\(fitting.count) groups are called '\(group.name)': name the one that is meant by its ID, "
                        + fitting.prefix(5).map(\.id).joined(separator: " or ") + ".")
            }
            if !found.contains(where: { $0.id == first.id }) { found.append(first) }
        }
        return found
    }

    func removeDirectory(id: String, keepsUsers: Bool, caller: Caller) async throws {
        let actor = caller.description
        guard let directory = try refusing({ () throws(StoreError) in try store.directories().directories })
            .first(where: { $0.id == id })
        else {
            // One that cannot be read can be removed all the same.
            try refusing { () throws(StoreError) in try store.removeDirectory(id, by: Change(actor: actor)) }
            return await directories.takeUp()
        }
        do {
            try await directories.release(directory, keepsUsers: keepsUsers, actor: actor)
        } catch {
            throw APIError.unavailable("\(error)")
        }
        try refusing { () throws(StoreError) in try store.removeDirectory(id, by: Change(actor: actor)) }
        await directories.takeUp()
        log.add(.info, kind: "directory-removed", message: "\(caller) removed the directory \(id).")
    }

    func groups(ofDirectory id: String) async throws -> [Directory.ChosenGroup] {
        guard let directory = await directories.report(id)?.directory else { throw APIError(.directoryUnknown(id)) }
        do throws(DirectoryFault) {
            return try await courier.groups(of: directory)
        } catch {
            throw APIError.unavailable(error.description)
        }
    }

    func beginPreview(ofDirectory id: String, caller: Caller) async throws -> DirectoryStatus {
        guard let directory = await directories.report(id)?.directory else { throw APIError(.directoryUnknown(id)) }
        return try await begin(.preview, directory)
    }

    func beginSync(
        ofDirectory id: String, isFull: Bool, isConfirmed: Bool, caller: Caller
    ) async throws -> DirectoryStatus {
        guard let directory = await directories.report(id)?.directory else { throw APIError(.directoryUnknown(id)) }
        guard isConfirmed else { return try await begin(.synchronise(isFull: isFull, isConfirmed: false), directory) }
        if directory.kind == .agent {
            guard await directories.agree(to: id) else {
                throw APIError.conflict(
                    "The directory '\(id)' asks nothing: there is nothing to confirm. After a restart of the gateway let the "
                        + "agent bring it once more.")
            }
            try recordConfirmation(of: id, caller)
            return try await status(of: id)
        }
        let status = try await begin(.synchronise(isFull: isFull, isConfirmed: true), directory)
        try recordConfirmation(of: id, caller)
        return status
    }

    private func recordConfirmation(of id: String, _ caller: Caller) throws {
        try refusing { () throws(StoreError) in
            try store.record("directory-confirmed", subject: id, by: Change(actor: caller.description))
        }
    }

    private func begin(_ order: DirectoryDesk.Order, _ directory: Directory) async throws -> DirectoryStatus {
        let id = directory.id
        if directory.kind == .agent {
            throw APIError.conflict("An agent brings what is in '\(id)'; it cannot be asked. Run the agent on its host.")
        }
        if directory.groups.isEmpty {
            throw APIError.conflict(
                "No group of '\(id)' is chosen, so nobody comes. `gatehouse directory groups \(id)` lists them, "
                    + "`gatehouse directory edit \(id) --group NAME` chooses.")
        }
        _ = await directories.ask(order, of: id)
        return try await status(of: id)
    }

    func preview(ofDirectory id: String) async throws -> DirectoryPreview {
        guard let report = await directories.report(id) else { throw APIError(.directoryUnknown(id)) }
        guard let preview = report.preview else {
            throw APIError.conflict(report.lastRefusal ?? "There was no preview of '\(id)' yet.")
        }
        return DirectoryPreview(preview.plan, requests: preview.requests)
    }

    // MARK: - API accesses

    func apiAccesses() async throws -> [APIAccessStatus] {
        try refusing { () throws(StoreError) in try store.apiAccesses() }.map(Self.status)
    }

    func addAPIAccess(_ order: APIAccessOrder, caller: Caller) async throws -> APIAccessGrant {
        guard let kind = APIAccess.Kind(rawValue: order.type) else {
            throw APIError.invalid("The type is one of \(APIAccess.Kind.allCases.map(\.rawValue).joined(separator: ", ")).")
        }
        guard order.id.isShortName, (1...100).contains(order.title.count) else {
            throw APIError.invalid("The name may hold letters, digits, '-', '_' and '.', 64 at most; the title needs 1 to 100.")
        }
        let secret = Base64URL.encode(SystemRandom.bytes(32))
        let access = APIAccess(
            id: order.id, title: order.title, kind: kind, clientID: SystemRandom.bytes(16).hexadecimal,
            createdAt: store.wall())
        try refusing { () throws(StoreError) in
            try store.add(
                access, secretHash: Hash.digest(.sha256, [Array(secret.utf8)]), by: Change(actor: caller.description))
        }
        log.add(.info, kind: "api-access-added", message: "\(caller) made the API access \(access.id).")
        return APIAccessGrant(
            access: Self.status(access), clientSecret: secret, gateway: webPages?.pages.address.origin)
    }

    func removeAPIAccess(id: String, caller: Caller) async throws {
        try refusing { () throws(StoreError) in try store.removeAPIAccess(id, by: Change(actor: caller.description)) }
        log.add(.info, kind: "api-access-removed", message: "\(caller) removed the API access \(id).")
    }

    func log(ofAPIAccess id: String, limit: Int) async throws -> [APIAccessLine] {
        try refusing { () throws(StoreError) in try store.log(ofAccess: id, limit: limit) }.map {
            APIAccessLine(number: $0.number, time: $0.time, type: $0.type, details: $0.details)
        }
    }

    private static func status(_ access: APIAccess) -> APIAccessStatus {
        APIAccessStatus(
            id: access.id, title: access.title, type: access.kind.rawValue, clientID: access.clientID,
            createdAt: access.createdAt, lastUsedAt: access.lastUsedAt)
    }

    private func status(of id: String) async throws -> DirectoryStatus {
        guard let report = await directories.report(id) else { throw APIError(.directoryUnknown(id)) }
        return Self.status(report, now: store.wall())
    }

    static func status(_ report: DirectoryDesk.Report, now: WallTime) -> DirectoryStatus {
        var directory = report.directory
        directory.secret = nil
        let standing = report.standing
        var status = DirectoryStatus(
            directory: directory, isBusy: report.isBusy, asked: report.asked, done: report.done, people: standing.people,
            groups: standing.groups, users: standing.users, added: standing.added, changed: standing.changed,
            disabled: standing.disabled, requests: standing.requests, seconds: standing.seconds,
            warnings: standing.warnings)
        status.lastRefusal = report.lastRefusal
        status.lastAttemptAt = standing.lastAttemptAt
        status.lastSyncAt = standing.lastSyncAt
        status.lastFullAt = standing.lastFullAt
        status.nextAt = report.nextAt
        status.lastError = standing.lastError
        status.question = standing.question
        status.secretEndsAt = report.directory.secretEnd(standing)
        if let end = status.secretEndsAt, let sentence = SecretWatch.sentence("The secret", endsAt: end, now: now) {
            status.warnings.insert(sentence, at: 0)
        }
        if directory.groups.isEmpty, directory.kind != .agent {
            status.warnings.insert("No group is chosen, so nobody comes.", at: 0)
        }
        return status
    }
}
