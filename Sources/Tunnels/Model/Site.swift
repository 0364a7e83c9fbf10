internal import Base

/// The connectors and settings of a gateway: what `export` writes and `apply` takes.
public struct Site: Hashable, Codable, Sendable {
    /// In their order: the first of two that claim one network carries it.
    public var connectors: [Connector]
    public var settings: [String: String]

    public init(connectors: [Connector] = [], settings: [String: String] = [:]) {
        self.connectors = connectors
        self.settings = settings
    }
}

/// A site as someone wants it. A secret of no bytes keeps the one that is stored in its place.
public struct SiteOrder: Hashable, Codable, Sendable {
    public var connectors: [Connector]
    /// Nil leaves the settings as they are.
    public var settings: [String: String]?

    public init(connectors: [Connector], settings: [String: String]? = nil) {
        self.connectors = connectors
        self.settings = settings
    }
}

/// What a site changes in the one that stands. Secrets are said to have changed, never shown.
public struct SiteDifference: Hashable, Codable, Sendable {
    public struct Change: Hashable, Codable, Sendable {
        /// The connector's ID.
        public var connector: String
        /// One line a change.
        public var changes: [String]
    }

    public var added: [Change] = []
    public var changed: [Change] = []
    /// IDs.
    public var removed: [String] = []
    /// IDs.
    public var unchanged: [String] = []
    public var isReordered: Bool
    /// One line a setting.
    public var settings: [String] = []
    /// What is allowed and may surprise, one sentence each.
    public var warnings: [String] = []

    public var isEmpty: Bool {
        added.isEmpty && changed.isEmpty && removed.isEmpty && settings.isEmpty && !isReordered
    }

    public init(from old: Site, to new: Site) {
        let before = Dictionary(old.connectors.map { ($0.id, $0) }) { first, _ in first }
        let after = Set(new.connectors.map(\.id))
        for connector in new.connectors {
            switch before[connector.id] {
            case nil: added.append(Change(connector: connector.id, changes: Self.summary(connector)))
            case connector?: unchanged.append(connector.id)
            case let known?: changed.append(Change(connector: connector.id, changes: Self.changes(known, connector)))
            }
        }
        removed = old.connectors.map(\.id).filter { !after.contains($0) }
        isReordered =
            old.connectors.map(\.id).filter(after.contains)
            != new.connectors.map(\.id).filter { before[$0] != nil }
        for name in Set(old.settings.keys).union(new.settings.keys).sorted()
        where old.settings[name] != new.settings[name] {
            settings.append("\(name) \(old.settings[name] ?? "none") → \(new.settings[name] ?? "none")")
        }
        let touched = Set((added + changed).map(\.connector))
        warnings = Self.overlaps(new.connectors.filter(\.isEnabled), touched)
    }

    private static func changes(_ old: Connector, _ new: Connector) -> [String] {
        var lines = ConnectorDifference(from: old, to: new).changes
        if old.isEnabled != new.isEnabled { lines.append(new.isEnabled ? "is enabled" : "is disabled") }
        if old.source != new.source { lines.append("where it came from") }
        return lines.isEmpty ? ["details of its tunnels"] : lines
    }

    private static func summary(_ connector: Connector) -> [String] {
        connector.tunnels.map { "\($0.name) to \($0.phase1.remoteAddress?.description ?? "any address")" }
            + ["remote networks " + connector.remoteNetworks.map(\.description).joined(separator: ", ")]
            + (connector.isEnabled ? [] : ["is disabled"])
    }

    private static func overlaps(_ connectors: [Connector], _ touched: Set<String>) -> [String] {
        var lines: [String] = []
        for (index, first) in connectors.enumerated() {
            for second in connectors[(index + 1)...] where touched.contains(first.id) || touched.contains(second.id) {
                for a in first.remoteNetworks {
                    for b in second.remoteNetworks where a.contains(b.address) || b.contains(a.address) {
                        lines.append("\(a) of \(first.id) and \(b) of \(second.id) overlap.")
                    }
                }
            }
        }
        return lines
    }
}
