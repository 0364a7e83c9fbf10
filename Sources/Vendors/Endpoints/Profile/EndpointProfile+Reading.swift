import Access
import HTTP

extension EndpointProfile {
    /// Reads a profile in YAML.
    ///
    /// - Throws: ``ProfileFault`` with the line.
    public init(_ text: String) throws(ProfileFault) {
        let root = try ProfileNode.parse(text)
        let fields = try root.fields(
            "title", "url", "fields", "key", "authorization", "pace", "errors", "test", "calls", "endpoint", "attributes",
            "maximum-ages", "notes")
        func needed(_ name: String) throws(ProfileFault) -> ProfileNode {
            guard let node = fields[name] else { throw root.fault("'\(name)' is missing") }
            return node
        }
        title = try needed("title").text()
        let url = try fields["url"]?.fields("label", "default", "hosts", "path") ?? [:]
        urlLabel = try url["label"]?.text() ?? "URL"
        defaultURL = try url["default"]?.text()
        hosts = try url["hosts"]?.texts().map { $0.lowercased() } ?? []
        path = try url["path"]?.text() ?? ""
        var others: [Field] = []
        for (name, node) in try fields["fields"]?.members() ?? [] {
            let parts = try node.fields("label", "optional")
            others.append(
                Field(name: name, label: try parts["label"]?.text() ?? name, isOptional: try parts["optional"]?.flag() ?? false))
        }
        self.fields = others
        let key = try fields["key"]?.fields("label", "life-days", "advice", "end") ?? [:]
        keyLabel = try key["label"]?.text() ?? "API key"
        keyLifeDays = try key["life-days"]?.number()
        keyAdvice = try key["advice"]?.text() ?? "Make a new key in the console of \(title)."
        if let node = key["end"] {
            let parts = try node.fields("method", "path", "query", "body", "at")
            guard let at = parts["at"] else { throw node.fault("'at' is missing: where the answer has the time") }
            keyEnd = KeyEnd(call: try CallTemplate(simple: node, "key-end", parts), at: try at.path())
        }
        authorization = try Self.authorization(try needed("authorization"))
        let pace = try fields["pace"]?.fields("calls", "seconds", "per-call") ?? [:]
        paceCalls = try pace["calls"]?.number() ?? 1
        paceSeconds = try pace["seconds"]?.number() ?? 1
        pacesEachCall = try pace["per-call"]?.flag() ?? false
        guard (1...1000).contains(paceCalls), (1...3600).contains(paceSeconds) else {
            throw try needed("pace").fault("'calls' is from 1 to 1000 in 'seconds', from 1 to 3600")
        }
        errors = try fields["errors"].map(ErrorShape.init) ?? ErrorShape()
        if let node = fields["test"] {
            test = try CallTemplate(simple: node, "test", try node.fields("method", "path", "query", "body", "echo"))
        }
        var calls: [CallTemplate] = []
        for (name, node) in try needed("calls").members() { calls.append(try CallTemplate(node, name)) }
        guard let first = calls.first else { throw try needed("calls").fault("at least the call that lists endpoints is needed") }
        guard first.key == nil, !first.isPerEndpoint else {
            throw try needed("calls").fault("the first call lists the endpoints: it has neither 'key' nor 'per-endpoint'")
        }
        for call in calls.dropFirst() where call.key == nil && !call.isPerEndpoint {
            throw try needed("calls").fault("'\(call.name)' needs a 'key', or 'per-endpoint'")
        }
        self.calls = calls
        endpoint = try EndpointMapping(try needed("endpoint"))
        var attributes: [PostureAttribute: [AttributeRule]] = [:]
        for (name, node) in try needed("attributes").members() {
            let attribute = try Self.attribute(name, node)
            var rules: [AttributeRule] = []
            for item in node.list() {
                let rule = try AttributeRule(item, of: attribute, usualCall: first.name)
                guard calls.contains(where: { $0.name == rule.call }) else {
                    throw item.fault("there is no call '\(rule.call)'")
                }
                rules.append(rule)
            }
            attributes[attribute] = rules
        }
        self.attributes = attributes
        var ages: [PostureAttribute: Int] = [:]
        for (name, node) in try fields["maximum-ages"]?.members() ?? [] {
            let seconds = try node.number()
            guard (60...366 * 86_400).contains(seconds) else { throw node.fault("from a minute to a year, in seconds") }
            if name == "usual" {
                for attribute in PostureAttribute.allCases where attribute.maximumAgeSeconds == 86_400 {
                    ages[attribute] = ages[attribute] ?? seconds
                }
            } else {
                ages[try Self.attribute(name, node)] = seconds
            }
        }
        maximumAges = ages
        notes = try fields["notes"]?.texts() ?? []
    }

    private static func attribute(_ name: String, _ node: ProfileNode) throws(ProfileFault) -> PostureAttribute {
        guard let attribute = PostureAttribute(rawValue: name) else {
            throw node.fault(
                "'\(name)' is no attribute; there are "
                    + PostureAttribute.allCases.map(\.rawValue).joined(separator: ", "))
        }
        return attribute
    }

    private static func authorization(_ node: ProfileNode) throws(ProfileFault) -> Authorization {
        guard node.isMapping else { return .header(try node.text()) }
        let parts = try node.fields("basic", "oauth")
        if let basic = parts["basic"] { return .basic(try basic.text()) }
        guard let oauth = parts["oauth"] else { throw node.fault("give a text, or one of basic and oauth") }
        let terms = try oauth.fields("endpoint", "client", "scopes")
        guard let endpoint = try terms["endpoint"]?.text(), let client = try terms["client"]?.text() else {
            throw oauth.fault("'endpoint' and 'client' are needed")
        }
        return .oauth(endpoint: endpoint, clientID: client, scopes: try terms["scopes"]?.texts() ?? [])
    }
}

extension ErrorShape {
    init(_ node: ProfileNode) throws(ProfileFault) {
        let parts = try node.fields("at", "code", "message", "detail", "transient", "gone", "advice")
        at = try parts["at"]?.path()
        code = try parts["code"]?.path()
        message = try parts["message"]?.path()
        detail = try parts["detail"]?.path()
        transient = Set(try parts["transient"]?.texts() ?? [])
        gone = Set(try parts["gone"]?.texts() ?? [])
        for (code, text) in try parts["advice"]?.members() ?? [] { advice[code] = try text.text() }
    }
}

extension EndpointMapping {
    init(_ node: ProfileNode) throws(ProfileFault) {
        let parts = try node.fields("id", "host", "macs", "addresses", "user", "drop")
        guard let id = try parts["id"]?.paths(), !id.isEmpty else {
            throw node.fault("'id' is missing: the field that names an endpoint")
        }
        self.id = id
        host = try parts["host"]?.paths() ?? []
        macs = try parts["macs"]?.paths() ?? []
        addresses = try parts["addresses"]?.paths() ?? []
        user = try parts["user"]?.paths() ?? []
        for item in parts["drop"]?.list() ?? [] { drop.append(try Condition(item)) }
    }
}

extension CallTemplate {
    /// A call of which only the answer counts.
    init(simple node: ProfileNode, _ name: String, _ parts: [String: ProfileNode]) throws(ProfileFault) {
        guard let path = try parts["path"]?.text(), let document = FieldPath(".") else {
            throw node.fault("'path' is missing")
        }
        self.init(name: name, path: path, items: document, every: 0)
        try readRequest(node, parts)
        echo = try parts["echo"]?.path()
    }

    init(_ node: ProfileNode, _ name: String) throws(ProfileFault) {
        let parts = try node.fields(
            "method", "path", "query", "body", "items", "total", "echo", "paging", "every", "watched-every", "key",
            "per-endpoint", "seen", "as-of-call", "changes", "look-up", "permission", "empty-statuses", "megabytes")
        try self.init(simple: node, name, parts)
        guard let items = try parts["items"]?.path() else {
            throw node.fault("'items' is missing: where the answer has its rows")
        }
        self.items = items
        total = try parts["total"]?.path()
        key = try parts["key"]?.path()
        isPerEndpoint = try parts["per-endpoint"]?.flag() ?? false
        every = try Self.seconds(parts["every"], node)
        watchedEvery = try parts["watched-every"].map { node throws(ProfileFault) in try Self.seconds(node, node) }
        seen = try parts["seen"]?.paths() ?? []
        isAsOfCall = try parts["as-of-call"]?.flag() ?? false
        permission = try parts["permission"]?.text()
        for item in parts["empty-statuses"]?.list() ?? [] { emptyStatuses.append(try item.number()) }
        if let megabytes = try parts["megabytes"]?.number() {
            guard (1...256).contains(megabytes) else { throw node.fault("'megabytes' is from 1 to 256") }
            bodyBytes = megabytes << 20
        }
        if let node = parts["paging"] { paging = try Paging(node) }
        if let node = parts["changes"] {
            let parts = try node.fields("every", "query", "overlap")
            let overlap = try parts["overlap"]?.number() ?? 120
            guard (0...86_400).contains(overlap) else { throw node.fault("'overlap' is from nothing to a day, in seconds") }
            changes = Changes(
                query: try Self.pairs(parts["query"]), every: try Self.seconds(parts["every"], node),
                overlap: overlap)
        }
        for (name, node) in try parts["look-up"]?.members() ?? [] {
            guard let by = LookUp.Key(rawValue: name) else {
                throw node.fault("an endpoint is looked up by id, mac, host or address")
            }
            let parts = try node.fields("path", "items", "query", "body", "alone")
            lookUps.append(
                LookUp(
                    by: by, path: try parts["path"]?.text(), items: try parts["items"]?.path(),
                    query: try Self.pairs(parts["query"]),
                    body: try parts["body"].map { node throws(ProfileFault) in try node.json() },
                    isAlone: try parts["alone"]?.flag() ?? false))
        }
    }

    private mutating func readRequest(_ node: ProfileNode, _ parts: [String: ProfileNode]) throws(ProfileFault) {
        if let method = parts["method"] {
            switch try method.text().uppercased() {
            case "GET": self.method = .get
            case "POST": self.method = .post
            default: throw method.fault("'method' is GET or POST")
            }
        }
        query = try Self.pairs(parts["query"])
        if let body = parts["body"] {
            guard self.method == .post else { throw body.fault("only a POST has a body") }
            self.body = try body.json()
        }
    }

    private static func pairs(_ node: ProfileNode?) throws(ProfileFault) -> [Pair] {
        var pairs: [Pair] = []
        for (name, value) in try node?.members() ?? [] { pairs.append(Pair(name: name, value: try value.text())) }
        return pairs
    }

    private static func seconds(_ node: ProfileNode?, _ parent: ProfileNode) throws(ProfileFault) -> Int {
        guard let seconds = try node?.number(), (10...7 * 86_400).contains(seconds) else {
            throw (node ?? parent).fault("'every' is from 10 seconds to a week, in seconds")
        }
        return seconds
    }
}

extension CallTemplate.Paging {
    init(_ node: ProfileNode) throws(ProfileFault) {
        let parts = try node.fields("cursor", "parameter", "page", "pages", "offset", "link", "size")
        let size = try parts["size"]?.number() ?? 0
        if let cursor = parts["cursor"] {
            guard let parameter = try parts["parameter"]?.text() else { throw node.fault("'parameter' is missing") }
            self = .cursor(at: try cursor.path(), parameter: parameter)
        } else if let pages = parts["pages"] {
            self = .pages(count: try pages.path(), size: size)
        } else if let page = parts["page"], try page.flag() {
            self = .pages(count: nil, size: size)
        } else if let offset = parts["offset"], try offset.flag() {
            guard size > 0 else { throw node.fault("'size' is missing: the rows of a full page") }
            self = .offset(size: size)
        } else if let link = parts["link"] {
            self = .link(at: try link.path(), parameter: try parts["parameter"]?.text(), size: size)
        } else {
            throw node.fault("give one of cursor, pages, page, offset and link")
        }
    }
}
