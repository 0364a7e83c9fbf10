/// The Internet checksum (RFC 1071) in running form.
///
/// Words are summed as they lie in memory: the one's complement sum comes out right in either byte order, and
/// ``stored`` is written back without swapping.
public struct Checksum: Sendable {
    private var sum: UInt64 = 0

    public init() {}

    /// Adds bytes; every part but the last must have an even count.
    public mutating func add(_ bytes: UnsafeRawBufferPointer) {
        guard var at = bytes.baseAddress else { return }
        var left = bytes.count
        // Thirty-two 16-bit words at a time, in lanes wide enough for the longest packet to be summed without a carry.
        while left >= 64 {
            var lanes = SIMD16<UInt32>.zero
            let limit = min(left, 1 << 16)
            var done = 0
            while done + 64 <= limit {
                let words = at.loadUnaligned(fromByteOffset: done, as: SIMD16<UInt32>.self)
                lanes &+= (words & 0xFFFF) &+ (words &>> 16)
                done += 64
            }
            for lane in 0..<16 { addWord(UInt64(lanes[lane])) }
            at += done
            left -= done
        }
        while left >= 4 {
            addWord(UInt64(at.loadUnaligned(as: UInt32.self)))
            at += 4
            left -= 4
        }
        if left >= 2 {
            addWord(UInt64(at.loadUnaligned(as: UInt16.self)))
            at += 2
            left -= 2
        }
        if left == 1 { addWord(UInt64(UInt16(littleEndian: UInt16(at.load(as: UInt8.self))))) }
    }

    /// Adds a 16-bit field in host order.
    public mutating func add(_ value: UInt16) { addWord(UInt64(value.bigEndian)) }

    private mutating func addWord(_ value: UInt64) {
        let (next, overflow) = sum.addingReportingOverflow(value)
        sum = next &+ (overflow ? 1 : 0)
    }

    /// The sum folded to 16 bits, in memory order, not complemented: 0xFFFF over data whose checksum is right.
    public var folded: UInt16 {
        var value = (sum >> 32) + (sum & 0xFFFF_FFFF)
        value = (value >> 32) + (value & 0xFFFF_FFFF)
        value = (value >> 16) + (value & 0xFFFF)
        value = (value >> 16) + (value & 0xFFFF)
        return UInt16(truncatingIfNeeded: (value >> 16) + (value & 0xFFFF))
    }

    /// The value to store in a header's checksum field, in memory order.
    public var stored: UInt16 { ~folded }

    /// The checksum field `old` (in memory order) after a 16-bit field of the data changed from `before` to `after`,
    /// both in host order (RFC 1624, equation 3).
    public static func updated(_ old: UInt16, from before: UInt16, to after: UInt16) -> UInt16 {
        var total = UInt32(~old) + UInt32(~before.bigEndian) + UInt32(after.bigEndian)
        total = (total >> 16) + (total & 0xFFFF)
        total = (total >> 16) + (total & 0xFFFF)
        return ~UInt16(truncatingIfNeeded: total)
    }

    /// Writes the header checksum of an IPv4 header of `length` bytes at the start of `packet`.
    static func writeIPv4(_ packet: UnsafeMutableRawBufferPointer, headerLength length: Int) {
        packet.storeBytes(of: 0, toByteOffset: 10, as: UInt16.self)
        var sum = Checksum()
        sum.add(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(packet)[0..<length]))
        packet.storeBytes(of: sum.stored, toByteOffset: 10, as: UInt16.self)
    }
}
