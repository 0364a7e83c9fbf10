/// Which sites someone may reach. A site is a connector, named by its ID.
public enum SiteChoice: Hashable, Sendable {
    /// All that there are and all that come.
    case all
    case only(Set<String>)

    public func contains(_ site: String) -> Bool {
        switch self {
        case .all: true
        case .only(let sites): sites.contains(site)
        }
    }

    public func intersection(_ other: SiteChoice) -> SiteChoice {
        switch (self, other) {
        case (.all, let choice), (let choice, .all): choice
        case (.only(let a), .only(let b)): .only(a.intersection(b))
        }
    }

    /// Of the sites that exist, those that are meant.
    public func among(_ sites: some Sequence<String>) -> Set<String> { Set(sites.filter(contains)) }
}

extension SiteChoice: LosslessStringConvertible {
    /// `all`, `none`, or IDs with commas.
    public init?(_ text: String) {
        switch text {
        case "all": self = .all
        case "none", "": self = .only([])
        default:
            let names = text.split(separator: ",").map { $0.split(separator: " ").joined(separator: " ") }
            guard !names.contains("") else { return nil }
            self = .only(Set(names))
        }
    }

    public var description: String {
        switch self {
        case .all: "all"
        case .only(let sites): sites.isEmpty ? "none" : sites.sorted().joined(separator: ",")
        }
    }
}

extension SiteChoice: Codable {
    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let choice = SiteChoice(text) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "'\(text)' is no list of sites"))
        }
        self = choice
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
