internal import Base
internal import HTTP
internal import Identity
internal import JSONText

/// Google Workspace through the Admin SDK's Directory API: all users, and the members of the chosen groups and of the groups
/// within them. There are no change lists: everything is read each time.
struct GoogleReader: DirectoryReader {
    private enum Phase: Hashable { case groups, users, members(String), done }

    private let directory: Directory
    private let base: WebURL
    private let onlyGroups: Bool
    private var phase = Phase.groups
    private var next: WebURL
    private var open: [String] = []
    private var seen: Set<String> = []
    /// Groups that have the whole customer in them.
    private var general: [String] = []
    let cursor: [String: String] = [:]
    let secretEndsAt: WallTime? = nil
    /// Fewer than 25 a second: 2,400 a minute are allowed, and a project may have other programs.
    let pause = Tick.Span.milliseconds(40)

    init(_ directory: Directory, onlyGroups: Bool) throws(DirectoryFault) {
        self.directory = directory
        self.onlyGroups = onlyGroups
        base = try directory.api("https://admin.googleapis.com")
        next = base
        try go(to: .groups)
    }

    static func resumed(_ directory: Directory, at bookmark: DirectoryBookmark) -> Self? {
        guard var reader = try? Self(directory, onlyGroups: false), let next = directory.page(bookmark, on: reader.base) else {
            return nil
        }
        switch (bookmark["phase"]?.first, bookmark["group"]?.first) {
        case ("groups", _): reader.phase = .groups
        case ("users", _): reader.phase = .users
        case ("members", let group?): reader.phase = .members(group)
        default: return nil
        }
        reader.next = next
        reader.open = bookmark["open"] ?? []
        reader.seen = Set(bookmark["seen"] ?? [])
        reader.general = bookmark["general"] ?? []
        return reader
    }

    var bookmark: DirectoryBookmark? {
        var bookmark: DirectoryBookmark = [
            "next": [next.description], "open": open, "seen": seen.sorted(), "general": general,
        ]
        switch phase {
        case .groups: bookmark["phase"] = ["groups"]
        case .users: bookmark["phase"] = ["users"]
        case .members(let group): (bookmark["phase"], bookmark["group"]) = (["members"], [group])
        case .done: bookmark["phase"] = ["done"]
        }
        return bookmark
    }

    var question: DirectoryQuestion? {
        switch phase {
        case .done: nil
        case .groups: .web(directory.request(next, "the groups"))
        case .users: .web(directory.request(next, "the users"))
        case .members: .web(directory.request(next, "the members"))
        }
    }

    private mutating func go(to phase: Phase, page: String? = nil) throws(DirectoryFault) {
        self.phase = phase
        let path: String
        var query: [(String, String)] = []
        switch phase {
        case .groups:
            path = "groups"
            query = [
                ("customer", directory.customer ?? ""), ("maxResults", "200"), ("fields", "nextPageToken,groups(id,name,email)"),
            ]
        case .users:
            path = "users"
            query = [
                ("customer", directory.customer ?? ""), ("maxResults", "500"), ("projection", "basic"),
                ("fields", "nextPageToken,users(id,primaryEmail,name,suspended,archived)"),
            ]
        case .members(let id):
            path = "groups/\(FormEncoding.escape(id))/members"
            query = [("maxResults", "200"), ("fields", "nextPageToken,members(id,type)")]
        case .done: return
        }
        // A page's other parameters are those of the first one.
        if let page { query.append(("pageToken", page)) }
        guard let url = WebURL(base.origin + (base.path == "/" ? "" : base.path) + "/admin/directory/v1/" + path)?.adding(query)
        else { throw DirectoryFault(.refused, "The API address of '\(directory.id)' cannot be used.") }
        next = url
    }

    mutating func receive(
        _ answer: DirectoryAnswer, into mirror: inout DirectoryMirror, now: WallTime
    ) throws(DirectoryFault) {
        guard case .web(let response) = answer else { return }
        let page = DirectoryResponse(response: response, vendor: "Google")
        if let fault = page.commonFault(now) { throw fault }
        if case .members(let id) = phase, response.status == 404 {
            mirror.removeGroup(id)
            return try advance(mirror)
        }
        guard response.status == 200 else { throw fault(response.status, try? page.tree()) }
        let tree = try page.tree()
        guard tree.isObject else { throw page.malformed("it is no object") }
        switch phase {
        case .groups: try read(tree, "groups", page) { id, group in
            mirror.putGroup(id, name: group["name"]?.string ?? group["email"]?.string ?? id)
        }
        case .users: try read(tree, "users", page) { id, user in
            // Not said is not "no".
            let isActive = user["suspended"]?.bool == false && user["archived"]?.bool != true
            mirror.put(
                DirectoryMirror.Person(
                    mail: user["primaryEmail"]?.string, firstName: user["name"]?["givenName"]?.string,
                    lastName: user["name"]?["familyName"]?.string, displayName: user["name"]?["fullName"]?.string,
                    isActive: isActive), id)
        }
        case .members(let group):
            var nested: [String] = []
            var hasAll = false
            try read(tree, "members", page) { id, member in
                switch member["type"]?.string {
                case "CUSTOMER": hasAll = true
                case "GROUP":
                    mirror.add(id, toGroup: group)
                    nested.append(id)
                default: mirror.add(id, toGroup: group)
                }
            }
            if hasAll { general.append(group) }
            for id in nested where seen.insert(id).inserted { open.append(id) }
        case .done: break
        }
        if let token = tree["nextPageToken"]?.string, !token.isEmpty { return try go(to: phase, page: token) }
        if phase == .groups { return try go(to: onlyGroups ? .done : .users) }
        if phase == .users {
            open = directory.groups.map(\.id).filter(mirror.hasGroup).reversed()
            seen = Set(open)
        }
        try advance(mirror)
        if phase == .done { for group in general { mirror.addEveryone(toGroup: group) } }
    }

    private mutating func advance(_ mirror: DirectoryMirror) throws(DirectoryFault) {
        if let id = open.popLast() { return try go(to: .members(id)) }
        phase = .done
    }

    /// An empty list is not there at all.
    private func read(
        _ tree: JSONTree, _ name: String, _ page: DirectoryResponse, _ body: (String, JSONTree) -> Void
    ) throws(DirectoryFault) {
        guard let field = tree[name] else { return }
        guard let items = field.array else { throw page.malformed("'\(name)' is no list") }
        for item in items {
            guard let id = item["id"]?.string, !id.isEmpty else { throw page.malformed("an object has no id") }
            body(id, item)
        }
    }

    private func fault(_ status: Int, _ tree: JSONTree?) -> DirectoryFault {
        let error = tree?["error"]
        let reason = error?["errors"]?.array?.first?["reason"]?.string
        let words = DirectoryResponse.clause(error?["message"]?.string)
        switch (status, reason) {
        case (403, "userRateLimitExceeded"), (403, "quotaExceeded"), (403, "rateLimitExceeded"):
            return DirectoryFault(.throttled(.seconds(10)), "Google asks for a pause (403, \(reason ?? "")).")
        case (403, "accessNotConfigured"):
            return DirectoryFault(
                .refused, "The Admin SDK API is switched off in the service account's project. Enable it there.")
        case (403, _):
            return DirectoryFault(
                .refused,
                "Google does not let the service account read this (403). Give it the admin roles Groups Reader and User "
                    + "Management Admin, or one with Users: Read and Groups: Read, and check the customer ID "
                    + "\(directory.customer ?? ""). A new role takes effect within minutes, at times a day.")
        case (400, _) where next.query?.contains("pageToken=") == true:
            return DirectoryFault(.outdated, "Google does not know the page any more: everything is read anew.")
        default: return DirectoryFault(.refused, "Google refused (\(status)\(reason.map { ", \($0)" } ?? ""))\(words)")
        }
    }
}
