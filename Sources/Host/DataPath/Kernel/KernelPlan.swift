import Base
import Tunnels

/// How we know our own things in the kernel again, after a crash too: by number.
///
/// The XFRM interface of tunnel N (`ghN`) has the interface ID 0x47480001 + N ("GH"); so have its associations and
/// policies, and as their request ID, too. Nothing outside 0x47480001 to 0x4748FFFF is ever touched.
enum KernelOwnership {
    private static let base: UInt32 = 0x4748_0000

    static func isOurs(_ interfaceID: UInt32) -> Bool { interfaceID > base && interfaceID <= base | 0xFFFF }

    /// The ID of an interface by the number at the end of its name; nil without one, or beyond 65,534.
    static func interfaceID(of name: String) -> UInt32? {
        let digits = name.utf8.reversed().prefix { (48...57).contains($0) }.count
        guard let number = UInt32(name.suffix(digits)), number < 0xFFFF else { return nil }
        return base + number + 1
    }
}

/// What of ours the kernel should hold.
struct KernelPlan: Hashable, Sendable {
    struct Interface: Hashable, Sendable {
        var link: TunnelLink
        var interfaceID: UInt32
    }

    /// What must be right about an association; keys and counters cannot be compared.
    struct Terms: Hashable, Sendable {
        var source: IPAddress
        var interfaceID: UInt32
        var encapsulation: KernelSA.Encapsulation?

        init(_ association: KernelSA) {
            source = association.source
            interfaceID = association.interfaceID
            encapsulation = association.encapsulation
        }
    }

    /// By name.
    var interfaces: [String: Interface] = [:]
    var associations: [KernelSAID: Terms] = [:]
    var policies: [KernelPolicy.ID: KernelPolicy] = [:]
    /// Of children that have lost one: what is left of them works on until their successors are there.
    var leaving: Set<KernelSAID> = []
    /// Interfaces, by ID, of an earlier run that may still be claimed.
    var unclaimed: Set<UInt32> = []
    /// Interfaces, by ID, on which an earlier run's associations and policies go on for a while.
    var inheriting: Set<UInt32> = []
}

/// What the kernel holds, ours and others'.
struct KernelPicture: Hashable, Sendable {
    var links: [KernelLink] = []
    var addresses: [KernelAddress] = []
    var associations: [KernelSA] = []
    var policies: [KernelPolicy] = []
}

/// What has to be done to the kernel. Others' things are in no list.
struct KernelDifference: Hashable, Sendable {
    /// An address that an interface should have.
    struct Address: Hashable, Sendable {
        var address: IPPrefix
        var interface: String
    }

    var linksToMake: [KernelPlan.Interface] = []
    /// There, with another MTU or switched off.
    var linksToMend: [KernelPlan.Interface] = []
    /// Ours and not wanted, or with a wrong number.
    var linksToRemove: [String] = []
    var addressesToAdd: [Address] = []
    var policiesToAdd: [KernelPolicy] = []
    var policiesToReplace: [KernelPolicy] = []
    var policiesToRemove: [KernelPolicy.ID] = []
    var associationsToRemove: [KernelSAID] = []
    /// Wanted and not there, or there with other terms: the keys are gone, so that only a rekey helps.
    var associationsLost: [KernelSAID] = []

    /// What makes `plan` out of `present`.
    init(from present: KernelPicture, to plan: KernelPlan) {
        compareLinks(present, plan)
        comparePolicies(present, plan)
        compareAssociations(present, plan)
    }

    var count: Int {
        linksToMake.count + linksToMend.count + linksToRemove.count + addressesToAdd.count + policiesToAdd.count
            + policiesToReplace.count + policiesToRemove.count + associationsToRemove.count + associationsLost.count
    }

    var isEmpty: Bool { count == 0 }

    private mutating func compareLinks(_ present: KernelPicture, _ plan: KernelPlan) {
        var addresses: [UInt32: Set<IPPrefix>] = [:]
        for address in present.addresses { addresses[address.interface, default: []].insert(address.address) }
        var there: [String: KernelLink] = [:]
        for link in present.links where link.kind == KernelLink.xfrmKind && KernelOwnership.isOurs(link.interfaceID) {
            if let wanted = plan.interfaces[link.name], wanted.interfaceID == link.interfaceID {
                there[link.name] = link
            } else if !plan.unclaimed.contains(link.interfaceID) {
                linksToRemove.append(link.name)
            }
        }
        for (name, wanted) in plan.interfaces.sorted(by: { $0.key < $1.key }) {
            guard let link = there[name] else {
                linksToMake.append(wanted)
                addressesToAdd += wanted.link.addresses.map { Address(address: $0, interface: name) }
                continue
            }
            if link.mtu != wanted.link.mtu || !link.isUp { linksToMend.append(wanted) }
            let held = addresses[link.index] ?? []
            addressesToAdd += wanted.link.addresses.filter { !held.contains($0) }.map {
                Address(address: $0, interface: name)
            }
        }
    }

    private mutating func comparePolicies(_ present: KernelPicture, _ plan: KernelPlan) {
        var missing = plan.policies
        for policy in present.policies where KernelOwnership.isOurs(policy.interfaceID) {
            if let wanted = missing.removeValue(forKey: policy.id) {
                if wanted != policy { policiesToReplace.append(wanted) }
            } else if !plan.inheriting.contains(policy.interfaceID) {
                policiesToRemove.append(policy.id)
            }
        }
        policiesToAdd = missing.values.sorted { "\($0.id)" < "\($1.id)" }
    }

    private mutating func compareAssociations(_ present: KernelPicture, _ plan: KernelPlan) {
        var missing = plan.associations
        for association in present.associations where KernelOwnership.isOurs(association.interfaceID) {
            if let terms = missing[association.id] {
                if terms == KernelPlan.Terms(association) { missing[association.id] = nil }
            } else if !plan.inheriting.contains(association.interfaceID), !plan.leaving.contains(association.id) {
                associationsToRemove.append(association.id)
            }
        }
        associationsLost = missing.keys.sorted { ($0.destination, $0.spi) < ($1.destination, $1.spi) }
    }
}
