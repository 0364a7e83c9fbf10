public import Base

/// A range of addresses, ports and a protocol that a child SA carries (RFC 7296 §3.13.1).
public struct TrafficSelector: Hashable, Codable, Sendable {
    public var first: IPAddress
    public var last: IPAddress
    /// IP protocol number; 0 means any.
    public var ipProtocol: UInt8
    public var firstPort: UInt16
    public var lastPort: UInt16

    public init(
        first: IPAddress, last: IPAddress, ipProtocol: UInt8 = 0, firstPort: UInt16 = 0, lastPort: UInt16 = 65535
    ) {
        self.first = first
        self.last = last
        self.ipProtocol = ipProtocol
        self.firstPort = firstPort
        self.lastPort = lastPort
    }

    /// Everything within a network.
    public init(_ prefix: IPPrefix) { self.init(first: prefix.first, last: prefix.last) }
}
