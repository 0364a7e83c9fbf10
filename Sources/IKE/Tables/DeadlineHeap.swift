import Base

/// What an SA does next by itself.
enum Timer: UInt8, Sendable, Hashable, Codable {
    case retransmit, giveUp, halfOpenTimeout, attemptTimeout, forgetClosed, closeTimeout, rekeyedTimeout
    case rekeyIKE, expireIKE, liveness, keepalive, duplicateCheck, dropFragments
    case rekeyChild, expireChild, removeLingering, deleteRedundant

    /// Why the engine wants to be woken, for logs.
    var reason: String {
        switch self {
        case .retransmit: "send the request again"
        case .giveUp: "give up on an unanswered request"
        case .halfOpenTimeout: "drop a half-open IKE SA"
        case .attemptTimeout: "give up a refused attempt"
        case .forgetClosed: "forget a closed IKE SA"
        case .closeTimeout: "stop waiting for the answer to a DELETE"
        case .rekeyedTimeout: "drop a replaced IKE SA that the peer never deleted"
        case .rekeyIKE: "rekey an IKE SA"
        case .expireIKE: "an IKE SA expires"
        case .liveness: "check that the peer lives"
        case .keepalive: "send a NAT keep-alive"
        case .duplicateCheck: "look for a second IKE SA with the same peer"
        case .dropFragments: "drop an unfinished message"
        case .rekeyChild: "rekey a child SA"
        case .expireChild: "a child SA expires"
        case .removeLingering: "remove a replaced child SA"
        case .deleteRedundant: "delete a redundant child SA"
        }
    }
}

/// The next deadline of every SA, earliest first. An SA has at most one entry and knows its place, so that setting,
/// moving and removing cost O(log n) and nothing stale is ever on top.
struct DeadlineHeap: Sendable {
    private struct Entry {
        var tick: Tick
        var slot: Int32
        var timer: Timer
    }

    private var heap: [Entry] = []
    /// Where a slot's entry is in the heap; -1 for none.
    private var places: [Int32] = []

    var count: Int { heap.count }
    var first: (tick: Tick, slot: Int, timer: Timer)? {
        heap.first.map { ($0.tick, Int($0.slot), $0.timer) }
    }

    /// Sets a slot's deadline, or removes it with nil.
    mutating func set(_ slot: Int, _ deadline: (tick: Tick, timer: Timer)?) {
        while places.count <= slot { places.append(-1) }
        let place = Int(places[slot])
        guard let deadline else {
            if place >= 0 { remove(at: place) }
            return
        }
        let entry = Entry(tick: deadline.tick, slot: Int32(truncatingIfNeeded: slot), timer: deadline.timer)
        if place >= 0 {
            heap[place] = entry
            siftDown(siftUp(place))
        } else {
            heap.append(entry)
            places[slot] = Int32(truncatingIfNeeded: heap.count - 1)
            siftUp(heap.count - 1)
        }
    }

    func deadline(of slot: Int) -> (tick: Tick, timer: Timer)? {
        guard places.indices.contains(slot), places[slot] >= 0 else { return nil }
        let entry = heap[Int(places[slot])]
        return (entry.tick, entry.timer)
    }

    private mutating func remove(at place: Int) {
        places[Int(heap[place].slot)] = -1
        let last = heap.removeLast()
        guard place < heap.count else { return }
        heap[place] = last
        places[Int(last.slot)] = Int32(truncatingIfNeeded: place)
        siftDown(siftUp(place))
    }

    @discardableResult
    private mutating func siftUp(_ start: Int) -> Int {
        var place = start
        while place > 0 {
            let parent = (place - 1) / 2
            guard heap[place].tick < heap[parent].tick else { break }
            swap(place, parent)
            place = parent
        }
        return place
    }

    private mutating func siftDown(_ start: Int) {
        var place = start
        while true {
            var least = place
            for child in [2 * place + 1, 2 * place + 2] where child < heap.count && heap[child].tick < heap[least].tick
            {
                least = child
            }
            guard least != place else { return }
            swap(place, least)
            place = least
        }
    }

    private mutating func swap(_ a: Int, _ b: Int) {
        heap.swapAt(a, b)
        places[Int(heap[a].slot)] = Int32(truncatingIfNeeded: a)
        places[Int(heap[b].slot)] = Int32(truncatingIfNeeded: b)
    }
}
