import Base
import Foundation
import Identity
import Ldap
import Vendors

/// Reads the directory at intervals, first everything and then what changed, and brings it to the gateway when it is not
/// what was brought last.
struct AgentCourier: Sendable {
    let settings: LDAPClient.Settings
    let directory: Directory
    let link: GatewayLink
    let journal: AgentJournal

    /// Everything is read and brought again after so long, whatever changed.
    private static let fullInterval: TimeInterval = 86_400

    func run(once: Bool, interval: Int) async throws {
        var mirror = DirectoryMirror()
        var cursor: [String: String]?
        var brought: [UInt8]?
        var lastFull = Date.distantPast
        journal.write("started", "the domain controller \(settings.host), every \(interval) s")
        while true {
            do {
                if Date().timeIntervalSince(lastFull) > Self.fullInterval { (cursor, brought) = (nil, nil) }
                let isFull = cursor == nil
                (mirror, cursor) = try await read(since: cursor, mirror)
                if isFull { lastFull = Date() }
                // Mirrors of one content may differ in their order: what is brought has one order.
                let parts = mirror.pushes(run: UUID().uuidString)
                let content = try JSONEncoder.sorted.encode(parts.flatMap(\.people))
                    + JSONEncoder.sorted.encode(parts.flatMap(\.groups))
                if brought != [UInt8](content) {
                    try await link.bring(parts)
                    brought = [UInt8](content)
                    journal.write(
                        "brought", "\(mirror.peopleCount) people and \(mirror.groupCount) groups in \(parts.count) parts")
                } else {
                    journal.write("unchanged", "\(mirror.peopleCount) people and \(mirror.groupCount) groups")
                }
                if once { return journal.write("ended", "as asked") }
            } catch let fault as DirectoryFault {
                if once { throw fault }
                journal.write("read-failed", fault.description)
            } catch {
                if once { throw error }
                journal.write("bring-failed", "\(error)")
            }
            try await Task.sleep(for: .seconds(interval))
        }
    }

    private func read(
        since cursor: [String: String]?, _ before: DirectoryMirror
    ) async throws -> (DirectoryMirror, [String: String]) {
        let client = LDAPClient(settings)
        defer { client.close() }
        do throws(DirectoryFault) {
            return try await read(client, since: cursor, cursor == nil ? DirectoryMirror() : before)
        } catch where error.kind == .outdated {
            journal.write("reading-anew", error.description)
            return try await read(client, since: nil, DirectoryMirror())
        }
    }

    private func read(
        _ client: LDAPClient, since cursor: [String: String]?, _ before: DirectoryMirror
    ) async throws(DirectoryFault) -> (DirectoryMirror, [String: String]) {
        var reader = try directory.reader(since: cursor)
        var mirror = before
        while case .search(let search) = reader.question {
            try reader.receive(.search(try await client.search(search)), into: &mirror, now: AgentJournal.now)
        }
        return (mirror, reader.cursor)
    }
}

extension JSONEncoder {
    /// Members in one order.
    fileprivate static var sorted: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        return encoder
    }
}
