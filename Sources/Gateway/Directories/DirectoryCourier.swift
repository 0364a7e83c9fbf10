import Base
import Cryptography
import Host
import HTTP
import Identity
import Ldap
import Store
import Vendors

/// A reading of one directory, as far as it has come.
struct DirectoryReading: Sendable {
    /// Nil for what an agent brought.
    private(set) var reader: (any DirectoryReader)?
    private(set) var mirror: DirectoryMirror
    let isFull: Bool
    private(set) var requests = 0
    /// Of the mirror, before anything was read.
    private let changesBefore: Int

    /// - Parameter mirror: what was read before `cursor`; empty without one.
    init(
        _ directory: Directory, since cursor: [String: String]?, mirror: DirectoryMirror, onlyGroups: Bool = false
    ) throws(DirectoryFault) {
        reader = try directory.reader(since: cursor, onlyGroups: onlyGroups)
        self.mirror = mirror
        isFull = cursor == nil
        changesBefore = mirror.changes
    }

    /// Goes on where another one was stopped; nil where that cannot be.
    ///
    /// - Parameter mirror: as it was then.
    init?(_ directory: Directory, after progress: DirectoryProgress, mirror: DirectoryMirror) {
        guard let reader = directory.reader(at: progress.bookmark) else { return nil }
        self.reader = reader
        self.mirror = mirror
        isFull = progress.isFull
        requests = progress.requests
        // What it had learnt is not in what is stored.
        changesBefore = -1
    }

    init(brought mirror: DirectoryMirror) {
        self.mirror = mirror
        isFull = true
        changesBefore = mirror.changes
    }

    /// Whether what was read is other than what was there before.
    var hasChanged: Bool { isFull || mirror.changes != changesBefore }

    var cursor: [String: String] { reader?.cursor ?? [:] }
    var secretEndsAt: WallTime? { reader?.secretEndsAt }
    var bookmark: DirectoryBookmark? { reader?.bookmark }
    var question: DirectoryQuestion? { reader?.question }
    var pause: Tick.Span { reader?.pause ?? .zero }

    mutating func receive(_ answer: DirectoryAnswer, now: WallTime) throws(DirectoryFault) {
        requests += 1
        try reader?.receive(answer, into: &mirror, now: now)
    }

    /// What a cursor belongs to: with another place or other groups it says nothing.
    static func choice(of directory: Directory) -> String {
        let parts = [
            directory.kind.rawValue, directory.host ?? "", directory.tenant ?? "", directory.customer ?? "",
            directory.apiURL ?? "", directory.baseDN ?? "", directory.subject ?? "",
        ] + directory.groups.map(\.id)
        return Hash.digest(.sha256, [Array(parts.joined(separator: "\u{0}").utf8)]).hexadecimal
    }
}

/// Carries questions to a directory and answers back.
struct DirectoryCourier: Sendable {
    let web: HTTPClient
    let tokens: TokenSource
    let clock: SystemClock
    /// For certificates that libldap reads from a file.
    let runtimeDirectory: String

    /// Asks until everything is read.
    ///
    /// - Throws: ``DirectoryFault``; `reading` is then as far as it has come.
    func finish(_ reading: inout DirectoryReading, of directory: Directory) async throws(DirectoryFault) {
        var client: LDAPClient?
        defer { client?.close() }
        let proof = try directory.proof()
        var isFirst = true
        while let question = reading.question {
            if Task.isCancelled { throw DirectoryFault(.transient, "The gateway is stopping.") }
            if !isFirst, reading.pause > .zero {
                // Below the vendor's limit. Cut short by cancellation, it leads to a call that is given up.
                try? await Task.sleep(for: .nanoseconds(reading.pause.nanoseconds))
            }
            isFirst = false
            switch question {
            case .web(let request):
                let response = try await send(request, proof)
                try reading.receive(.web(response), now: clock.wall)
            case .search(let search):
                if client == nil { client = try ldap(directory) }
                guard let ready = client else { continue }
                let result = try await ready.search(search)
                try reading.receive(.search(result), now: clock.wall)
            }
        }
    }

    private func send(_ request: HTTPRequest, _ proof: DirectoryProof?) async throws(DirectoryFault) -> HTTPResponse {
        do {
            switch proof {
            case nil: return try await web.send(request)
            case .header(let value):
                var request = request
                request.authorization = value
                return try await web.send(request)
            case .token(let grant): return try await tokens.send(request, with: grant)
            }
        } catch let failure as HTTPFailure {
            throw Self.fault(failure)
        } catch let refusal as OAuthRefusal {
            throw DirectoryFault(refusal.isFinal ? .refused : .transient, refusal.description)
        } catch {
            throw DirectoryFault(.transient, "\(error)")
        }
    }

    private static func fault(_ failure: HTTPFailure) -> DirectoryFault {
        switch failure.kind {
        case .throttled(let seconds), .circuitOpen(let seconds):
            DirectoryFault(.throttled(.seconds(seconds)), failure.description)
        case .addressRefused, .insecure, .proxy, .tooLong: DirectoryFault(.refused, failure.description)
        case .unknownHost, .connection, .timeOut, .cutOff, .malformed, .cancelled:
            DirectoryFault(.transient, failure.description)
        }
    }

    private func ldap(_ directory: Directory) throws(DirectoryFault) -> LDAPClient {
        guard let host = directory.host, let bindName = directory.bindName, let secret = directory.secret else {
            throw DirectoryFault(.refused, "The directory '\(directory.id)' lacks its host, name or password.")
        }
        var file: String?
        if let authority = directory.authority {
            let path = runtimeDirectory + "/directory-\(directory.id).pem"
            do {
                try StateFile.replace(path, with: authority)
            } catch {
                throw DirectoryFault(.transient, "\(path) cannot be written: \(error)")
            }
            file = path
        }
        // A host may have a port of its own.
        let parts = host.split(separator: ":")
        let port = parts.count == 2 ? UInt16(parts[1]) : nil
        return LDAPClient(
            LDAPClient.Settings(
                host: port == nil ? host : String(parts[0]), port: port ?? 636, bindName: bindName, password: secret,
                authorityFile: file))
    }

    /// The groups of a directory by name, read for an administrator to choose from. Nothing is kept.
    func groups(of directory: Directory) async throws(DirectoryFault) -> [Directory.ChosenGroup] {
        var reading = try DirectoryReading(directory, since: nil, mirror: DirectoryMirror(), onlyGroups: true)
        try await finish(&reading, of: directory)
        return reading.mirror.groupList
    }
}
