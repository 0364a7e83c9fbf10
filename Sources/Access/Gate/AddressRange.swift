public import Base

/// Addresses from one to another of the same family, both included.
public struct AddressRange: Hashable, Sendable {
    public var first: IPAddress
    public var last: IPAddress

    public init(_ first: IPAddress, _ last: IPAddress) {
        self.first = first
        self.last = last
    }

    public init(_ prefix: IPPrefix) { self.init(prefix.first, prefix.last) }

    public func contains(_ address: IPAddress) -> Bool {
        address.family == first.family && first <= address && address <= last
    }
}

extension [AddressRange] {
    /// The ranges of one family that some networks cover together: in order, none overlapping or touching another.
    public init(_ prefixes: some Sequence<IPPrefix>, _ family: IPAddress.Family) {
        self = prefixes.filter { $0.family == family }.map(AddressRange.init).merged
    }

    var merged: [AddressRange] {
        var result: [AddressRange] = []
        for range in sorted(by: { ($0.first, $0.last) < ($1.first, $1.last) }) {
            guard let previous = result.last, !previous.last.isHighest, range.first <= previous.last.advanced(by: 1) else {
                if let previous = result.last, previous.last.isHighest, previous.first.family == range.first.family {
                    continue
                }
                result.append(range)
                continue
            }
            if range.last > previous.last { result[result.count - 1].last = range.last }
        }
        return result
    }

    /// What is left without the addresses of `others`. Both must be merged.
    func subtracting(_ others: [AddressRange]) -> [AddressRange] {
        var result: [AddressRange] = []
        for range in self {
            var first = range.first
            var isUsedUp = false
            for other in others where other.last >= first && other.first <= range.last {
                if other.first > first { result.append(AddressRange(first, other.first.advanced(by: -1))) }
                if other.last >= range.last {
                    isUsedUp = true
                    break
                }
                first = other.last.advanced(by: 1)
            }
            if !isUsedUp { result.append(AddressRange(first, range.last)) }
        }
        return result
    }
}

extension IPAddress {
    /// 255.255.255.255 or its like in IPv6: nothing comes after it.
    var isHighest: Bool {
        switch self {
        case .v4(let value): value == .max
        case .v6(let value): value == .max
        }
    }
}
