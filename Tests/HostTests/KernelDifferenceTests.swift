import Base
import Testing
import Tunnels

@testable import Host

/// What has to be done to the kernel, as a pure function of what should be there and what is.
@Suite("Kernel reconciliation")
struct KernelDifferenceTests {
    private static let id = KernelOwnership.interfaceID(of: "gh0")!
    private static let inside = IPPrefix("169.254.10.2/30")!
    private static let link = TunnelLink(interface: "gh0", tunnel: "a", addresses: [inside], mtu: 1400, mss: nil)

    private static func association(_ spi: UInt32, interfaceID: UInt32 = id) -> KernelSA {
        KernelSA(
            source: .v4(1), destination: .v4(2), spi: spi, direction: .output, requestID: interfaceID,
            interfaceID: interfaceID)
    }

    private static func policy(_ direction: KernelPolicy.Direction, interfaceID: UInt32 = id) -> KernelPolicy {
        KernelPolicy(
            direction: direction, selector: .all(.ipv4), interfaceID: interfaceID, priority: 5,
            template: KernelPolicy.Template(requestID: interfaceID, family: .ipv4))
    }

    private static func device(
        _ name: String = "gh0", index: UInt32 = 7, kind: String? = "xfrm", interfaceID: UInt32 = id, mtu: Int = 1400,
        isUp: Bool = true
    ) -> KernelLink {
        KernelLink(index: index, name: name, kind: kind, mtu: mtu, isUp: isUp, isRunning: isUp, interfaceID: interfaceID)
    }

    /// A tunnel with one pair, and the kernel just so.
    private let plan: KernelPlan
    private let present: KernelPicture

    init() {
        var plan = KernelPlan()
        plan.interfaces = ["gh0": KernelPlan.Interface(link: Self.link, interfaceID: Self.id)]
        for spi: UInt32 in [0x1000, 0x1001] {
            plan.associations[Self.association(spi).id] = KernelPlan.Terms(Self.association(spi))
        }
        for direction in [KernelPolicy.Direction.input, .output, .forward] {
            plan.policies[Self.policy(direction).id] = Self.policy(direction)
        }
        self.plan = plan
        present = KernelPicture(
            links: [Self.device(), Self.device("eth0", index: 2, kind: nil, interfaceID: 0)],
            addresses: [KernelAddress(address: Self.inside, interface: 7)],
            associations: [Self.association(0x1000), Self.association(0x1001)],
            policies: [.input, .output, .forward].map { Self.policy($0) })
    }

    private func difference(_ change: (inout KernelPicture, inout KernelPlan) -> Void) -> KernelDifference {
        var (present, plan) = (present, plan)
        change(&present, &plan)
        return KernelDifference(from: present, to: plan)
    }

    @Test func nothingChangedIsNoDifference() { #expect(difference { _, _ in }.isEmpty) }

    @Test func whatIsMissingIsMade() {
        let all = difference { present, _ in present = KernelPicture() }
        #expect(all.linksToMake.map(\.link.interface) == ["gh0"])
        #expect(all.addressesToAdd.map(\.address) == [Self.inside])
        #expect(all.policiesToAdd.count == 3)
        // Keys are never kept, so associations come back by a rekey alone.
        #expect(all.associationsLost.map(\.spi) == [0x1000, 0x1001])
        #expect(all.associationsToRemove.isEmpty && all.policiesToRemove.isEmpty && all.linksToRemove.isEmpty)
    }

    @Test func whatDiffersIsMended() {
        let mtu = difference { present, _ in present.links[0].mtu = 1300 }
        #expect(mtu.linksToMend.count == 1 && mtu.linksToMake.isEmpty)
        #expect(difference { present, _ in present.links[0].isUp = false }.linksToMend.count == 1)
        #expect(difference { present, _ in present.addresses = [] }.addressesToAdd.count == 1)
        let policy = difference { present, _ in present.policies[1].priority = 6 }
        #expect(policy.policiesToReplace == [Self.policy(.output)] && policy.policiesToAdd.isEmpty)
        let moved = difference { present, _ in present.associations[0].source = .v4(9) }
        #expect(moved.associationsLost.map(\.spi) == [0x1000])
    }

    @Test func whatIsOursAndUnwantedGoes() {
        let rest = difference { _, plan in plan = KernelPlan() }
        #expect(rest.linksToRemove == ["gh0"])
        #expect(rest.policiesToRemove.count == 3)
        #expect(rest.associationsToRemove.map(\.spi).sorted() == [0x1000, 0x1001])
        #expect(rest.associationsLost.isEmpty && rest.policiesToAdd.isEmpty)
    }

    @Test func othersThingsAreInNoList() {
        let outside = difference { present, plan in
            plan = KernelPlan()
            for number: UInt32 in [0, 1, 42, 0x4748_0000, 0x4749_0000, .max] {
                present.links.append(Self.device("vpn\(number)", interfaceID: number))
                present.associations.append(Self.association(0x2000, interfaceID: number))
                present.policies.append(Self.policy(.output, interfaceID: number))
            }
            // A TUN device of that name is not ours either.
            present.links.append(Self.device("gh5", kind: "tun", interfaceID: 0))
        }
        #expect(outside.linksToRemove == ["gh0"])
        #expect(outside.associationsToRemove.count == 2 && outside.policiesToRemove.count == 3)
    }

    @Test func anEarlierRunsGoOnWhileTheyAreInherited() {
        let kept = difference { _, plan in
            plan.associations = [:]
            plan.policies = [:]
            plan.inheriting = [Self.id]
        }
        #expect(kept.isEmpty)
    }

    @Test func anEarlierRunsInterfacesStayWhileTheyMayBeClaimed() {
        let early = difference { _, plan in
            plan.interfaces = [:]
            plan.unclaimed = [Self.id]
        }
        #expect(early.isEmpty)
    }

    @Test func whatIsLeftOfALostChildStaysUntilItsSuccessorIsThere() {
        let half = difference { present, plan in
            present.associations.removeLast()
            plan.leaving = Set(plan.associations.keys)
            plan.associations = [:]
        }
        #expect(half.isEmpty)
    }

    @Test func anInterfaceWithAnotherNumberIsReplaced() {
        let other = difference { present, _ in present.links[0].interfaceID = Self.id + 5 }
        #expect(other.linksToRemove == ["gh0"] && other.linksToMake.count == 1)
    }

    @Test func numbersFollowNames() {
        #expect(KernelOwnership.interfaceID(of: "gh0") == 0x4748_0001)
        #expect(KernelOwnership.interfaceID(of: "gh65534") == 0x4748_FFFF)
        #expect(KernelOwnership.interfaceID(of: "gh65535") == nil)
        #expect(KernelOwnership.interfaceID(of: "gh") == nil)
        #expect(!KernelOwnership.isOurs(0x4748_0000) && KernelOwnership.isOurs(0x4748_FFFF))
    }

    /// Applying the difference to the picture leaves none, whatever was there.
    @Test(arguments: 0..<300)
    func applyingTheDifferenceLeavesNone(_ seed: Int) {
        var generator = SplitMix(state: UInt64(seed))
        func chance(_ of: UInt64 = 2) -> Bool { generator.next() % of == 0 }
        var plan = KernelPlan()
        var present = KernelPicture()
        for number in 0..<6 {
            let name = "gh\(number)"
            let id = KernelOwnership.interfaceID(of: name)!
            if chance() {
                plan.interfaces[name] = KernelPlan.Interface(
                    link: TunnelLink(interface: name, tunnel: name, addresses: chance() ? [Self.inside] : [], mtu: 1400, mss: nil),
                    interfaceID: id)
            }
            if chance() {
                present.links.append(
                    Self.device(
                        name, index: UInt32(number + 1), kind: chance(5) ? "tun" : "xfrm",
                        interfaceID: chance(4) ? 42 : id, mtu: chance() ? 1400 : 1300, isUp: chance()))
            }
            for direction in [KernelPolicy.Direction.input, .output] {
                var policy = Self.policy(direction, interfaceID: id)
                if chance() { plan.policies[policy.id] = policy }
                if chance() { policy.priority = 6 }
                if chance() { present.policies.append(policy) }
            }
            for spi in 0..<2 {
                var association = Self.association(UInt32(0x1000 + number * 2 + spi), interfaceID: id)
                if chance() { plan.associations[association.id] = KernelPlan.Terms(association) }
                if chance() { association.encapsulation = .init(sourcePort: 1, destinationPort: 2) }
                if chance() { present.associations.append(association) }
            }
        }
        let difference = KernelDifference(from: present, to: plan)
        present.links.removeAll { difference.linksToRemove.contains($0.name) }
        for wanted in difference.linksToMake + difference.linksToMend {
            present.links.removeAll { $0.name == wanted.link.interface }
            present.links.append(
                Self.device(
                    wanted.link.interface, index: wanted.interfaceID, interfaceID: wanted.interfaceID,
                    mtu: wanted.link.mtu))
        }
        for (name, wanted) in plan.interfaces {
            let index = present.links.first { $0.name == name }?.index ?? 0
            present.addresses += wanted.link.addresses.map { KernelAddress(address: $0, interface: index) }
        }
        present.policies.removeAll { old in
            difference.policiesToRemove.contains(old.id) || difference.policiesToReplace.contains { $0.id == old.id }
        }
        present.policies += difference.policiesToAdd + difference.policiesToReplace
        present.associations.removeAll { difference.associationsToRemove.contains($0.id) }
        for id in difference.associationsLost { plan.associations[id] = nil }
        present.associations.removeAll { difference.associationsLost.contains($0.id) }
        #expect(KernelDifference(from: present, to: plan).isEmpty)
    }
}
