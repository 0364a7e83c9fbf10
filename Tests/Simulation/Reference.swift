import Base
import Tunnels

/// What must be true, whatever the engines and supervisors think: a model so small that it can be seen to be right.
struct Reference {
    /// A packet that was sent into a tunnel.
    struct Sent {
        var from: Int
        /// Where it may come out.
        var to: Set<Int>
        /// The endpoint's tunnel where only one can carry it.
        var tunnel: Int?
        var at: Tick
        var isDelivered = false
    }

    let scenario: Scenario
    /// Whether the definition that a host last read is in force.
    private(set) var isEnabled: [Bool]
    /// Generations of pre-shared keys, by host and tunnel.
    private(set) var keys: [[Int]]
    /// Since when the two ends of a tunnel have had different keys.
    private(set) var keysDifferSince: [Tick?]
    private(set) var sent: [Sent] = []

    init(_ scenario: Scenario) {
        self.scenario = scenario
        isEnabled = Array(repeating: true, count: scenario.hostCount)
        keys = Array(repeating: Array(repeating: 0, count: scenario.endpoints), count: scenario.hostCount)
        keysDifferSince = Array(repeating: nil, count: scenario.endpoints)
    }

    mutating func setEnabled(_ host: Int, _ value: Bool) { isEnabled[host] = value }

    mutating func setKey(_ host: Int, _ tunnel: Int, _ generation: Int, now: Tick) {
        keys[host][tunnel] = generation
        let differ = keys[0][tunnel] != keys[tunnel + 1][tunnel]
        keysDifferSince[tunnel] = differ ? keysDifferSince[tunnel] ?? now : nil
    }

    /// Both ends of every tunnel have the first key again.
    mutating func restoreKeys() {
        keys = keys.map { $0.map { _ in 0 } }
        keysDifferSince = keysDifferSince.map { _ in nil }
    }

    /// Longer than any handshake that began while the keys were the same.
    static let handshakePatience = Tick.Span.seconds(60)

    /// Whether the two ends can prove themselves to each other.
    func mayEstablish(_ tunnel: Int, now: Tick) -> Bool {
        keysDifferSince[tunnel].map { now - $0 < Self.handshakePatience } ?? true
    }

    /// The networks that a host's child of a tunnel carries, ours first.
    func selectors(_ host: Int) -> (local: IPPrefix, remote: IPPrefix) {
        let terms = scenario.connectors[host].tunnels[0].phase2
        return (terms.localSelectors[0], terms.remoteSelectors[0])
    }

    // MARK: - Traffic

    /// Books a packet that is about to be sent, and gives it its number.
    mutating func send(from host: Int, tunnel: Int?, now: Tick) -> UInt64 {
        sent.append(Sent(from: host, to: host == 0 ? Set(1...scenario.endpoints) : [0], tunnel: tunnel, at: now))
        return UInt64(sent.count - 1)
    }

    /// Books one that came out of a tunnel; what is wrong with that, if anything is.
    mutating func deliver(_ number: UInt64, at host: Int, tunnel: Int) -> String? {
        guard number < UInt64(sent.count) else { return "a packet came out that nobody sent" }
        let packet = sent[Int(number)]
        if packet.isDelivered { return "packet \(number) came out twice" }
        if !packet.to.contains(host) { return "packet \(number) came out at the wrong host" }
        let carrier = packet.tunnel ?? (host > 0 ? host - 1 : packet.from - 1)
        if carrier != tunnel { return "packet \(number) came out of tunnel \(tunnel + 1), not of its own" }
        sent[Int(number)].isDelivered = true
        return nil
    }

    /// Numbers of the packets that were sent in that time and have not come out.
    func missing(since start: Tick, until end: Tick) -> [Int] {
        sent.indices.reversed().prefix { sent[$0].at >= start }
            .filter { sent[$0].at <= end && !sent[$0].isDelivered }.reversed()
    }
}
