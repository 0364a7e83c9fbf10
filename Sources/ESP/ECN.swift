/// Congestion marks across the tunnel: RFC 6040, normal mode.
public enum ECN {
    static let mask: UInt8 = 3
    static let ect1: UInt8 = 1
    static let ect0: UInt8 = 2
    static let congestion: UInt8 = 3

    /// The outer traffic class for an inner one: DSCP and ECN are copied (RFC 4301 §5.1.2.1, RFC 6040 §4.1).
    public static func outer(forInner inner: UInt8) -> UInt8 { inner }

    /// Carries the outer mark over to the inner packet on leaving the tunnel (RFC 6040 §4.2, figure 4), the checksum
    /// of an IPv4 header included. False when the packet must be dropped: congestion was met and the inner packet's
    /// sender does not understand the mark.
    public static func decapsulate(
        _ packet: UnsafeMutableRawBufferPointer, inner: UInt8, outer: UInt8
    ) -> Bool {
        let arriving = outer & mask
        let current = inner & mask
        let merged: UInt8
        switch (current, arriving) {
        case (0, congestion): return false
        case (ect0, ect1), (ect0, congestion), (ect1, congestion): merged = arriving
        default: return true
        }
        guard packet.count >= 20 else { return false }
        let before = packet.uint16(0)
        if before >> 12 == 4 {
            let after = before & ~UInt16(mask) | UInt16(merged)
            packet.set(after, at: 0)
            let checksum = packet.loadUnaligned(fromByteOffset: 10, as: UInt16.self)
            packet.storeBytes(
                of: Checksum.updated(checksum, from: before, to: after), toByteOffset: 10, as: UInt16.self)
        } else {
            packet.set(before & ~(UInt16(mask) << 4) | UInt16(merged) << 4, at: 0)
        }
        return true
    }
}
