import Base
public import IKE
public import Tunnels

/// The data path in the kernel: an XFRM interface a tunnel, ESP by its associations and policies.
///
/// Every tunnel has an interface, whether its peer is route-based (selectors of everything) or policy-based (the
/// networks of phase 2): the negotiated selectors are policies that hold for that interface's packets alone, so the
/// host's other traffic never meets them, and what no policy lets through is dropped, never sent in clear.
///
/// Associations, policies and interfaces carry numbers of ours (``KernelOwnership``) and stay when the process ends.
/// A new process takes over what is right and removes the rest: see ``adopt(_:)`` and ``settle()``.
public actor KernelDataPath: DataPath {
    public nonisolated let kind = "kernel"
    public nonisolated let events: AsyncStream<DataPathEvent>

    private let continuation: AsyncStream<DataPathEvent>.Continuation
    let xfrm: Netlink
    let route: Netlink
    let clamp: SegmentClamp
    private let ipsecWatcher: IPsecWatcher
    private let linkWatcher: KernelWatcher
    private let clock = SystemClock()
    var book = KernelBook()
    private var isShutDown = false
    private var tasks: [Task<Void, Never>] = []

    /// Opens its conversations with the kernel in the caller's network namespace, or in another one.
    public init(in namespace: NetworkNamespace? = nil) throws(NetlinkError) {
        (events, continuation) = AsyncStream.makeStream(
            of: DataPathEvent.self, bufferingPolicy: .bufferingNewest(4096))
        xfrm = try Netlink(.xfrm, in: namespace)
        route = try Netlink(.route, in: namespace)
        clamp = SegmentClamp(try Netlink(.netfilter, in: namespace))
        ipsecWatcher = try IPsecWatcher(besides: xfrm, in: namespace)
        linkWatcher = try KernelWatcher(.links, in: namespace)
    }

    deinit {
        ipsecWatcher.stop()
        linkWatcher.stop()
        continuation.finish()
    }

    /// Starts to listen, once.
    private func listen() {
        guard tasks.isEmpty else { return }
        tasks = [
            Task { [weak self, events = ipsecWatcher.events] in
                for await event in events { await self?.handle(event) }
            },
            Task { [weak self, events = linkWatcher.events] in
                for await event in events {
                    switch event {
                    case .linkRemoved(let link): await self?.linkRemoved(link)
                    case .overrun: await self?.mend("changes came faster than they were read")
                    default: break
                    }
                }
            },
        ]
    }

    // MARK: - Tunnels

    public func openTunnel(_ link: TunnelLink) async throws {
        guard !isShutDown else { throw Self.isShutDownFailure("opening \(link.interface)") }
        guard let interfaceID = KernelOwnership.interfaceID(of: link.interface) else {
            throw HostFailure("opening \(link.interface): a tunnel's interface ends in a number up to 65534", code: 0)
        }
        listen()
        let isNew = book.tunnels[link.interface] == nil
        let index = try makeLink(link, interfaceID, removingOthers: isNew)
        do throws(NetlinkError) {
            if try clamp.set(link.interface, mss: link.mss ?? link.mtu - 40) { tellOfClamp() }
        } catch {
            // Better a tunnel whose TCP is slow at first than none: the next look tries again.
            tell(.troubled("TCP through \(link.interface) is not held to its segment size: \(error)"))
        }
        book.open(KernelBook.Tunnel(link: link, interfaceID: interfaceID, index: index))
    }

    /// Makes the interface, or brings the one that is there in line, and returns its index.
    ///
    /// - Parameter removingOthers: takes addresses away that it should not have: those of an earlier run.
    func makeLink(_ link: TunnelLink, _ interfaceID: UInt32, removingOthers: Bool) throws -> UInt32 {
        let name = link.interface
        var present = try route.link(named: name)
        if let old = present, old.kind != KernelLink.xfrmKind || old.interfaceID != interfaceID {
            guard old.kind == KernelLink.xfrmKind, KernelOwnership.isOurs(old.interfaceID) else {
                throw HostFailure(
                    "creating the interface \(name)", code: 17, advice: "another program uses this name")
            }
            try route.deleteLink(name)
            present = nil
        }
        if present == nil {
            try route.addXFRMInterface(name, interfaceID: interfaceID, mtu: link.mtu, alias: Self.alias(link.tunnel))
        } else {
            if present?.mtu != link.mtu { try route.setLink(name, mtu: link.mtu) }
            if present?.alias != Self.alias(link.tunnel) { try route.setAlias(Self.alias(link.tunnel), of: name) }
        }
        let held = present == nil ? [] : try route.addresses(of: name).map(\.address)
        for address in link.addresses where !held.contains(address) {
            try route.addAddress(address, to: name, prefixRoute: true)
        }
        let wanted = removingOthers ? [] : book.tunnels[name]?.link.addresses ?? []
        for address in held where !link.addresses.contains(address) && !address.address.isLinkLocalIPv6 {
            if removingOthers || wanted.contains(address) { try route.removeAddress(address, from: name) }
        }
        if present?.isUp != true { try route.setLink(name, isUp: true) }
        guard let made = try route.link(named: name) else {
            throw HostFailure("creating the interface \(name): it went away at once", code: 0)
        }
        return made.index
    }

    /// What stands on the interface of a tunnel, so that the tunnel gets the same one after a restart.
    static func alias(_ tunnel: String) -> String { "Gatehouse tunnel \(tunnel)" }

    public func closeTunnel(interface: String) async {
        let tunnel = book.close(interface)
        for spiIn in book.children(of: interface) { await remove(spiIn: spiIn) }
        if let tunnel { forgetInherited(on: [tunnel.interfaceID]) }
        attempt { () throws(NetlinkError) in try clamp.remove(interface) }
        attempt { () throws(NetlinkError) in try route.deleteLink(interface) }
    }

    // MARK: - Children

    public func install(_ child: ChildSA, interface: String, outbound: Bool) async throws {
        guard !isShutDown else { throw Self.isShutDownFailure("installing an SA") }
        guard let tunnel = book.tunnels[interface] else {
            throw HostFailure("installing an SA: there is no interface \(interface)", code: 0)
        }
        var plan = try ChildPlan(child, interface: interface, interfaceID: tunnel.interfaceID, now: clock.now)
        if !child.path.isNATPort, let device = try route.route(to: child.path.remote.address)?.interface {
            plan.offload(to: device)
        }
        let keys = KernelSA.Keys(
            encryption: child.suite.encryption, encryptionKey: child.encryptionKeyIn,
            integrity: child.suite.integrity, integrityKey: child.integrityKeyIn)
        try add(plan.inbound, keys)
        book.add(KernelBook.Child(plan: plan))
        do {
            for policy in book.hold(plan.inboundPolicies, by: child.spiIn) { try xfrm.replacePolicy(policy) }
            if outbound { try startSending(child.spiIn) }
        } catch {
            await remove(spiIn: child.spiIn)
            throw error
        }
    }

    /// A device that cannot take the work over leaves it to the processor.
    private func add(_ association: KernelSA, _ keys: KernelSA.Keys) throws(NetlinkError) {
        do {
            try xfrm.add(association, keys)
        } catch let error where association.offload != nil && error.errno != 17 {
            var plain = association
            plain.offload = nil
            try xfrm.add(plain, keys)
        }
    }

    public func useOutbound(spiIn: UInt32) async {
        do {
            try startSending(spiIn)
        } catch {
            lost(spiIn, "\(error)")
        }
    }

    /// The association comes first, then one step per policy turns the packets to it.
    private func startSending(_ spiIn: UInt32) throws(NetlinkError) {
        guard let child = book.children[spiIn] else { return }
        if let keys = child.plan.waitingKeys {
            try add(child.plan.outbound, keys)
            book.update(spiIn) {
                $0.plan.waitingKeys = nil
                $0.hasOutbound = true
            }
        }
        for policy in book.hold(child.plan.outboundPolicies, by: spiIn) { try xfrm.replacePolicy(policy) }
        if book.inheriting.contains(child.plan.interfaceID) { replaceInherited(on: child.plan.interfaceID) }
    }

    public func remove(spiIn: UInt32) async {
        guard let (child, policies) = book.remove(spiIn) else { return }
        for policy in policies.replaced { attempt { () throws(NetlinkError) in try xfrm.replacePolicy(policy) } }
        for id in policies.removed { attempt { () throws(NetlinkError) in try xfrm.deletePolicy(id) } }
        if child.hasOutbound {
            attempt { () throws(NetlinkError) in try xfrm.deleteAssociation(child.plan.outbound.id) }
        }
        attempt { () throws(NetlinkError) in try xfrm.deleteAssociation(child.plan.inbound.id) }
    }

    public func move(spiIn: UInt32, to path: Path) async {
        guard let child = book.children[spiIn], child.plan.path != path else { return }
        do {
            try move(child, to: path)
        } catch {
            // The old path is of no use any more; new keys come with the new one.
            lost(spiIn, "\(error)")
        }
    }

    private func move(_ child: KernelBook.Child, to path: Path) throws(NetlinkError) {
        let spiIn = child.plan.spiIn
        var plan = child.plan
        plan.move(to: path)
        guard let inbound = try xfrm.associationWithKeys(child.plan.inbound.id) else {
            throw NetlinkError(operation: "moving the association \(child.plan.inbound.id)", errno: 3)
        }
        book.update(spiIn) { $0.plan = plan }
        let received = plan.inbound.going(on: inbound.association)
        if received.differsInPorts(from: inbound.association) {
            try xfrm.update(received, inbound.keys)
        } else {
            try xfrm.deleteAssociation(inbound.association.id)
            try xfrm.add(received, inbound.keys)
        }
        guard child.hasOutbound, let sent = try xfrm.associationWithKeys(child.plan.outbound.id) else { return }
        let outbound = sent.association
        var next = plan.outbound.going(on: outbound)
        if next.differsInPorts(from: outbound) { return try xfrm.update(next, sent.keys) }
        // Packets go on leaving by the old one meanwhile: its next numbers are left to it.
        next.sequence.sent += 1 << 12
        if next.id == outbound.id {
            try replace(next, sent.keys)
        } else {
            try xfrm.add(next, sent.keys)
        }
        for policy in book.hold(plan.outboundPolicies, by: spiIn) { try xfrm.replacePolicy(policy) }
        if next.id != outbound.id { try xfrm.deleteAssociation(outbound.id) }
    }

    /// Puts an association in the place of the one with its number. For a packet that finds the place empty the kernel
    /// keeps it, if some program asks to be told of such packets: then it is emptied once more.
    private func replace(_ association: KernelSA, _ keys: KernelSA.Keys) throws(NetlinkError) {
        try xfrm.deleteAssociation(association.id)
        do {
            try xfrm.add(association, keys)
        } catch let error where error.kind == .refused && error.errno == 17 {
            try xfrm.deleteAssociation(association.id)
            try xfrm.add(association, keys)
        }
    }

    // MARK: - Counters

    public func counters() async -> [UInt32: ChildCounters] {
        let now = clock.now
        guard !book.children.isEmpty, let uses = try? xfrm.associationUses() else { return [:] }
        for entry in uses {
            let (id, use) = (entry.id, entry.use)
            guard let spiIn = book.owner(of: id), let child = book.children[spiIn] else { continue }
            let isInbound = id == child.plan.inbound.id
            book.count(spiIn) { counters in
                if isInbound {
                    if use.packets > counters.packetsIn { counters.lastInbound = now }
                    counters.bytesIn = use.bytes
                    counters.packetsIn = use.packets
                    counters.replayed = use.replayed
                    counters.forged = use.forged
                } else {
                    counters.bytesOut = use.bytes
                    counters.packetsOut = use.packets
                }
            }
        }
        return book.children.mapValues(\.counters)
    }

    public func counters(spiIn: UInt32) async -> ChildCounters? {
        guard let child = book.children[spiIn] else { return nil }
        let now = clock.now
        let use = try? xfrm.association(child.plan.inbound.id)?.use
        let sent = child.hasOutbound ? try? xfrm.association(child.plan.outbound.id)?.use : nil
        book.count(spiIn) { counters in
            if let use {
                if use.packets > counters.packetsIn { counters.lastInbound = now }
                counters.bytesIn = use.bytes
                counters.packetsIn = use.packets
                counters.replayed = use.replayed
                counters.forged = use.forged
            }
            if let sent {
                counters.bytesOut = sent.bytes
                counters.packetsOut = sent.packets
            }
        }
        return book.children[spiIn]?.counters
    }

    // MARK: - What others do

    private func handle(_ event: IPsecEvent) {
        switch event {
        case .expired(let association, let isHard):
            guard let spiIn = book.owner(of: association.id) else { return }
            if isHard, association.hasCarriedAll {
                spent(spiIn)
            } else if isHard {
                lost(spiIn, "the kernel ended it at the end of its lifetime")
            } else {
                continuation.yield(.exhausted(spiIn: spiIn))
            }
        case .associationRemoved(let id):
            if let spiIn = book.owner(of: id) { lost(spiIn, "the association \(id) was removed by someone else") }
        case .policyRemoved(let policy):
            restore(policy.id)
        case .policyAdded(let policy):
            if let wanted = book.policies[policy.id], wanted != policy { restore(policy.id) }
        case .moved(let id, _, let address, let port):
            guard let spiIn = book.owner(of: id), let child = book.children[spiIn] else { return }
            let path = Path(
                local: child.plan.path.local, remote: Endpoint(address, port), isNATPort: child.plan.path.isNATPort)
            if path != child.plan.path { continuation.yield(.peerMoved(spiIn: spiIn, path)) }
        case .associationsFlushed: mend("the associations were flushed by someone else")
        case .policiesFlushed: mend("the policies were flushed by someone else")
        case .overrun: mend("the kernel's messages came faster than they were read")
        case .migrated: mend("associations were moved by someone else")
        case .acquire, .associationAdded, .policyExpired, .report, .failed: break
        }
    }

    /// Once for each child.
    func lost(_ spiIn: UInt32, _ reason: String) {
        guard book.children[spiIn]?.isLost == false else { return }
        book.update(spiIn) { $0.isLost = true }
        continuation.yield(.childLost(spiIn: spiIn, reason: reason))
    }

    /// Once for each child, whose other association follows from what the owner does about it.
    private func spent(_ spiIn: UInt32) {
        guard book.children[spiIn]?.isLost == false else { return }
        book.update(spiIn) { $0.isLost = true }
        continuation.yield(.spent(spiIn: spiIn))
    }

    private func restore(_ id: KernelPolicy.ID) {
        guard let wanted = book.policies[id], let child = book.children.values.first(where: {
            $0.plan.interfaceID == id.interfaceID
        }) else { return }
        do {
            // What is told may be long past: a comparison has put it right by now, or we have.
            guard try xfrm.policy(id) != wanted else { return }
            try xfrm.replacePolicy(wanted)
            continuation.yield(
                .mended(
                    interface: child.plan.interface,
                    "the policy \(id) was changed or removed by someone else and is restored"))
        } catch {
            continuation.yield(.tunnelLost(interface: child.plan.interface, reason: "\(error)"))
        }
    }

    private func linkRemoved(_ link: KernelLink) {
        guard let tunnel = book.tunnels[link.name], tunnel.index == link.index else { return }
        do {
            let index = try makeLink(tunnel.link, tunnel.interfaceID, removingOthers: false)
            book.setIndex(index, of: link.name)
            continuation.yield(
                .mended(
                    interface: link.name,
                    "the interface \(link.name) was removed by someone else and is there again"))
        } catch {
            continuation.yield(.tunnelLost(interface: link.name, reason: "\(error)"))
        }
    }

    /// Some things go without a word: a device drops the associations whose work it does when it goes down, and a
    /// firewall that is loaded anew drops our table.
    @discardableResult
    public func inspect() throws -> Int { try compare("found in a look at the kernel") }

    /// Compares everything with the kernel and puts it right, because something has happened.
    func mend(_ cause: String) {
        do {
            _ = try compare(cause)
        } catch {
            continuation.yield(.troubled("the kernel could not be compared with what should be there: \(error)"))
        }
    }

    /// Each difference is told, and how many there were is returned.
    ///
    /// Nothing is under way meanwhile: no method here waits for anything with its work half done, so that the book and
    /// the kernel agree on all that we did.
    private func compare(_ cause: String) throws(NetlinkError) -> Int {
        guard !isShutDown else { return 0 }
        let difference = KernelDifference(from: try picture(), to: book.plan)
        try apply(difference, cause)
        guard try !clamp.isIntact() else { return difference.count }
        try clamp.rebuild()
        tellOfClamp()
        return difference.count + 1
    }

    private func tellOfClamp() {
        tell(
            .mended(
                interface: "",
                "the segment sizes of the tunnels were changed or removed in nftables by someone else and are restored"))
    }

    func tell(_ event: DataPathEvent) { continuation.yield(event) }

    // MARK: - The end

    public func release() async {
        isShutDown = true
        stopListening()
    }

    public func shutDown() async {
        isShutDown = true
        stopListening()
        book = KernelBook()
        attempt { () throws(NetlinkError) in
            let difference = KernelDifference(from: try picture(), to: KernelPlan())
            for id in difference.policiesToRemove { try xfrm.deletePolicy(id) }
            for id in difference.associationsToRemove { try xfrm.deleteAssociation(id) }
            for name in difference.linksToRemove { try route.deleteLink(name) }
        }
        attempt { () throws(NetlinkError) in try clamp.removeTable() }
    }

    private func stopListening() {
        ipsecWatcher.stop()
        linkWatcher.stop()
        for task in tasks { task.cancel() }
        tasks = []
        continuation.finish()
    }

    /// Of what is being taken away, nothing can be said to anyone but by leaving it out.
    func attempt(_ body: () throws(NetlinkError) -> some Any) {
        do throws(NetlinkError) {
            _ = try body()
        } catch {
            // Gone already, or not ours to remove.
        }
    }

    private static func isShutDownFailure(_ action: String) -> HostFailure {
        HostFailure("\(action): the data path is shut down", code: 0)
    }
}

extension KernelSA {
    /// A hard limit of bytes or packets is reached.
    var hasCarriedAll: Bool { use.bytes >= lifetime.hardBytes ?? .max || use.packets >= lifetime.hardPackets ?? .max }
    /// A soft limit of bytes or packets is reached, of which the kernel has told once.
    var isNearItsEnd: Bool { use.bytes >= lifetime.softBytes ?? .max || use.packets >= lifetime.softPackets ?? .max }

    /// The addresses are the same, and both travel in UDP: the kernel changes the ports in place.
    fileprivate func differsInPorts(from old: KernelSA) -> Bool {
        id == old.id && source == old.source && encapsulation != nil && old.encapsulation != nil
    }

    /// The same with the sequence numbers, window, limits and counters of `old`.
    fileprivate func going(on old: KernelSA) -> KernelSA {
        var next = self
        next.sequence = old.sequence
        next.lifetime = old.lifetime
        next.use = old.use
        next.offload = nil
        return next
    }
}

extension IPAddress {
    /// fe80::/10, which the kernel gives out by itself.
    var isLinkLocalIPv6: Bool { !isIPv4 && isLinkLocal }
}
