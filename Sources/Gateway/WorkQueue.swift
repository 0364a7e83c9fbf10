import IKE
import Tunnels

/// Effects that wait to be carried out, first in, first out.
struct WorkQueue {
    enum Item {
        case engine(Effect)
        case supervisor(SupervisorEffect)
    }

    private var items: [Item] = []
    private var head = 0

    mutating func add(_ effects: [Effect]) { for effect in effects { items.append(.engine(effect)) } }
    mutating func add(_ effects: [SupervisorEffect]) { for effect in effects { items.append(.supervisor(effect)) } }

    mutating func next() -> Item? {
        guard head < items.count else {
            items.removeAll(keepingCapacity: true)
            head = 0
            return nil
        }
        defer { head += 1 }
        return items[head]
    }
}
