/// Values by key, in the order in which they came. To find, add or remove one takes as long with a hundred thousand as with
/// ten; a few are kept without an index.
public struct KeyedList<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    /// Nil where one was removed; the last one is always there.
    private var slots: [(key: Key, value: Value)?] = []
    /// Where each is; empty as long as the slots are searched faster.
    private var places: [Key: Int] = [:]
    public private(set) var count = 0

    private static var searchable: Int { 16 }

    public init() {}

    public var isEmpty: Bool { count == 0 }
    /// The one that came last.
    public var last: Value? { slots.last?.map(\.value) ?? nil }

    /// One that is new comes last; one that is there keeps its place; nil removes it.
    public subscript(key: Key) -> Value? {
        get { place(of: key).flatMap { slots[$0]?.value } }
        set {
            switch (place(of: key), newValue) {
            case (let place?, let value?): slots[place]?.value = value
            case (let place?, nil): remove(at: place, key)
            case (nil, let value?): append(key, value)
            case (nil, nil): break
            }
        }
    }

    private func place(of key: Key) -> Int? {
        slots.count > Self.searchable ? places[key] : slots.lastIndex { $0?.key == key }
    }

    private mutating func append(_ key: Key, _ value: Value) {
        slots.append((key, value))
        count += 1
        if slots.count == Self.searchable + 1 {
            index()
        } else if slots.count > Self.searchable {
            places[key] = slots.count - 1
        }
    }

    private mutating func remove(at place: Int, _ key: Key) {
        slots[place] = nil
        count -= 1
        places[key] = nil
        while let last = slots.last, last == nil { slots.removeLast() }
        if slots.count <= Self.searchable {
            places = [:]
        } else if slots.count > count * 2 {
            slots.removeAll { $0 == nil }
            index()
        }
    }

    private mutating func index() {
        places = [:]
        guard slots.count > Self.searchable else { return }
        places.reserveCapacity(slots.count)
        for (place, slot) in slots.enumerated() {
            if let slot { places[slot.key] = place }
        }
    }
}

extension KeyedList: Sequence {
    public func makeIterator() -> AnyIterator<(key: Key, value: Value)> {
        var rest = slots.makeIterator()
        return AnyIterator {
            while let slot = rest.next() {
                if let slot { return slot }
            }
            return nil
        }
    }
}
