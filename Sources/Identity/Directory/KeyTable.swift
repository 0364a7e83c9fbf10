/// Keys, numbered in the order in which they came. Two keys are one when their bytes are.
struct KeyTable: Sendable {
    private var pool = BytePool()
    private var places: [BytePool.Place] = []
    /// Numbers by hash, with open addressing; less than two thirds of the slots are taken.
    private var slots: [Int32] = []
    private static let free: Int32 = -1
    private static let leastSlots = 16

    var count: Int { places.count }

    func key(_ number: Int32) -> String { String(decoding: bytes(number), as: UTF8.self) }
    func bytes(_ number: Int32) -> ArraySlice<UInt8> { pool[places[Int(number)]] }

    func number(of key: String) -> Int32? {
        var key = key
        return key.withUTF8 { bytes in
            guard let slot = slot(of: bytes), slots[slot] != Self.free else { return nil }
            return slots[slot]
        }
    }

    /// The key's number; a new key gets the next one.
    mutating func number(_ key: String) -> Int32 {
        var key = key
        return key.withUTF8 { number($0) }
    }

    mutating func number(_ bytes: UnsafeBufferPointer<UInt8>) -> Int32 {
        if places.count * 3 >= slots.count * 2 { grow() }
        // With a free slot in the table there is one for every key.
        guard let slot = slot(of: bytes) else { preconditionFailure("the table is full") }
        if slots[slot] != Self.free { return slots[slot] }
        let number = Int32(places.count)
        places.append(pool.append(bytes))
        slots[slot] = number
        return number
    }

    /// Where the key is, or would be.
    private func slot(of bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        guard !slots.isEmpty else { return nil }
        let mask = slots.count - 1
        var slot = Self.hash(bytes) & mask
        while slots[slot] != Self.free {
            let known = self.bytes(slots[slot])
            if known.count == bytes.count, known.elementsEqual(bytes) { break }
            slot = (slot + 1) & mask
        }
        return slot
    }

    private mutating func grow() {
        let count = max(Self.leastSlots, slots.count * 2)
        slots = Array(repeating: Self.free, count: count)
        for number in places.indices {
            var slot = bytes(Int32(number)).withUnsafeBufferPointer(Self.hash) & (count - 1)
            while slots[slot] != Self.free { slot = (slot + 1) & (count - 1) }
            slots[slot] = Int32(number)
        }
    }

    /// Seeded anew with each process: who names the keys cannot make them collide.
    private static func hash(_ bytes: UnsafeBufferPointer<UInt8>) -> Int {
        var hasher = Hasher()
        hasher.combine(bytes: UnsafeRawBufferPointer(bytes))
        return hasher.finalize() & Int.max
    }
}
