internal import Base

extension Tunnel: Codable {
    private enum CodingKeys: String, CodingKey { case name, phase1, phase2, inside, bgp }

    /// `phase2` is one object, or a list of them.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let name = try container.decode(String.self, forKey: .name)
        let phase1 = try container.decode(Phase1.self, forKey: .phase1)
        let all: [Phase2]
        if (try? container.nestedUnkeyedContainer(forKey: .phase2)) != nil {
            all = try container.decode([Phase2].self, forKey: .phase2)
        } else {
            all = [try container.decode(Phase2.self, forKey: .phase2)]
        }
        guard let first = all.first else {
            throw DecodingError.dataCorruptedError(
                forKey: .phase2, in: container, debugDescription: "a tunnel has at least one phase 2")
        }
        self.init(
            name: name, phase1: phase1, phase2: first, furtherPhase2: Array(all.dropFirst()),
            inside: try container.decodeIfPresent(Inside.self, forKey: .inside),
            bgp: try container.decodeIfPresent(BGP.self, forKey: .bgp))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(phase1, forKey: .phase1)
        if furtherPhase2.isEmpty {
            try container.encode(phase2, forKey: .phase2)
        } else {
            try container.encode(allPhase2, forKey: .phase2)
        }
        try container.encodeIfPresent(inside, forKey: .inside)
        try container.encodeIfPresent(bgp, forKey: .bgp)
    }
}

extension Tunnel {
    /// The most phase 2 of one tunnel.
    public static let mostPhase2 = 64

    /// What is wrong with the phase 2 of this tunnel taken together, to be put behind the tunnel's name; nil when
    /// nothing is.
    public var phase2Fault: String? {
        guard !furtherPhase2.isEmpty else { return nil }
        guard allPhase2.count <= Self.mostPhase2 else {
            return "has \(allPhase2.count) phase 2, and may have at most \(Self.mostPhase2)"
        }
        var names: Set<String> = []
        var selectors: [Set<IPPrefix>: [(remote: Set<IPPrefix>, name: String)]] = [:]
        for (index, phase2) in allPhase2.enumerated() {
            guard let name = phase2.name, !name.isEmpty else {
                return "has several phase 2, and number \(index + 1) has no name"
            }
            guard names.insert(name).inserted else { return "has two phase 2 called \(name)" }
            let (local, remote) = (Set(phase2.localSelectors.map(\.network)), Set(phase2.remoteSelectors.map(\.network)))
            if let twin = selectors[local]?.first(where: { $0.remote == remote }) {
                return "has two phase 2 with the same selectors, \(twin.name) and \(name)"
            }
            selectors[local, default: []].append((remote, name))
        }
        return nil
    }
}
