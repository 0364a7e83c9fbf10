internal import Base

/// What must happen when, each thing under its own key: a binary heap that knows where every key stands, so that
/// setting, moving and removing cost O(log n) and nothing stale remains. Equal ticks ring in the order they were set.
struct DeadlineQueue<Key: Hashable & Sendable>: Sendable {
    private struct Entry: Sendable {
        var tick: Tick
        var order: UInt64
        var key: Key

        func isBefore(_ other: Entry) -> Bool { tick == other.tick ? order < other.order : tick < other.tick }
    }

    private var heap: [Entry] = []
    private var position: [Key: Int] = [:]
    private var nextOrder: UInt64 = 0

    var count: Int { heap.count }
    var first: (key: Key, tick: Tick)? { heap.first.map { ($0.key, $0.tick) } }

    func tick(of key: Key) -> Tick? { position[key].map { heap[$0].tick } }

    mutating func set(_ key: Key, _ tick: Tick) {
        let entry = Entry(tick: tick, order: nextOrder, key: key)
        nextOrder += 1
        if let index = position[key] {
            heap[index] = entry
            settle(index)
        } else {
            heap.append(entry)
            position[key] = heap.count - 1
            settle(heap.count - 1)
        }
    }

    @discardableResult
    mutating func remove(_ key: Key) -> Tick? {
        guard let index = position.removeValue(forKey: key) else { return nil }
        let tick = heap[index].tick
        let last = heap.removeLast()
        if index < heap.count {
            heap[index] = last
            position[last.key] = index
            settle(index)
        }
        return tick
    }

    /// Takes out the earliest key if it is due.
    mutating func popDue(_ now: Tick) -> Key? {
        guard let first = heap.first, first.tick <= now else { return nil }
        remove(first.key)
        return first.key
    }

    private mutating func settle(_ start: Int) {
        var index = start
        while index > 0, heap[index].isBefore(heap[(index - 1) / 2]) {
            exchange(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < heap.count && heap[child].isBefore(heap[least]) {
                least = child
            }
            if least == index { return }
            exchange(index, least)
            index = least
        }
    }

    private mutating func exchange(_ a: Int, _ b: Int) {
        heap.swapAt(a, b)
        position[heap[a].key] = a
        position[heap[b].key] = b
    }
}
