import Base

@testable import Access

/// A Wednesday: 2026-11-25T12:00:00Z.
let noon = WallTime(rfc3339: "2026-11-25T12:00:00Z")!

func mac(_ text: String) -> MACAddress { MACAddress(text)! }

extension WallTime {
    func later(_ seconds: Int) -> WallTime { self + .seconds(seconds) }
}

extension PostureSource {
    /// One whose inventory was complete a minute before noon.
    static func sample(_ name: String = "s1", supports: Set<PostureAttribute> = Set(PostureAttribute.allCases)) -> Self {
        PostureSource(name: name, vendor: "sentinelone", supports: supports, completedAt: noon.later(-60))
    }
}

extension EndpointRecord {
    static func sample(
        _ id: String, source: String = "s1", host: String? = nil, macs: [String] = [], addresses: [String] = [],
        user: String? = nil, os: OperatingSystem.Family? = .windows, infected: Bool? = false, outdated: Bool? = false,
        observedAt: WallTime = noon.later(-60), seenAt: WallTime? = noon.later(-60)
    ) -> EndpointRecord {
        var facts: [PostureAttribute: PostureFact] = [
            .agentInstalled: PostureFact(.value(.flag(true), observedAt: observedAt))
        ]
        func set(_ attribute: PostureAttribute, _ value: PostureValue?) {
            facts[attribute] = PostureFact(value.map { .value($0, observedAt: observedAt) } ?? .unknown(.noData))
        }
        set(.infected, infected.map { .flag($0) })
        set(.avAgentOutdated, outdated.map { .flag($0) })
        set(.os, os.map { .operatingSystem(OperatingSystem(family: $0)) })
        return EndpointRecord(
            key: EndpointKey(source: source, id: id), vendor: "sentinelone", hostName: host,
            macs: macs.map { MACAddress($0)! }, addresses: addresses.map { IPAddress($0)! }, seenAt: seenAt,
            lastUser: user, facts: facts, fetchedAt: noon.later(-60))
    }
}

extension EndpointDirectory {
    init(_ records: [EndpointRecord], sources: [PostureSource] = [.sample()]) {
        self.init()
        for source in sources { _ = receive(.source(source)) }
        _ = receive(.changed(records))
    }
}

extension SmallRandom {
    mutating func pick<Value>(_ values: [Value]) -> Value { values[Int(next() % UInt64(values.count))] }
    mutating func some<Value>(_ values: [Value]) -> [Value] { values.filter { _ in next() % 2 == 0 } }
    mutating func chance(_ one: UInt64) -> Bool { next() % one == 0 }
}
