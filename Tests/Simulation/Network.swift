import Base

/// What travels between hosts: a UDP datagram, or a bare ESP packet.
struct Packet {
    var source: Endpoint
    var destination: Endpoint
    /// IP protocol 50, without ports.
    var isBareESP: Bool
    var bytes: [UInt8]
    /// Bytes with the headers of IPv4 and UDP.
    var ipLength: Int { bytes.count + (isBareESP ? 20 : 28) }
    /// Made or repeated by the attacker.
    var isForged = false

    /// ESP, bare or in UDP, where IKE has a marker of zeros in front (RFC 3948 §2.2).
    var isESP: Bool {
        isBareESP || (source.port == 4500 || destination.port == 4500) && bytes.prefix(4).contains { $0 != 0 }
    }
}

/// How one tunnel's path behaves, each packet on its own.
struct Weather {
    var lossPercent = 0
    var doublingPercent = 0
    var delay = Tick.Span.milliseconds(10)
    var jitter = Tick.Span.zero
    /// What ESP may be late beside: it may overtake IKE and be overtaken by it.
    var espJitter = Tick.Span.zero
    /// Bytes of the largest IP packet.
    var mtu: Int
    /// Nothing passes towards the endpoint.
    var isUpCut = false
    /// Nothing passes towards the gateway.
    var isDownCut = false

    var isFair: Bool { lossPercent == 0 && !isUpCut && !isDownCut }
}

/// An address translator: a mapping for each inside endpoint and peer, forgotten when idle, with ports that differ
/// each time. Only the peer of a mapping gets in, and only UDP.
struct NAT {
    private struct Mapping {
        var inside: Endpoint
        var peer: Endpoint
        var port: UInt16
        var lastUsed: Tick
    }

    static let idleTimeout = Tick.Span.seconds(45)

    private var mappings: [Mapping] = []
    private var nextPort: UInt16 = 20_000
    /// Every endpoint that the gateway has had towards a peer's address.
    private(set) var everUsed: Set<Endpoint> = []

    mutating func forget() { mappings = [] }

    /// The packet as it leaves on the public side; nil for what cannot be translated.
    mutating func translateOut(_ packet: Packet, now: Tick) -> Packet? {
        guard !packet.isBareESP else { return nil }
        mappings.removeAll { now - $0.lastUsed > Self.idleTimeout }
        var packet = packet
        let index: Int
        if let known = mappings.firstIndex(where: { $0.inside == packet.source && $0.peer == packet.destination }) {
            index = known
        } else {
            mappings.append(Mapping(inside: packet.source, peer: packet.destination, port: nextPort, lastUsed: now))
            nextPort = nextPort == .max ? 20_000 : nextPort + 1
            index = mappings.count - 1
        }
        mappings[index].lastUsed = now
        packet.source = Endpoint(Scenario.gatewayAddress, mappings[index].port)
        everUsed.insert(packet.source)
        return packet
    }

    mutating func translateIn(_ packet: Packet, now: Tick) -> Packet? {
        guard !packet.isBareESP,
            let mapping = mappings.first(where: {
                $0.port == packet.destination.port && $0.peer == packet.source && now - $0.lastUsed <= Self.idleTimeout
            })
        else { return nil }
        var packet = packet
        packet.destination = mapping.inside
        return packet
    }
}

/// What arrives when, earliest first; equal ticks in the order in which they were put in.
struct Agenda<Item> {
    private struct Entry {
        var tick: Tick
        var order: UInt64
        var item: Item

        func isBefore(_ other: Entry) -> Bool { tick == other.tick ? order < other.order : tick < other.tick }
    }

    private var heap: [Entry] = []
    private var nextOrder: UInt64 = 0

    var count: Int { heap.count }
    var first: Tick? { heap.first?.tick }

    mutating func add(_ item: Item, at tick: Tick) {
        heap.append(Entry(tick: tick, order: nextOrder, item: item))
        nextOrder += 1
        var index = heap.count - 1
        while index > 0, heap[index].isBefore(heap[(index - 1) / 2]) {
            heap.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    mutating func removeFirst() -> Item? {
        guard let top = heap.first else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return top.item }
        heap[0] = last
        var index = 0
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < heap.count && heap[child].isBefore(heap[least]) {
                least = child
            }
            if least == index { return top.item }
            heap.swapAt(index, least)
            index = least
        }
    }
}
