/// All IKE SAs of an engine, by our SPI.
///
/// An SA is taken out to be worked on and put back: so it is changed in place, never copied. Slots are numbered and
/// used again; they live in chunks, so that growing moves nothing.
struct SATable: Sendable {
    private static let chunk = 64

    private var slots: [UInt64: Int32] = [:]
    private var chunks: [[IKESA?]] = []
    private var free: [Int32] = []
    private var used = 0

    var count: Int { slots.count }
    var spis: some Collection<UInt64> { slots.keys }

    func contains(_ spi: UInt64) -> Bool { slots[spi] != nil }
    func slot(of spi: UInt64) -> Int? { slots[spi].map(Int.init) }

    /// Looks at an SA without taking it; nil also while it is taken.
    subscript(spi: UInt64) -> IKESA? {
        guard let slot = slots[spi] else { return nil }
        return chunks[Int(slot) / Self.chunk][Int(slot) % Self.chunk]
    }

    func spi(inSlot slot: Int) -> UInt64? {
        guard slot < used else { return nil }
        return chunks[slot / Self.chunk][slot % Self.chunk]?.spi
    }

    /// Takes an SA out to be changed; nil when there is none or someone has it.
    mutating func take(_ spi: UInt64) -> IKESA? {
        guard let slot = slots[spi] else { return nil }
        return chunks[Int(slot) / Self.chunk][Int(slot) % Self.chunk].take()
    }

    /// Puts an SA back, or in for the first time. Returns its slot.
    @discardableResult
    mutating func put(_ sa: consuming IKESA) -> Int {
        let spi = sa.spi
        let slot = Int(slots[spi] ?? reserve(spi))
        chunks[slot / Self.chunk][slot % Self.chunk] = consume sa
        return slot
    }

    /// Forgets an SPI; its slot is used again. Returns the slot.
    @discardableResult
    mutating func remove(_ spi: UInt64) -> Int? {
        guard let slot = slots.removeValue(forKey: spi) else { return nil }
        chunks[Int(slot) / Self.chunk][Int(slot) % Self.chunk] = nil
        free.append(slot)
        return Int(slot)
    }

    private mutating func reserve(_ spi: UInt64) -> Int32 {
        let slot: Int32
        if let again = free.popLast() {
            slot = again
        } else {
            if used % Self.chunk == 0 { chunks.append(Array(repeating: nil, count: Self.chunk)) }
            slot = Int32(truncatingIfNeeded: used)
            used += 1
        }
        slots[spi] = slot
        return slot
    }
}

/// A set that is nearly always empty or of one.
enum FewSPIs: Sendable {
    case none
    case one(UInt64)
    case many(Set<UInt64>)

    mutating func insert(_ spi: UInt64) {
        switch self {
        case .none: self = .one(spi)
        case .one(let other): if other != spi { self = .many([other, spi]) }
        case .many(var set):
            self = .none
            set.insert(spi)
            self = .many(set)
        }
    }

    mutating func remove(_ spi: UInt64) {
        switch self {
        case .none: break
        case .one(let other): if other == spi { self = .none }
        case .many(var set):
            self = .none
            set.remove(spi)
            self = set.isEmpty ? .none : .many(set)
        }
    }

    var isEmpty: Bool {
        if case .none = self { true } else { false }
    }

    /// In ascending order, so that what follows from it is the same in every run.
    var sorted: [UInt64] {
        switch self {
        case .none: []
        case .one(let spi): [spi]
        case .many(let set): set.sorted()
        }
    }
}
