internal import Base
internal import Cryptography
internal import HTTP
internal import Identity
internal import JSONText

/// Microsoft Entra ID through Microsoft Graph: users and groups by delta queries, which bring everything at first and then
/// only what changed (Microsoft Graph, "Use delta query to track changes").
///
/// Groups within groups are resolved here, from their direct members. A user who is deleted stays in the lists of members
/// until they are gone for good: whether somebody may come is asked of the user.
struct EntraReader: DirectoryReader {
    private enum Phase: String { case users, groups, secrets, done }

    private let directory: Directory
    private let base: WebURL
    private let isFull: Bool
    private let onlyGroups: Bool
    private var phase: Phase
    private var next: WebURL
    private(set) var cursor: [String: String]
    private(set) var secretEndsAt: WallTime?

    private static let userFields = "id,displayName,givenName,surname,userPrincipalName,mail,accountEnabled,userType"
    private static let groupFields = "displayName,members"
    /// Twenty a second: well below what a tenant gets.
    let pause = Tick.Span.milliseconds(50)

    init(_ directory: Directory, since cursor: [String: String]?, onlyGroups: Bool) throws(DirectoryFault) {
        self.directory = directory
        base = try directory.api("https://graph.microsoft.com")
        self.cursor = cursor ?? [:]
        isFull = cursor == nil
        self.onlyGroups = onlyGroups
        phase = .users
        next = base
        try begin(onlyGroups ? .groups : .users)
    }

    static func resumed(_ directory: Directory, at bookmark: DirectoryBookmark) -> Self? {
        guard let isFull = bookmark["full"], var reader = try? Self(directory, since: isFull == ["yes"] ? nil : [:], onlyGroups: false),
            let phase = bookmark["phase"]?.first.flatMap(Phase.init), let next = directory.page(bookmark, on: reader.base)
        else { return nil }
        reader.phase = phase
        reader.next = next
        for (name, link) in zip(bookmark["cursors"] ?? [], bookmark["links"] ?? []) { reader.cursor[name] = link }
        return reader
    }

    var bookmark: DirectoryBookmark? {
        let cursors = cursor.sorted { $0.key < $1.key }
        return [
            "phase": [phase.rawValue], "next": [next.description], "full": [isFull ? "yes" : "no"],
            "cursors": cursors.map(\.key), "links": cursors.map(\.value),
        ]
    }

    var question: DirectoryQuestion? {
        switch phase {
        case .done: return nil
        case .users: return .web(directory.request(next, "the users"))
        case .groups: return .web(directory.request(next, "the groups"))
        case .secrets:
            var request = directory.request(next, "the application")
            // A kindness, which most tenants do not permit: not worth a second try.
            request.retries = .none
            return .web(request)
        }
    }

    private mutating func begin(_ phase: Phase) throws(DirectoryFault) {
        self.phase = phase
        let first: WebURL?
        switch phase {
        case .users: first = at("/v1.0/users/delta", [("$select", Self.userFields)])
        case .groups where onlyGroups:
            first = at("/v1.0/groups", [("$select", "id,displayName"), ("$top", "999")])
        case .groups: first = at("/v1.0/groups/delta", [("$select", Self.groupFields)])
        case .secrets:
            let id = directory.clientID ?? ""
            guard id.utf8.allSatisfy({ (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == 45 })
            else { return self.phase = .done }
            first = at("/v1.0/applications(appId='\(id)')", [("$select", "appId,displayName,passwordCredentials")])
        case .done: return
        }
        // A link of the last time goes nowhere else than the vendor's own.
        let stored = isFull ? nil : cursor[phase.rawValue].flatMap(WebURL.init).flatMap { $0.authority == base.authority ? $0 : nil }
        guard let url = stored ?? first else { throw DirectoryFault(.refused, "The API address of '\(directory.id)' is too long.") }
        next = url
    }

    private func at(_ path: String, _ query: [(String, String)]) -> WebURL? {
        WebURL(base.origin + (base.path == "/" ? "" : base.path) + path)?.adding(query)
    }

    mutating func receive(
        _ answer: DirectoryAnswer, into mirror: inout DirectoryMirror, now: WallTime
    ) throws(DirectoryFault) {
        guard case .web(let response) = answer else { return }
        let page = DirectoryResponse(response: response, vendor: "Microsoft Graph")
        if phase == .secrets {
            if response.status == 200, let tree = try? page.tree() { readSecrets(tree) }
            return phase = .done
        }
        if let fault = page.commonFault(now) { throw fault }
        let tree = try? page.tree()
        guard response.status == 200 else { throw Self.fault(response.status, tree, phase.rawValue) }
        let page200 = try page.tree()
        guard let values = page200["value"]?.array else { throw page.malformed("there is no list 'value'") }
        let link = page200["@odata.nextLink"]?.string
        let end = page200["@odata.deltaLink"]?.string
        // A page that says neither that more follows nor that it is the last is half a page.
        if onlyGroups, link == nil {
            for value in values { if let id = value["id"]?.string { Self.read(group: value, id, into: &mirror) } }
            return phase = .done
        }
        guard let text = link ?? end, let url = WebURL(text), url.authority == base.authority else {
            throw page.malformed("there is neither a next page nor an end, or it is on another host")
        }
        for value in values {
            guard let id = value["id"]?.string, !id.isEmpty else { throw page.malformed("an object has no id") }
            if phase == .users { Self.read(user: value, id, into: &mirror) } else { Self.read(group: value, id, into: &mirror) }
        }
        guard link == nil else { return next = url }
        cursor[phase.rawValue] = text
        try begin(phase == .users ? .groups : isFull ? .secrets : .done)
    }

    private static func read(user: JSONTree, _ id: String, into mirror: inout DirectoryMirror) {
        if user["@removed"] != nil { return mirror.removePerson(id) }
        guard case .object(let fields) = user.value else { return }
        // A change has only the fields that changed; one that is there as null was emptied.
        var person = mirror.person(id) ?? DirectoryMirror.Person()
        func take(_ name: String, _ place: WritableKeyPath<DirectoryMirror.Person, String?>) {
            if let field = fields[name] { person[keyPath: place] = field.string }
        }
        take("mail", \.mail)
        take("userPrincipalName", \.login)
        take("givenName", \.firstName)
        take("surname", \.lastName)
        take("displayName", \.displayName)
        // A guest's own name here is no address of theirs.
        if person.login?.contains("#EXT#") == true { person.login = nil }
        // Absent is not true.
        if let enabled = fields["accountEnabled"] { person.isActive = enabled.bool == true }
        mirror.put(person, id)
    }

    private static func read(group: JSONTree, _ id: String, into mirror: inout DirectoryMirror) {
        if group["@removed"] != nil { return mirror.removeGroup(id) }
        if let name = group["displayName"]?.string {
            mirror.putGroup(id, name: name)
        } else if !mirror.hasGroup(id) {
            mirror.putGroup(id, name: id)
        }
        for member in group["members@delta"]?.array ?? [] {
            guard let key = member["id"]?.string else { continue }
            if member["@removed"] != nil {
                mirror.remove(key, fromGroup: id)
            } else if ["#microsoft.graph.user", "#microsoft.graph.group", nil].contains(member["@odata.type"]?.string) {
                mirror.add(key, toGroup: id)
            }
        }
    }

    /// The end of the client secret that is ours: of those whose first characters fit, the latest.
    private mutating func readSecrets(_ tree: JSONTree) {
        guard let secret = directory.secret else { return }
        let start = secret.withUnsafeBytes { String(decoding: $0.prefix(3), as: UTF8.self) }
        secretEndsAt = (tree["passwordCredentials"]?.array ?? []).filter { $0["hint"]?.string == start }
            .compactMap { $0["endDateTime"]?.string.flatMap(WallTime.init(rfc3339:)) }.max()
    }

    private static func fault(_ status: Int, _ tree: JSONTree?, _ what: String) -> DirectoryFault {
        let error = tree?["error"]
        let code = error?["code"]?.string
        let words = DirectoryResponse.clause(error?["message"]?.string)
        switch status {
        case 410:
            return DirectoryFault(.outdated, "Microsoft Graph no longer knows what changed: everything is read anew.")
        case 403:
            return DirectoryFault(
                .refused,
                "Microsoft Graph does not let the application read the \(what) (403\(code.map { ", \($0)" } ?? "")). Give it "
                    + "the application permissions User.Read.All and Group.Read.All, and an administrator's consent.")
        default:
            return DirectoryFault(
                .refused, "Microsoft Graph refused to give the \(what) (\(status)\(code.map { ", \($0)" } ?? ""))\(words)")
        }
    }
}
