public import Base
import Glibc
public import IKE

/// Which packets a policy or a security association is for (`xfrm_selector`): two prefixes, a protocol and ports.
public struct KernelSelector: Hashable, Sendable {
    /// Ports by value and mask, as the kernel compares them; a mask of 0 matches every port.
    public struct Ports: Hashable, Sendable {
        public var value: UInt16
        public var mask: UInt16

        public init(value: UInt16, mask: UInt16) {
            self.value = value & mask
            self.mask = mask
        }

        public static let any = Ports(value: 0, mask: 0)

        /// The least set of masks that make up a range, in order.
        public static func covering(_ range: ClosedRange<UInt16>) -> [Ports] {
            Blocks.of(UInt128(range.lowerBound), UInt128(range.upperBound), bits: 16).map { start, length in
                Ports(
                    value: UInt16(truncatingIfNeeded: start),
                    mask: length == 0 ? 0 : UInt16.max << UInt16(16 - length))
            }
        }
    }

    public var source: IPPrefix
    public var destination: IPPrefix
    /// IP protocol number; 0 is any.
    public var ipProtocol: UInt8
    public var sourcePorts: Ports
    public var destinationPorts: Ports

    public init(
        source: IPPrefix, destination: IPPrefix, ipProtocol: UInt8 = 0, sourcePorts: Ports = .any,
        destinationPorts: Ports = .any
    ) {
        self.source = source
        self.destination = destination
        self.ipProtocol = ipProtocol
        self.sourcePorts = sourcePorts
        self.destinationPorts = destinationPorts
    }

    public var family: IPAddress.Family { source.family }

    /// The same, seen from the other end.
    public var reversed: KernelSelector {
        KernelSelector(
            source: destination, destination: source, ipProtocol: ipProtocol, sourcePorts: destinationPorts,
            destinationPorts: sourcePorts)
    }

    /// Everything of a family.
    public static func all(_ family: IPAddress.Family) -> KernelSelector {
        KernelSelector(source: .all(family), destination: .all(family))
    }

    /// Selectors that a kernel cannot hold: too many prefixes, or ICMP types.
    public struct Unsupported: Error, Hashable, Sendable, CustomStringConvertible {
        public var description: String
    }

    /// What a child that negotiated `local` and `remote` selectors may send, one selector for each pair of prefixes.
    public static func outbound(
        local: [TrafficSelector], remote: [TrafficSelector]
    ) throws(Unsupported) -> [KernelSelector] {
        var found: [KernelSelector] = []
        for from in local {
            for to in remote where to.first.family == from.first.family {
                guard from.ipProtocol == 0 || to.ipProtocol == 0 || from.ipProtocol == to.ipProtocol else { continue }
                let number = max(from.ipProtocol, to.ipProtocol)
                let isICMP = number == UInt8(IPPROTO_ICMP) || number == UInt8(IPPROTO_ICMPV6)
                guard !isICMP || (from.takesAllPorts && to.takesAllPorts) else {
                    throw Unsupported(description: "ICMP types in selectors are not carried by the kernel data path")
                }
                for sourcePorts in Ports.covering(from.firstPort...max(from.firstPort, from.lastPort)) {
                    for destinationPorts in Ports.covering(to.firstPort...max(to.firstPort, to.lastPort)) {
                        for source in from.prefixes {
                            for destination in to.prefixes {
                                found.append(
                                    KernelSelector(
                                        source: source, destination: destination, ipProtocol: number,
                                        sourcePorts: sourcePorts, destinationPorts: destinationPorts))
                                guard found.count <= most else {
                                    throw Unsupported(
                                        description: "the selectors take more than \(most) policies in the kernel")
                                }
                            }
                        }
                    }
                }
            }
        }
        var seen: Set<KernelSelector> = []
        return found.filter { seen.insert($0).inserted }
    }

    private static let most = 256
}

extension TrafficSelector {
    fileprivate var takesAllPorts: Bool { firstPort == 0 && lastPort == 65535 }

    /// The least set of prefixes that make up the range of addresses.
    fileprivate var prefixes: [IPPrefix] {
        switch (first, last) {
        case (.v4(let low), .v4(let high)):
            Blocks.of(UInt128(low), UInt128(high), bits: 32).compactMap {
                IPPrefix(.v4(UInt32(truncatingIfNeeded: $0)), length: $1)
            }
        case (.v6(let low), .v6(let high)):
            Blocks.of(low, high, bits: 128).compactMap { IPPrefix(.v6($0), length: $1) }
        default: []
        }
    }
}

/// Ranges of numbers as aligned blocks.
private enum Blocks {
    /// The least set of blocks (first number, length of the common prefix in bits) that make up a range.
    static func of(_ low: UInt128, _ high: UInt128, bits: Int) -> [(start: UInt128, length: Int)] {
        var blocks: [(UInt128, Int)] = []
        var start = low
        while start <= high {
            // As large as the alignment of the start and what is left allow.
            var size = start == 0 ? bits : min(bits, start.trailingZeroBitCount)
            while size > 0, !fits(start, size, high) { size -= 1 }
            blocks.append((start, bits - size))
            let (next, isOver) = size >= 128 ? (0, true) : start.addingReportingOverflow(UInt128(1) << UInt128(size))
            if isOver { break }
            start = next
        }
        return blocks
    }

    private static func fits(_ start: UInt128, _ size: Int, _ high: UInt128) -> Bool {
        high - start >= (size >= 128 ? UInt128.max : (UInt128(1) << UInt128(size)) - 1)
    }
}

// MARK: - Wire

extension NetlinkWriter {
    /// `xfrm_address_t`: 16 bytes, of which IPv4 uses the first four.
    mutating func appendAddress(_ address: IPAddress?) {
        let bytes = address?.bytes ?? []
        append(bytes)
        append(repeatElement(0, count: 16 - bytes.count))
    }

    /// `xfrm_selector`, 56 bytes; nil matches everything of any family.
    mutating func append(_ selector: KernelSelector?) {
        guard let selector else { return append(repeatElement(UInt8(0), count: 56)) }
        appendAddress(selector.destination.first)
        appendAddress(selector.source.first)
        for number in [
            selector.destinationPorts.value, selector.destinationPorts.mask, selector.sourcePorts.value,
            selector.sourcePorts.mask,
        ] {
            append(number.bigEndian)
        }
        append(UInt16(selector.family.number))
        append([
            UInt8(clamping: selector.destination.length), UInt8(clamping: selector.source.length),
            selector.ipProtocol, 0, 0, 0,
        ])
        append(UInt64(0))  // interface and user: any
    }
}

extension ArraySlice<UInt8> {
    /// `xfrm_address_t` of a family, `offset` bytes behind the start. The caller has checked that it is there.
    func address(_ family: IPAddress.Family, at offset: Int) -> IPAddress {
        IPAddress(bytes: self[startIndex + offset..<startIndex + offset + family.bitWidth / 8]) ?? .any(family)
    }

    /// `xfrm_selector`; nil for one without a family, which matches everything.
    func selector(at offset: Int) throws(NetlinkMalformed) -> KernelSelector? {
        guard let family = IPAddress.Family(number: UInt8(truncatingIfNeeded: host(UInt16.self, at: offset + 40))) else {
            return nil
        }
        guard
            let destination = IPPrefix(
                address(family, at: offset), length: Int(host(UInt8.self, at: offset + 42))),
            let source = IPPrefix(address(family, at: offset + 16), length: Int(host(UInt8.self, at: offset + 43)))
        else { throw NetlinkMalformed(reason: "a selector with a prefix longer than an address") }
        func ports(_ offset: Int) -> KernelSelector.Ports {
            KernelSelector.Ports(
                value: UInt16(bigEndian: host(UInt16.self, at: offset)),
                mask: UInt16(bigEndian: host(UInt16.self, at: offset + 2)))
        }
        return KernelSelector(
            source: source, destination: destination, ipProtocol: host(UInt8.self, at: offset + 44),
            sourcePorts: ports(offset + 36), destinationPorts: ports(offset + 32))
    }
}
