internal import Base

/// What was begun with a browser and is not answered yet, by the name that comes back with the answer. Bounded: the oldest
/// go first, and none is kept past its deadline.
struct PendingTable<Value: Sendable>: Sendable {
    /// Entries kept.
    let limit: Int
    private var entries: [String: (value: Value, deadline: Tick)] = [:]
    /// Names in the order in which they came; those before `head` are gone, and others may be.
    private var order: [String] = []
    private var head = 0

    init(limit: Int) { self.limit = limit }

    var count: Int { entries.count }

    mutating func add(_ value: Value, named name: String, until deadline: Tick, now: Tick) {
        while head < order.count, entries[order[head]].map({ $0.deadline <= now }) ?? true { dropFirst() }
        if entries.count >= limit { dropFirst() }
        entries[name] = (value, deadline)
        order.append(name)
    }

    /// What stands under a name, also when it is past its deadline.
    subscript(name: String) -> Value? { entries[name]?.value }

    mutating func remove(_ name: String) { entries[name] = nil }

    private mutating func dropFirst() {
        guard head < order.count else { return }
        entries[order[head]] = nil
        head += 1
        if head > 1024, head * 2 > order.count {
            order.removeFirst(head)
            head = 0
        }
    }
}
