/// A network in CIDR form. `address` keeps the host bits that were given; ``network`` has them cleared.
public struct IPPrefix: Hashable, Sendable {
    public let address: IPAddress
    /// Bits of the network part: 0 to 32 or 0 to 128.
    public let length: Int

    /// Nil when `length` is outside the family.
    public init?(_ address: IPAddress, length: Int) {
        guard (0...address.family.bitWidth).contains(length) else { return nil }
        self.address = address
        self.length = length
    }

    /// The prefix that holds just one address.
    public init(host address: IPAddress) {
        self.address = address
        length = address.family.bitWidth
    }

    public var family: IPAddress.Family { address.family }

    /// 0.0.0.0/0 or ::/0.
    public static func all(_ family: IPAddress.Family) -> IPPrefix { IPPrefix(unchecked: .any(family), 0) }

    private init(unchecked address: IPAddress, _ length: Int) {
        self.address = address
        self.length = length
    }

    /// The same prefix with the host bits cleared.
    public var network: IPPrefix { IPPrefix(unchecked: first, length) }

    public var hasHostBits: Bool { address != first }

    /// The lowest address.
    public var first: IPAddress {
        switch address {
        case .v4(let value): .v4(length == 0 ? 0 : value & ~UInt32(0) << UInt32(32 - length))
        case .v6(let value): .v6(length == 0 ? 0 : value & ~UInt128(0) << UInt128(128 - length))
        }
    }

    /// The highest address.
    public var last: IPAddress {
        switch address {
        case .v4(let value): .v4(length == 32 ? value : value | ~UInt32(0) >> UInt32(length))
        case .v6(let value): .v6(length == 128 ? value : value | ~UInt128(0) >> UInt128(length))
        }
    }

    public func contains(_ other: IPAddress) -> Bool {
        other.family == family && first <= other && other <= last
    }

    public func contains(_ other: IPPrefix) -> Bool { contains(other.first) && contains(other.last) }
}

extension IPPrefix: LosslessStringConvertible {
    public var description: String { "\(address)/\(length)" }

    /// Reads `address/length`; a bare address is a host prefix.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = IPAddress(String(parts[0])) else { return nil }
        guard parts.count == 2 else {
            self.init(host: address)
            return
        }
        let digits = parts[1].utf8
        guard (1...3).contains(digits.count), digits.allSatisfy({ (48...57).contains($0) }), let length = Int(parts[1])
        else { return nil }
        self.init(address, length: length)
    }
}

extension IPPrefix: Codable {
    public init(from decoder: any Decoder) throws { self = try decoder.lossless("a network such as 10.0.0.0/16") }
    public func encode(to encoder: any Encoder) throws { try encoder.lossless(self) }
}
