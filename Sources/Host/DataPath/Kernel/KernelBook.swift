import Base
import IKE
import Tunnels

/// What the kernel data path has put into the kernel and means to keep there.
struct KernelBook {
    struct Tunnel {
        var link: TunnelLink
        var interfaceID: UInt32
        /// The interface's index, so that the end of an earlier one of the same name is told apart.
        var index: UInt32
    }

    struct Child {
        var plan: ChildPlan
        /// Packets leave by it, or did before a newer one took over.
        var hasOutbound = false
        /// It has gone from the kernel, and that was told.
        var isLost = false
        var counters = ChildCounters()
    }

    private(set) var tunnels: [String: Tunnel] = [:]
    private(set) var children: [UInt32: Child] = [:]
    /// Those of each interface; adopted ones are there before their tunnel.
    private var childrenOf: [String: [UInt32]] = [:]
    /// Whose associations these are, by inbound SPI.
    private var owners: [KernelSAID: UInt32] = [:]
    /// Which children want a policy; of an outbound one the last is the one in force.
    private var holders: [KernelPolicy.ID: [UInt32]] = [:]
    private(set) var policies: [KernelPolicy.ID: KernelPolicy] = [:]
    /// Interfaces, by ID, that an earlier run left and that may still be claimed.
    var unclaimed: Set<UInt32> = []
    /// Interfaces, by ID, on which an earlier run's associations go on for a while.
    var inheriting: Set<UInt32> = []
    /// Those of them whose successor carries packets: they go in a moment, together.
    var released: Set<UInt32> = []

    func owner(of id: KernelSAID) -> UInt32? { owners[id] }

    mutating func open(_ tunnel: Tunnel) { tunnels[tunnel.link.interface] = tunnel }

    func children(of interface: String) -> [UInt32] { childrenOf[interface] ?? [] }

    mutating func setIndex(_ index: UInt32, of interface: String) { tunnels[interface]?.index = index }

    mutating func close(_ interface: String) -> Tunnel? { tunnels.removeValue(forKey: interface) }

    mutating func add(_ child: Child) {
        let spiIn = child.plan.spiIn
        children[spiIn] = child
        childrenOf[child.plan.interface, default: []].append(spiIn)
        own(child.plan)
    }

    /// After a child's addresses have changed.
    mutating func update(_ spiIn: UInt32, _ body: (inout Child) -> Void) {
        guard var child = children[spiIn] else { return }
        owners[child.plan.inbound.id] = nil
        owners[child.plan.outbound.id] = nil
        body(&child)
        children[spiIn] = child
        own(child.plan)
    }

    mutating func count(_ spiIn: UInt32, _ body: (inout ChildCounters) -> Void) {
        if children[spiIn] != nil { body(&children[spiIn]!.counters) }
    }

    private mutating func own(_ plan: ChildPlan) {
        owners[plan.inbound.id] = plan.spiIn
        owners[plan.outbound.id] = plan.spiIn
    }

    /// Notes that `child` wants these policies from now on, before any other. Returns those that the kernel has
    /// otherwise.
    mutating func hold(_ wanted: [KernelPolicy], by child: UInt32) -> [KernelPolicy] {
        var changed: [KernelPolicy] = []
        for policy in wanted {
            holders[policy.id, default: []].removeAll { $0 == child }
            holders[policy.id, default: []].append(child)
            if policies.updateValue(policy, forKey: policy.id) != policy { changed.append(policy) }
        }
        return changed
    }

    /// What becomes of the policies of a child that goes.
    struct Release {
        /// Now in force for another child.
        var replaced: [KernelPolicy] = []
        var removed: [KernelPolicy.ID] = []
    }

    /// Forgets a child; the caller then brings policies and associations in line.
    mutating func remove(_ spiIn: UInt32) -> (child: Child, policies: Release)? {
        guard let child = children.removeValue(forKey: spiIn) else { return nil }
        owners[child.plan.inbound.id] = nil
        owners[child.plan.outbound.id] = nil
        childrenOf[child.plan.interface]?.removeAll { $0 == spiIn }
        if childrenOf[child.plan.interface]?.isEmpty == true { childrenOf[child.plan.interface] = nil }
        var release = Release()
        for policy in child.plan.inboundPolicies + (child.hasOutbound ? child.plan.outboundPolicies : []) {
            guard var left = holders[policy.id] else { continue }
            left.removeAll { $0 == spiIn }
            guard let next = left.last, let heir = children[next] else {
                holders[policy.id] = nil
                if policies.removeValue(forKey: policy.id) != nil { release.removed.append(policy.id) }
                continue
            }
            holders[policy.id] = left
            let plans = policy.direction == .output ? heir.plan.outboundPolicies : heir.plan.inboundPolicies
            guard let kept = plans.first(where: { $0.id == policy.id }), policies[policy.id] != kept else { continue }
            policies[policy.id] = kept
            release.replaced.append(kept)
        }
        return (child, release)
    }

    /// All of it, to be compared with the kernel.
    var plan: KernelPlan {
        var plan = KernelPlan()
        plan.interfaces = tunnels.mapValues { KernelPlan.Interface(link: $0.link, interfaceID: $0.interfaceID) }
        plan.policies = policies
        plan.inheriting = inheriting
        plan.unclaimed = unclaimed
        for child in children.values {
            guard !child.isLost else {
                plan.leaving.formUnion([child.plan.inbound.id, child.plan.outbound.id])
                continue
            }
            plan.associations[child.plan.inbound.id] = KernelPlan.Terms(child.plan.inbound)
            if child.hasOutbound { plan.associations[child.plan.outbound.id] = KernelPlan.Terms(child.plan.outbound) }
        }
        return plan
    }
}
