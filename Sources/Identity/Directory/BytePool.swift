/// Many short byte strings in few allocations: of a hundred thousand names each would otherwise cost as much again in
/// headers and gaps.
struct BytePool: Sendable {
    /// Where one of them is. One without bytes stands for none.
    struct Place: Hashable, Sendable {
        fileprivate var chunk: UInt32
        fileprivate var start: UInt32
        private(set) var count: UInt32

        fileprivate init(chunk: Int, start: Int, count: Int) {
            self.chunk = UInt32(chunk)
            self.start = UInt32(start)
            self.count = UInt32(count)
        }

        static let none = Place(chunk: 0, start: 0, count: 0)
        var isNone: Bool { count == 0 }
    }

    private static let chunkSize = 1 << 18
    private var chunks: [[UInt8]] = []

    /// Puts bytes behind the others. What is larger than a chunk gets one of its own.
    mutating func append(_ bytes: some Collection<UInt8>) -> Place {
        let count = bytes.count
        guard count > 0 else { return .none }
        if chunks.last.map({ $0.count + count > Self.chunkSize }) ?? true {
            chunks.append([])
            chunks[chunks.count - 1].reserveCapacity(max(count, Self.chunkSize))
        }
        let last = chunks.count - 1
        let start = chunks[last].count
        chunks[last].append(contentsOf: bytes)
        return Place(chunk: last, start: start, count: count)
    }

    /// Puts bytes in the place of others that are as many.
    mutating func overwrite(_ place: Place, with bytes: some Collection<UInt8>) {
        precondition(bytes.count == Int(place.count))
        guard !place.isNone else { return }
        let start = Int(place.start)
        chunks[Int(place.chunk)].replaceSubrange(start..<start + Int(place.count), with: bytes)
    }

    subscript(place: Place) -> ArraySlice<UInt8> {
        place.isNone ? [] : chunks[Int(place.chunk)][Int(place.start)..<Int(place.start) + Int(place.count)]
    }
}
