public import Base
internal import Cryptography
public import IKE

/// The largest packets that fit through a tunnel, from what ESP really adds to them.
public struct TunnelMTU: Hashable, Sendable, Codable {
    /// Bytes of the largest packet inside the tunnel.
    public var mtu: Int
    /// The TCP maximum segment size that fits an IPv4 packet of ``mtu`` bytes (20 of IP and 20 of TCP less).
    public var mss: Int

    public init(mtu: Int, mss: Int) {
        self.mtu = mtu
        self.mss = mss
    }

    /// The same for IPv6 inside, whose header is 20 bytes longer.
    public var mss6: Int { max(0, mss - 20) }

    /// AWS's endpoints take nothing larger.
    public static let awsMaximum = 1446

    /// Room for the inner packet on a path of `pathMTU` bytes: what is left after the outer header (20 or 40 bytes),
    /// UDP (8), the ESP header (8), the IV and the check value, rounded down to the cipher's block (4 bytes at
    /// least, RFC 4303 §2.4), less the two bytes of pad length and next header.
    public static func forSuite(
        _ suite: ESPSuite, isUDPEncapsulated: Bool, outsideFamily: IPAddress.Family = .ipv4, pathMTU: Int = 1500
    ) -> TunnelMTU {
        let outer = outsideFamily == .ipv4 ? 20 : 40
        let check = suite.encryption.isAEAD ? suite.encryption.tagLength : suite.integrity?.tagLength ?? 0
        let room = pathMTU - outer - (isUDPEncapsulated ? 8 : 0) - 8 - suite.encryption.ivLength - check
        let block = max(4, suite.encryption.blockLength)
        let mtu = min(awsMaximum, max(0, room / block * block - 2))
        return TunnelMTU(mtu: mtu, mss: max(0, mtu - 40))
    }

    /// The smaller of this and what the connector asks for; the segment size also never exceeds the packet's room.
    public func limited(toMTU mtu: Int?, mss: Int?) -> TunnelMTU {
        let packet = min(self.mtu, mtu ?? self.mtu)
        return TunnelMTU(mtu: packet, mss: max(0, min(packet - 40, self.mss, mss ?? self.mss)))
    }

    /// The smaller of this and the bounds of a tunnel interface.
    public func limited(to inside: Tunnel.Inside?) -> TunnelMTU { limited(toMTU: inside?.mtu, mss: inside?.mss) }
}
