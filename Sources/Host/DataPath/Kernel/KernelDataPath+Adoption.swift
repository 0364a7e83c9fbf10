import Base
import CMnl
import IKE
import Tunnels

/// Taking over what an earlier process left, and putting right what someone else changed.
extension KernelDataPath {
    /// What the kernel holds now.
    func picture() throws(NetlinkError) -> KernelPicture {
        KernelPicture(
            links: try route.links(), addresses: try route.addresses(), associations: try xfrm.keyedAssociations(),
            policies: try xfrm.policies())
    }

    /// The tunnels that an earlier process left an interface for: names by interface.
    public func inheritance() -> [String: String] {
        guard let links = try? route.links() else { return [:] }
        var names: [String: String] = [:]
        let prefix = Self.alias("")
        for link in links where link.kind == KernelLink.xfrmKind && KernelOwnership.isOurs(link.interfaceID) {
            guard let alias = link.alias, alias.hasPrefix(prefix),
                KernelOwnership.interfaceID(of: link.name) == link.interfaceID
            else { continue }
            names[link.name] = String(alias.dropFirst(prefix.count))
        }
        return names
    }

    public func inherit() async -> [String: String] {
        let names = inheritance()
        // What an earlier process set up goes on carrying packets until it is replaced or nobody claims it.
        book.inheriting = Set(names.keys.compactMap(KernelOwnership.interfaceID))
        book.unclaimed = book.inheriting
        return names
    }

    public func adopt(_ children: [KeptChild]) async -> Set<UInt32> {
        guard !children.isEmpty, let present = try? xfrm.keyedAssociations(), let policies = try? xfrm.policies() else {
            return []
        }
        let there = Dictionary(present.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        let known = Dictionary(policies.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        var adopted: Set<UInt32> = []
        for kept in children {
            guard let interfaceID = KernelOwnership.interfaceID(of: kept.interface),
                var plan = try? ChildPlan(
                    kept.child, interface: kept.interface, interfaceID: interfaceID, now: SystemClock().now),
                kept.usesOutbound, isRight(plan.inbound, there), isRight(plan.outbound, there)
            else { continue }
            plan.waitingKeys = nil
            let spiIn = plan.spiIn
            var child = KernelBook.Child(plan: plan)
            child.hasOutbound = true
            book.add(child)
            do {
                for policy in book.hold(plan.inboundPolicies + plan.outboundPolicies, by: spiIn)
                where known[policy.id] != policy {
                    try xfrm.replacePolicy(policy)
                }
                adopted.insert(spiIn)
                // The kernel does not say it twice, and nobody was there to hear it.
                if [plan.inbound.id, plan.outbound.id].contains(where: { there[$0]?.isNearItsEnd == true }) {
                    tell(.exhausted(spiIn: spiIn))
                }
                // What else stands on this interface is of no use any more.
                book.inheriting.remove(interfaceID)
            } catch {
                await remove(spiIn: spiIn)
            }
        }
        return adopted
    }

    private func isRight(_ wanted: KernelSA, _ there: [KernelSAID: KernelSA]) -> Bool {
        there[wanted.id].map { KernelPlan.Terms($0) == KernelPlan.Terms(wanted) } ?? false
    }

    /// How long what an earlier process left may wait for its successor.
    private static let patience = Duration.seconds(45)
    /// How long replaced inbound associations still take what was on its way.
    private static let linger = Duration.seconds(5)

    public func settle() async {
        let claimed = Set(book.tunnels.values.map(\.interfaceID))
        book.inheriting.formIntersection(claimed)
        book.unclaimed = []
        do {
            try apply(KernelDifference(from: try picture(), to: book.plan), nil)
        } catch {
            tell(.troubled("what an earlier run left could not be removed: \(error)"))
        }
        guard !book.inheriting.isEmpty else { return }
        Task { [weak self] in
            guard (try? await Task.sleep(for: Self.patience)) != nil else { return }
            await self?.endInheritance()
        }
    }

    private func endInheritance() { forgetInherited(on: book.inheriting) }

    /// The successor sends: what an earlier process used goes a little later, for what is still coming in.
    func replaceInherited(on interfaceID: UInt32) {
        let isFirst = book.released.isEmpty
        guard book.released.insert(interfaceID).inserted, isFirst else { return }
        Task { [weak self] in
            guard (try? await Task.sleep(for: Self.linger)) != nil else { return }
            await self?.forgetReleased()
        }
    }

    private func forgetReleased() {
        let released = book.released
        book.released = []
        forgetInherited(on: released)
    }

    /// Removes what an earlier process left on interfaces and nobody took over.
    func forgetInherited(on interfaceIDs: Set<UInt32>) {
        let interfaceIDs = interfaceIDs.intersection(book.inheriting)
        guard !interfaceIDs.isEmpty else { return }
        book.inheriting.subtract(interfaceIDs)
        attempt { () throws(NetlinkError) in
            let difference = KernelDifference(from: try picture(), to: book.plan)
            for id in difference.policiesToRemove { try xfrm.deletePolicy(id) }
            for id in difference.associationsToRemove { try xfrm.deleteAssociation(id) }
        }
    }

    /// Does what a comparison found.
    ///
    /// - Parameter cause: why there was one, for the log; nil at the start, when differences are expected.
    func apply(_ difference: KernelDifference, _ cause: String?) throws(NetlinkError) {
        // First, since it cannot fail: what can must not keep new keys from being negotiated.
        for spiIn in Set(difference.associationsLost.compactMap { book.owner(of: $0) }).sorted() {
            lost(spiIn, cause ?? "it was not in the kernel")
        }
        for name in difference.linksToRemove { try route.deleteLink(name) }
        for wanted in difference.linksToMake + difference.linksToMend {
            let name = wanted.link.interface
            do {
                book.setIndex(try makeLink(wanted.link, wanted.interfaceID, removingOthers: false), of: name)
                tell(
                    .mended(
                        interface: name, "the interface \(name) was changed or removed by someone else and is restored"))
            } catch {
                tell(.tunnelLost(interface: name, reason: "\(error)"))
            }
        }
        for policy in difference.policiesToAdd + difference.policiesToReplace { try xfrm.replacePolicy(policy) }
        for id in difference.policiesToRemove { try xfrm.deletePolicy(id) }
        for id in difference.associationsToRemove { try xfrm.deleteAssociation(id) }
        if let cause, !difference.policiesToAdd.isEmpty || !difference.policiesToReplace.isEmpty {
            let count = difference.policiesToAdd.count + difference.policiesToReplace.count
            tell(.mended(interface: "", "\(cause): \(count) policies are restored"))
        }
        let surplus = difference.policiesToRemove.count + difference.associationsToRemove.count
        if let cause, surplus > 0 {
            tell(.mended(interface: "", "\(cause): \(surplus) policies or associations with our numbers are removed"))
        }
    }
}

extension Netlink {
    /// The associations that can carry packets, whoever made them. Where a packet has found none, the kernel keeps its
    /// place for a while if some program asks to be told of that, and lists it among the others; it has no keys.
    func keyedAssociations() throws(NetlinkError) -> [KernelSA] {
        let operation = { "listing the IPsec associations" }
        var body = NetlinkWriter()
        body.attribute(XFRMA_PROTO.rawValue, value: XFRM.esp)
        return try dump(NetlinkRequest(XFRM_MSG_GETSA, body), operation())
            .mapAnswers(of: XFRM_MSG_NEWSA, in: self, operation) { (message) throws(NetlinkMalformed) -> KernelSA? in
                guard let association = try KernelSA(message.body) else { return nil }
                let attributes = try NetlinkAttributes(message.body.dropFirst(XFRM.stateSize))
                let hasKeys =
                    attributes[XFRMA_ALG_AEAD.rawValue] != nil || attributes[XFRMA_ALG_CRYPT.rawValue] != nil
                return hasKeys ? association : nil
            }
    }
}
