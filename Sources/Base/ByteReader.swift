/// A bounded cursor over bytes in network order. Never traps: every read past the end throws.
public struct ByteReader: Sendable {
    /// The field at `offset` of the outermost buffer needed more bytes than there are.
    public struct Truncated: Error, Hashable, Sendable, CustomStringConvertible {
        public var offset: Int
        public var needed: Int
        public var available: Int

        public init(offset: Int, needed: Int, available: Int) {
            self.offset = offset
            self.needed = needed
            self.available = available
        }

        public var description: String { "needs \(needed) bytes at offset \(offset), has \(available)" }
    }

    private let bytes: ArraySlice<UInt8>
    private var index: Int

    /// Reads `bytes`; offsets in errors count from the start of the array that the slice belongs to.
    public init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        index = bytes.startIndex
    }

    public init(_ bytes: [UInt8]) { self.init(bytes[...]) }

    /// Where the next read begins, in the outermost array.
    public var offset: Int { index }
    public var remaining: Int { bytes.endIndex - index }
    public var isAtEnd: Bool { remaining == 0 }

    public mutating func uint8() throws(Truncated) -> UInt8 {
        try need(1)
        defer { index += 1 }
        return bytes[index]
    }

    public mutating func uint16() throws(Truncated) -> UInt16 {
        try need(2)
        defer { index += 2 }
        return UInt16(bytes[index]) << 8 | UInt16(bytes[index + 1])
    }

    public mutating func uint32() throws(Truncated) -> UInt32 {
        try need(4)
        defer { index += 4 }
        return bytes[index..<index + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }

    public mutating func uint64() throws(Truncated) -> UInt64 {
        try need(8)
        defer { index += 8 }
        return bytes[index..<index + 8].reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The next `count` bytes, sharing storage with the input.
    public mutating func slice(_ count: Int) throws(Truncated) -> ArraySlice<UInt8> {
        try need(count)
        defer { index += count }
        return bytes[index..<index + count]
    }

    /// All that is left.
    public mutating func rest() -> ArraySlice<UInt8> {
        defer { index = bytes.endIndex }
        return bytes[index...]
    }

    /// A reader of just the next `count` bytes.
    public mutating func nested(_ count: Int) throws(Truncated) -> ByteReader { ByteReader(try slice(count)) }

    private func need(_ count: Int) throws(Truncated) {
        guard count >= 0, count <= remaining else {
            throw Truncated(offset: index, needed: count, available: remaining)
        }
    }
}
