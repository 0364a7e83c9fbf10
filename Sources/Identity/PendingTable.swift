public import Base

/// What is counted where each client may have so much: its address; and of IPv6 the /64 too, from which one machine can
/// take any address that it likes, but in which a whole office may be.
public struct ClientKey: Hashable, Sendable {
    private let address: IPAddress
    private let isNetwork: Bool

    /// How many times what one address may have.
    public var shares: Int { isNetwork ? 16 : 1 }

    /// All that a client at an address counts against, the widest first.
    public static func keys(of address: IPAddress) -> [ClientKey] {
        switch address {
        case .v4: [ClientKey(address: address, isNetwork: false)]
        // ::ffff:0:0/96: an IPv4 client on a socket of IPv6.
        case .v6(let value) where value >> 32 == 0xFFFF: keys(of: .v4(UInt32(truncatingIfNeeded: value)))
        case .v6(let value):
            [
                ClientKey(address: .v6((value >> 64) << 64), isNetwork: true),
                ClientKey(address: address, isNetwork: false),
            ]
        }
    }
}

/// What was begun with a browser and is not answered yet, by the name that comes back with the answer. Names are
/// random: none comes twice.
///
/// Bounded: the oldest go first, and none is kept past its deadline. A client that begins more than it may pushes out
/// its own oldest and nobody else's.
struct PendingTable<Value: Sendable>: Sendable {
    private struct Entry: Sendable {
        var value: Value
        var deadline: Tick
        var clients: [ClientKey]
    }

    /// Entries kept.
    let limit: Int
    /// Entries kept of one address.
    let clientLimit: Int
    private var entries: [String: Entry] = [:]
    /// Names in the order in which they came; those before `head` are gone, and others may be.
    private var order: [String] = []
    private var head = 0
    /// The names that each client has in the table, oldest first.
    private var held: [ClientKey: [String]] = [:]

    init(limit: Int, clientLimit: Int = 20) {
        self.limit = limit
        self.clientLimit = clientLimit
    }

    var count: Int { entries.count }

    /// - Parameter address: where it was begun; nil for somebody whom no limit of their own holds.
    mutating func add(
        _ value: Value, named name: String, from address: IPAddress? = nil, until deadline: Tick, now: Tick
    ) {
        while head < order.count, entries[order[head]].map({ $0.deadline <= now }) ?? true { dropFirst() }
        let clients = address.map(ClientKey.keys) ?? []
        for client in clients {
            guard let names = held[client], names.count >= clientLimit * client.shares, let oldest = names.first else {
                continue
            }
            remove(oldest)
        }
        if entries.count >= limit { dropFirst() }
        entries[name] = Entry(value: value, deadline: deadline, clients: clients)
        for client in clients { held[client, default: []].append(name) }
        order.append(name)
        // Names that left before their turn stand between those that are kept.
        guard order.count - head > 2 * limit else { return }
        order = order[head...].filter { entries[$0] != nil }
        head = 0
    }

    /// What stands under a name, also when it is past its deadline.
    subscript(name: String) -> Value? { entries[name]?.value }

    mutating func remove(_ name: String) {
        for client in entries.removeValue(forKey: name)?.clients ?? [] {
            held[client]?.removeAll { $0 == name }
            if held[client]?.isEmpty == true { held[client] = nil }
        }
    }

    private mutating func dropFirst() {
        guard head < order.count else { return }
        remove(order[head])
        head += 1
        if head > 1024, head * 2 > order.count {
            order.removeFirst(head)
            head = 0
        }
    }
}
