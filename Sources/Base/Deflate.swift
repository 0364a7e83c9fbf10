/// Raw DEFLATE (RFC 1951), for what protocols wrap in it: short messages.
public enum Deflate {
    /// Why bytes are no DEFLATE stream that we read.
    public enum Fault: Error, Hashable, Sendable {
        case truncated
        case malformed
        /// More comes out than the caller wants to see.
        case tooLarge(limit: Int)
        /// Bytes stand behind the end of the stream.
        case trailing
    }

    /// The bytes as a stream of stored blocks: valid everywhere, and no smaller.
    public static func store(_ bytes: [UInt8]) -> [UInt8] {
        var stream: [UInt8] = []
        var rest = bytes[...]
        repeat {
            let block = rest.prefix(65_535)
            rest = rest.dropFirst(block.count)
            let length = UInt16(block.count)
            stream.append(rest.isEmpty ? 1 : 0)
            for word in [length, ~length] { stream += [UInt8(word & 0xFF), UInt8(word >> 8)] }
            stream += block
        } while !rest.isEmpty
        return stream
    }

    /// What the stream holds, at most `limit` bytes of it: a small stream can hold a thousand times its size.
    public static func inflate(_ stream: [UInt8], limit: Int) throws(Fault) -> [UInt8] {
        var inflater = Inflater(stream: stream, limit: limit)
        return try inflater.run()
    }
}

private struct Inflater {
    let stream: [UInt8]
    let limit: Int
    private var at = 0
    private var bits: UInt32 = 0
    private var bitCount = 0
    private var output: [UInt8] = []

    init(stream: [UInt8], limit: Int) {
        self.stream = stream
        self.limit = limit
    }

    mutating func run() throws(Deflate.Fault) -> [UInt8] {
        var isLast = false
        while !isLast {
            isLast = try take(1) == 1
            switch try take(2) {
            case 0: try copyStored()
            case 1: try inflate(Code(Self.fixedLiterals), Code([Int](repeating: 5, count: 30)))
            case 2:
                let (literals, distances) = try readCodes()
                try inflate(literals, distances)
            default: throw .malformed
            }
        }
        guard at == stream.count else { throw .trailing }
        return output
    }

    private static let fixedLiterals =
        [Int](repeating: 8, count: 144) + [Int](repeating: 9, count: 112) + [Int](repeating: 7, count: 24)
        + [Int](repeating: 8, count: 8)

    /// A canonical Huffman code (RFC 1951 §3.2.2): how many codes each length has, and the symbols in order.
    private struct Code {
        var counts = [Int](repeating: 0, count: 16)
        var symbols: [Int] = []

        init(_ lengths: [Int]) {
            for length in lengths { counts[length] += 1 }
            counts[0] = 0
            for length in 1...15 { symbols += lengths.indices.filter { lengths[$0] == length } }
        }
    }

    private mutating func take(_ count: Int) throws(Deflate.Fault) -> Int {
        while bitCount < count {
            guard at < stream.count else { throw .truncated }
            bits |= UInt32(stream[at]) << UInt32(bitCount)
            at += 1
            bitCount += 8
        }
        let value = Int(bits & (1 << UInt32(count) - 1))
        bits >>= UInt32(count)
        bitCount -= count
        return value
    }

    private mutating func symbol(_ code: Code) throws(Deflate.Fault) -> Int {
        var value = 0
        var first = 0
        var index = 0
        for length in 1...15 {
            value |= try take(1)
            let count = code.counts[length]
            // More codes of shorter lengths than there can be.
            guard value >= first else { throw .malformed }
            if value - first < count { return code.symbols[index + value - first] }
            index += count
            first = (first + count) << 1
            value <<= 1
        }
        throw .malformed
    }

    private mutating func append(_ byte: UInt8) throws(Deflate.Fault) {
        guard output.count < limit else { throw .tooLarge(limit: limit) }
        output.append(byte)
    }

    private mutating func copyStored() throws(Deflate.Fault) {
        bits = 0
        bitCount = 0
        guard at + 4 <= stream.count else { throw .truncated }
        let length = Int(stream[at]) | Int(stream[at + 1]) << 8
        let inverse = Int(stream[at + 2]) | Int(stream[at + 3]) << 8
        guard length == ~inverse & 0xFFFF else { throw .malformed }
        at += 4
        guard at + length <= stream.count else { throw .truncated }
        for byte in stream[at..<at + length] { try append(byte) }
        at += length
    }

    private mutating func readCodes() throws(Deflate.Fault) -> (Code, Code) {
        let literalCount = try take(5) + 257
        let distanceCount = try take(5) + 1
        let lengthCount = try take(4) + 4
        guard literalCount <= 286, distanceCount <= 30 else { throw .malformed }
        let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
        var lengths = [Int](repeating: 0, count: 19)
        for place in order.prefix(lengthCount) { lengths[place] = try take(3) }
        let code = Code(lengths)
        var all: [Int] = []
        while all.count < literalCount + distanceCount {
            switch try symbol(code) {
            case 16:
                guard let last = all.last else { throw .malformed }
                all += [Int](repeating: last, count: try take(2) + 3)
            case 17: all += [Int](repeating: 0, count: try take(3) + 3)
            case 18: all += [Int](repeating: 0, count: try take(7) + 11)
            case let length: all.append(length)
            }
        }
        guard all.count == literalCount + distanceCount else { throw .malformed }
        return (Code(Array(all[..<literalCount])), Code(Array(all[literalCount...])))
    }

    private mutating func inflate(_ literals: Code, _ distances: Code) throws(Deflate.Fault) {
        while true {
            let symbol = try symbol(literals)
            if symbol < 256 {
                try append(UInt8(symbol))
                continue
            }
            if symbol == 256 { return }
            let length = try extended(symbol - 257, groups: 4, base: 3, top: 28, topValue: 258)
            let distance = try extended(try self.symbol(distances), groups: 2, base: 1, top: 30, topValue: 0)
            guard distance <= output.count else { throw .malformed }
            for _ in 0..<length { try append(output[output.count - distance]) }
        }
    }

    /// Lengths and distances (RFC 1951 §3.2.5) grow in groups, each of twice the step of the one before.
    private mutating func extended(
        _ symbol: Int, groups: Int, base: Int, top: Int, topValue: Int
    ) throws(Deflate.Fault) -> Int {
        guard symbol <= top, symbol != top || topValue > 0 else { throw .malformed }
        if symbol == top { return topValue }
        guard symbol >= 2 * groups else { return base + symbol }
        let extra = symbol / groups - 1
        return base + (groups + symbol % groups) << extra + (try take(extra))
    }
}
