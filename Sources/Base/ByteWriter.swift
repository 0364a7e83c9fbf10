/// Builds a message in network byte order, with lengths patched in afterwards.
public struct ByteWriter: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    public var count: Int { bytes.count }

    public mutating func uint8(_ value: UInt8) { bytes.append(value) }

    public mutating func uint16(_ value: UInt16) {
        bytes.append(UInt8(truncatingIfNeeded: value >> 8))
        bytes.append(UInt8(truncatingIfNeeded: value))
    }

    public mutating func uint32(_ value: UInt32) {
        uint16(UInt16(truncatingIfNeeded: value >> 16))
        uint16(UInt16(truncatingIfNeeded: value))
    }

    public mutating func uint64(_ value: UInt64) {
        uint32(UInt32(truncatingIfNeeded: value >> 32))
        uint32(UInt32(truncatingIfNeeded: value))
    }

    public mutating func append(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }
    public mutating func zeros(_ count: Int) { bytes.append(contentsOf: repeatElement(0, count: count)) }

    /// Overwrites the 16-bit field at `offset`, which must already have been written.
    public mutating func patchUInt16(_ value: UInt16, at offset: Int) {
        bytes[offset] = UInt8(truncatingIfNeeded: value >> 8)
        bytes[offset + 1] = UInt8(truncatingIfNeeded: value)
    }

    /// Overwrites the 32-bit field at `offset`, which must already have been written.
    public mutating func patchUInt32(_ value: UInt32, at offset: Int) {
        patchUInt16(UInt16(truncatingIfNeeded: value >> 16), at: offset)
        patchUInt16(UInt16(truncatingIfNeeded: value), at: offset + 2)
    }

    /// Overwrites one byte at `offset`, which must already have been written.
    public mutating func patchUInt8(_ value: UInt8, at offset: Int) { bytes[offset] = value }
}
