/// A set of small numbers, in rising order.
struct Bits: Hashable, Sendable, Sequence {
    private var words: [UInt64] = []

    mutating func insert(_ number: Int) {
        while words.count <= number >> 6 { words.append(0) }
        words[number >> 6] |= 1 << UInt64(number & 63)
    }

    func contains(_ number: Int) -> Bool {
        number >> 6 < words.count && words[number >> 6] >> UInt64(number & 63) & 1 == 1
    }

    mutating func formUnion(_ other: Bits) {
        while words.count < other.words.count { words.append(0) }
        for index in other.words.indices { words[index] |= other.words[index] }
    }

    func intersection(_ other: Bits) -> Bits {
        var result = Bits()
        result.words = zip(words, other.words).map { $0 & $1 }
        return result
    }

    struct Iterator: IteratorProtocol {
        fileprivate var words: [UInt64]
        fileprivate var index = 0

        mutating func next() -> Int? {
            while index < words.count {
                guard words[index] != 0 else {
                    index += 1
                    continue
                }
                let bit = words[index].trailingZeroBitCount
                words[index] &= words[index] - 1
                return index << 6 + bit
            }
            return nil
        }
    }

    func makeIterator() -> Iterator { Iterator(words: words) }
}
