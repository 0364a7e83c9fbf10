internal import Base

/// The moments at which addresses' sessions are over, earliest first. What was moved or removed stays in the heap until
/// its old moment comes, and is passed over then.
struct ExpiryQueue: Sendable {
    private var heap: [(tick: Tick, address: IPAddress)] = []
    private var ticks: [IPAddress: Tick] = [:]

    /// The earliest moment at which something may be over.
    var first: Tick? { heap.first?.tick }

    mutating func set(_ address: IPAddress, _ tick: Tick) {
        ticks[address] = tick
        heap.append((tick, address))
        var child = heap.count - 1
        while child > 0, heap[child].tick < heap[(child - 1) / 2].tick {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func remove(_ address: IPAddress) {
        ticks[address] = nil
        // A queue of nothing but what is gone would wake its owner for nothing.
        if heap.count > 64, ticks.count * 4 < heap.count {
            let left = heap.filter { ticks[$0.address] == $0.tick }
            heap = left.sorted { $0.tick < $1.tick }
        } else if ticks.isEmpty {
            heap = []
        }
    }

    /// Takes out the earliest address if it is due.
    mutating func popDue(_ now: Tick) -> IPAddress? {
        while let top = heap.first, top.tick <= now {
            removeFirst()
            if ticks[top.address] == top.tick {
                ticks[top.address] = nil
                return top.address
            }
        }
        return nil
    }

    private mutating func removeFirst() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child].tick < heap[least].tick {
                least = child
            }
            if least == parent { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
