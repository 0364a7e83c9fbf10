internal import Base
internal import HTTP
internal import Identity
internal import JSONText

/// Okta: the groups, and the people of each chosen one, who come whole with their state (Okta Management API). Groups do not
/// nest there.
///
/// Later only groups whose members changed are read again, and users who changed. A user who is deleted leaves no trace in
/// that: once a day everything is read.
struct OktaReader: DirectoryReader {
    private enum Phase: Hashable { case groups, members(String), users, done }

    private let directory: Directory
    private let base: WebURL
    private let isFull: Bool
    private let onlyGroups: Bool
    private var phase = Phase.groups
    private var next: WebURL
    /// Chosen groups whose members are to be read.
    private var open: [String] = []
    private var pageSize = 1000
    /// The newest stamps in the data: the server's clock counts, not ours.
    private var newest: WallTime?
    private let since: WallTime?
    private(set) var pause = Tick.Span.zero
    let secretEndsAt: WallTime? = nil

    /// Changes that were under way when a stamp was seen are asked for again.
    private static let overlap = Tick.Span.seconds(300)

    init(_ directory: Directory, since cursor: [String: String]?, onlyGroups: Bool) throws(DirectoryFault) {
        self.directory = directory
        base = try directory.api("https://" + (directory.host ?? ""))
        since = Self.time(cursor?["since"])
        isFull = since == nil
        self.onlyGroups = onlyGroups
        next = base
        newest = since
        try go(to: .groups)
    }

    static func resumed(_ directory: Directory, at bookmark: DirectoryBookmark) -> Self? {
        let since = bookmark["since"]?.first.map { ["since": $0] }
        guard var reader = try? Self(directory, since: since, onlyGroups: false), reader.since?.rfc3339 == since?["since"],
            let next = directory.page(bookmark, on: reader.base)
        else { return nil }
        switch (bookmark["phase"]?.first, bookmark["group"]?.first) {
        case ("groups", _): reader.phase = .groups
        case ("members", let group?): reader.phase = .members(group)
        case ("users", _): reader.phase = .users
        default: return nil
        }
        reader.next = next
        reader.open = bookmark["open"] ?? []
        reader.newest = time(bookmark["newest"]?.first)
        reader.pageSize = bookmark["size"]?.first == "200" ? 200 : 1000
        return reader
    }

    var bookmark: DirectoryBookmark? {
        var bookmark: DirectoryBookmark = ["next": [next.description], "open": open, "size": [String(pageSize)]]
        switch phase {
        case .groups: bookmark["phase"] = ["groups"]
        case .members(let group): (bookmark["phase"], bookmark["group"]) = (["members"], [group])
        case .users: bookmark["phase"] = ["users"]
        case .done: bookmark["phase"] = ["done"]
        }
        bookmark["since"] = since.map { [$0.rfc3339] }
        bookmark["newest"] = newest.map { [$0.rfc3339] }
        return bookmark
    }

    var cursor: [String: String] { newest.map { ["since": $0.rfc3339] } ?? [:] }

    var question: DirectoryQuestion? {
        switch phase {
        case .done: nil
        case .groups: .web(directory.request(next, "the groups"))
        case .members: .web(directory.request(next, "the members"))
        case .users: .web(directory.request(next, "the changed users"))
        }
    }

    private mutating func go(to phase: Phase) throws(DirectoryFault) {
        self.phase = phase
        let overlap = Self.overlap.nanoseconds
        let stamp = since.map { WallTime(nanoseconds: max($0.nanoseconds, overlap) - overlap).rfc3339 } ?? ""
        let url: WebURL?
        switch phase {
        case .groups:
            let filter = [("filter", "lastUpdated gt \"\(stamp)\" or lastMembershipUpdated gt \"\(stamp)\"")]
            url = at("/api/v1/groups", [("limit", "200")] + (isFull ? [] : filter))
        case .members(let id):
            url = at("/api/v1/groups/\(FormEncoding.escape(id))/users", [("limit", String(pageSize))])
        case .users: url = at("/api/v1/users", [("limit", "200"), ("filter", "lastUpdated gt \"\(stamp)\"")])
        case .done: return
        }
        guard let url else { throw DirectoryFault(.refused, "The domain of '\(directory.id)' cannot be used.") }
        next = url
    }

    private func at(_ path: String, _ query: [(String, String)]) -> WebURL? {
        WebURL(base.origin + (base.path == "/" ? "" : base.path) + path)?.adding(query)
    }

    mutating func receive(
        _ answer: DirectoryAnswer, into mirror: inout DirectoryMirror, now: WallTime
    ) throws(DirectoryFault) {
        guard case .web(let response) = answer else { return }
        let page = DirectoryResponse(response: response, vendor: "Okta")
        pause = Self.pause(response)
        if response.status == 429 {
            // The limit of calls at one time has no end that is told; the limit a minute has.
            let wait = response["x-rate-limit-limit"] == "0" ? Tick.Span.seconds(2) : Self.untilReset(response, now)
            throw DirectoryFault(.throttled(wait), "Okta asks for a pause of \(Int(wait.seconds.rounded(.up))) s.")
        }
        if let fault = page.commonFault(now), response.status != 401 {
            // A large page may be too much for it.
            if case .members = phase, pageSize > 200, [408, 500, 504].contains(response.status) {
                pageSize = 200
                try go(to: phase)
            }
            throw fault
        }
        if case .members(let id) = phase, response.status == 404 {
            // It was deleted since the list was read: it has nobody.
            mirror.removeGroup(id)
            return try advance()
        }
        guard response.status == 200 else { throw fault(response, try? page.tree()) }
        guard let values = try page.tree().array else { throw page.malformed("it is no list") }
        let link = try Self.nextLink(response, base, page)
        if case .members(let id) = phase, !next.description.contains("after=") { mirror.clearMembers(ofGroup: id) }
        for value in values {
            guard let id = value["id"]?.string, !id.isEmpty else { throw page.malformed("an object has no id") }
            switch phase {
            case .groups: read(group: value, id, into: &mirror)
            case .members(let group):
                mirror.put(person(value), id)
                mirror.add(id, toGroup: group)
            case .users:
                note(value["lastUpdated"])
                // Others are in no chosen group.
                if mirror.person(id) != nil { mirror.put(person(value), id) }
            case .done: break
            }
        }
        if let link { return next = link }
        if phase == .groups {
            // A group that is gone is in no list: only a whole one says so.
            let chosen = directory.groups.map(\.id)
            if isFull, !onlyGroups { open = chosen.filter(mirror.hasGroup) }
            if isFull || !open.isEmpty { open.reverse() }
        }
        try advance()
    }

    private mutating func advance() throws(DirectoryFault) {
        if let id = open.popLast() { return try go(to: .members(id)) }
        try go(to: isFull || phase == .users ? .done : .users)
    }

    private mutating func read(group: JSONTree, _ id: String, into mirror: inout DirectoryMirror) {
        mirror.putGroup(id, name: group["profile"]?["name"]?.string ?? id)
        note(group["lastUpdated"])
        note(group["lastMembershipUpdated"])
        if !isFull, directory.groups.contains(where: { $0.id == id }) { open.append(id) }
    }

    private mutating func note(_ stamp: JSONTree?) {
        guard let time = Self.time(stamp?.string) else { return }
        newest = max(newest ?? time, time)
    }

    /// A stamp of the data. One of years before 1970 is taken for the start of that: it goes into the cursor, from which more
    /// is taken away.
    private static func time(_ text: String?) -> WallTime? {
        text.flatMap(WallTime.init(rfc3339:)).map { max($0, WallTime(nanoseconds: 0)) }
    }

    private mutating func person(_ user: JSONTree) -> DirectoryMirror.Person {
        note(user["lastUpdated"])
        let profile = user["profile"]
        // A state that is not known here is no state to come in.
        let isActive = ["ACTIVE", "PASSWORD_EXPIRED", "RECOVERY"].contains(user["status"]?.string)
        return DirectoryMirror.Person(
            mail: profile?["email"]?.string, login: profile?["login"]?.string,
            firstName: profile?["firstName"]?.string, lastName: profile?["lastName"]?.string,
            displayName: profile?["displayName"]?.string, isActive: isActive)
    }

    /// The next page (RFC 8288): two header lines, or one with a comma. On another host it is none of ours.
    private static func nextLink(
        _ response: HTTPResponse, _ base: WebURL, _ page: DirectoryResponse
    ) throws(DirectoryFault) -> WebURL? {
        for header in response.headers where header.name == "link" {
            for part in header.value.split(separator: "<").map({ "<" + $0 }) where part.contains("rel=\"next\"") {
                guard let end = part.firstIndex(of: ">") else { throw page.malformed("a link has no end") }
                let text = String(part[part.index(after: part.startIndex)..<end])
                guard let url = WebURL(text), url.authority == base.authority else {
                    throw page.malformed("the next page is on another host")
                }
                return url
            }
        }
        return nil
    }

    /// With less than half left of what a minute allows, others need room.
    private static func pause(_ response: HTTPResponse) -> Tick.Span {
        guard let limit = response["x-rate-limit-limit"].flatMap({ Int($0) }), limit > 0,
            let left = response["x-rate-limit-remaining"].flatMap({ Int($0) }), left < limit / 2 + limit % 2
        else { return .zero }
        return Tick.Span(nanoseconds: 60_000_000_000 / Int64(limit) * 2)
    }

    private static func untilReset(_ response: HTTPResponse, _ now: WallTime) -> Tick.Span {
        let there = response["date"].flatMap(HTTPDate.parse) ?? now
        guard let reset = response["x-rate-limit-reset"].flatMap({ Int64($0) }), (0...100_000_000_000).contains(reset) else {
            return .seconds(30)
        }
        let wait = reset - there.nanoseconds / 1_000_000_000
        return .seconds(Int(min(max(wait, 1), 900)))
    }

    private func fault(_ response: HTTPResponse, _ tree: JSONTree?) -> DirectoryFault {
        let code = tree?["errorCode"]?.string
        let mark = "\(response.status)\(code.map { ", \($0.quotedForPeople.prefix(20))" } ?? "")"
            + (response["x-okta-request-id"].map { ", request \($0.quotedForPeople.prefix(60))" } ?? "")
        switch response.status {
        case 401:
            return DirectoryFault(
                directory.clientID == nil ? .refused : .unauthorised,
                "Okta does not accept the API token (\(mark)). It ends 30 days after its last use and with the account of "
                    + "whoever made it. Make a new one and give it to `gatehouse directory edit \(directory.id)`.")
        case 403:
            return DirectoryFault(
                .refused,
                "Okta does not permit this (\(mark)). The token needs the role Read-only Administrator and the scopes "
                    + "okta.users.read and okta.groups.read, and may be bound to other networks.")
        default:
            return DirectoryFault(
                .refused, "Okta refused (\(mark))\(DirectoryResponse.clause(tree?["errorSummary"]?.string))")
        }
    }
}
