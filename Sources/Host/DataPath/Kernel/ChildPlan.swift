import Base
import Cryptography
import ESP
import IKE

/// What one child SA needs in the kernel.
struct ChildPlan: Sendable {
    let interface: String
    let interfaceID: UInt32
    let spiIn: UInt32
    let spiOut: UInt32
    var path: Path
    /// What may be sent; the other directions follow from it.
    let selectors: [KernelSelector]
    /// The outbound keys, until the association is installed.
    var waitingKeys: KernelSA.Keys?
    private(set) var inbound: KernelSA
    private(set) var outbound: KernelSA

    init(_ child: ChildSA, interface: String, interfaceID: UInt32, now: Tick) throws(KernelSelector.Unsupported) {
        self.interface = interface
        self.interfaceID = interfaceID
        spiIn = child.spiIn
        spiOut = child.spiOut
        path = child.path
        selectors = try KernelSelector.outbound(local: child.localSelectors, remote: child.remoteSelectors)
        guard !selectors.isEmpty else {
            throw KernelSelector.Unsupported(description: "no pair of selectors is of the same family")
        }
        waitingKeys = KernelSA.Keys(
            encryption: child.suite.encryption, encryptionKey: child.encryptionKeyOut,
            integrity: child.suite.integrity, integrityKey: child.integrityKeyOut)
        // One selector can stand on the association itself, so that no other child of the tunnel lets its packets in.
        inbound = KernelSA(
            source: path.remote.address, destination: path.local.address, spi: spiIn, direction: .input,
            requestID: interfaceID, interfaceID: interfaceID,
            selector: selectors.count == 1 ? selectors[0].reversed : nil,
            hasExtendedSequence: child.suite.esn,
            replayWindow: UInt32(clamping: max(32, min(2048, child.replayWindow))))
        // DF stays clear on outer packets, as AWS asks: the inner ones are fitted by the interface's MTU.
        outbound = KernelSA(
            source: path.local.address, destination: path.remote.address, spi: spiOut, direction: .output,
            requestID: interfaceID, interfaceID: interfaceID, hasExtendedSequence: child.suite.esn,
            copiesDontFragment: false)
        inbound.lifetime = Self.lifetime(child, now: now)
        outbound.lifetime = inbound.lifetime
        if !child.suite.esn {
            // Of 2^32 sequence numbers, none may come twice.
            outbound.lifetime.softPackets = min(outbound.lifetime.softPackets ?? .max, 3 << 30)
            outbound.lifetime.hardPackets = min(outbound.lifetime.hardPackets ?? .max, 0xFFFF_FF00)
        }
        move(to: path)
    }

    /// What each of the two may carry, and for how long: the kernel ends it a minute later than we would, should we be
    /// gone by then.
    private static func lifetime(_ child: ChildSA, now: Tick) -> KernelLifetime {
        func limit(_ value: UInt64) -> UInt64? { value == .max ? nil : value }
        var lifetime = KernelLifetime()
        lifetime.softBytes = limit(child.limits.softBytes)
        lifetime.hardBytes = limit(child.limits.hardBytes)
        lifetime.softPackets = limit(child.limits.softPackets)
        lifetime.hardPackets = limit(child.limits.hardPackets)
        let left = max(0, (child.expiresAt - now).nanoseconds) / 1_000_000_000
        lifetime.hardSeconds = UInt64(clamping: left) + 60
        return lifetime
    }

    /// Gives both directions other ends.
    mutating func move(to path: Path) {
        self.path = path
        inbound.source = path.remote.address
        inbound.destination = path.local.address
        outbound.source = path.local.address
        outbound.destination = path.remote.address
        inbound.encapsulation =
            path.isNATPort
            ? KernelSA.Encapsulation(sourcePort: path.remote.port, destinationPort: path.local.port) : nil
        outbound.encapsulation =
            path.isNATPort
            ? KernelSA.Encapsulation(sourcePort: path.local.port, destinationPort: path.remote.port) : nil
    }

    mutating func offload(to interface: UInt32) {
        inbound.offload = KernelSA.Offload(interface: interface)
        outbound.offload = KernelSA.Offload(interface: interface)
    }

    /// For what comes in, to this host and beyond. They name no peer, and so stay as they are when the keys or the
    /// peer's address change.
    var inboundPolicies: [KernelPolicy] {
        selectors.flatMap { selector in
            [KernelPolicy.Direction.input, .forward].map { direction in
                KernelPolicy(
                    direction: direction, selector: selector.reversed, interfaceID: interfaceID,
                    priority: Self.priority(selector),
                    template: KernelPolicy.Template(requestID: interfaceID, family: path.remote.address.family))
            }
        }
    }

    /// For what goes out: names this child's association, so that the switch to another is one step.
    var outboundPolicies: [KernelPolicy] {
        selectors.map { selector in
            KernelPolicy(
                direction: .output, selector: selector, interfaceID: interfaceID, priority: Self.priority(selector),
                template: KernelPolicy.Template(
                    source: outbound.source, destination: outbound.destination, spi: spiOut, requestID: interfaceID,
                    family: path.remote.address.family))
        }
    }

    /// The narrower a selector, the lower the number, which wins.
    private static func priority(_ selector: KernelSelector) -> UInt32 {
        let bits = selector.family.bitWidth * 2
        let open = bits - selector.source.length - selector.destination.length
        let ports = [selector.sourcePorts, selector.destinationPorts].reduce(0) { $0 + 16 - $1.mask.nonzeroBitCount }
        return UInt32(1000 + open * 40 + ports + (selector.ipProtocol == 0 ? 4 : 0))
    }
}
