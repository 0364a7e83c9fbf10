import Base
import CMnl
import Glibc

/// Security associations and policies. For a socket of ``Bus/xfrm``.
extension Netlink {
    // MARK: Associations

    /// Fails with EEXIST when the kernel has one of that destination and SPI, whoever made it.
    public func add(_ association: KernelSA, _ keys: KernelSA.Keys) throws(NetlinkError) {
        try request(
            NetlinkRequest(XFRM_MSG_NEWSA, flags: NLM_F_CREATE | NLM_F_EXCL, association.body(keys), isSecret: true),
            "adding the association \(association.id)")
    }

    /// Changes lifetime and UDP ports of one that is there.
    public func update(_ association: KernelSA, _ keys: KernelSA.Keys) throws(NetlinkError) {
        try request(
            NetlinkRequest(XFRM_MSG_UPDSA, association.body(keys), isSecret: true),
            "updating the association \(association.id)")
    }

    /// False when it was not there.
    @discardableResult
    public func deleteAssociation(_ id: KernelSAID, mark: KernelMark? = nil) throws(NetlinkError) -> Bool {
        var body = NetlinkWriter()
        body.append(id)
        if let mark { body.append(mark) }
        return try removing(NetlinkRequest(XFRM_MSG_DELSA, body), "removing the association \(id)")
    }

    /// One association with its counters and sequence numbers; nil when it is not there.
    public func association(_ id: KernelSAID, mark: KernelMark? = nil) throws(NetlinkError) -> KernelSA? {
        var body = NetlinkWriter()
        body.append(id)
        if let mark { body.append(mark) }
        let operation = { "looking up the association \(id)" }
        do {
            return try ask(NetlinkRequest(XFRM_MSG_GETSA, body), operation())
                .mapAnswers(of: XFRM_MSG_NEWSA, in: self, operation) { (message) throws(NetlinkMalformed) in
                    try KernelSA(message.body)
                }.first
        } catch let error where error.isNotFound {
            return nil
        }
    }

    /// The same with its keys, as the kernel gives them to who may administer it; nil when it is not there.
    func associationWithKeys(_ id: KernelSAID) throws(NetlinkError) -> KeyedSA? {
        var body = NetlinkWriter()
        body.append(id)
        let operation = { "looking up the association \(id)" }
        do {
            for message in try ask(NetlinkRequest(XFRM_MSG_GETSA, body), operation())
            where message.type == UInt16(XFRM_MSG_NEWSA) {
                return try read(operation) { () throws(NetlinkMalformed) in
                    guard let association = try KernelSA(message.body),
                        let keys = try KernelSA.Keys(message.body)
                    else { return nil }
                    return KeyedSA(association: association, keys: keys)
                }
            }
            return nil
        } catch let error where error.isNotFound {
            return nil
        }
    }

    /// What has passed through every association, whoever made it: as ``associations()``, of which it reads no more.
    func associationUses() throws(NetlinkError) -> [KernelSAUse] {
        let operation = { "reading the IPsec counters" }
        var body = NetlinkWriter()
        body.attribute(XFRMA_PROTO.rawValue, value: XFRM.esp)
        return try dump(NetlinkRequest(XFRM_MSG_GETSA, body), operation()).associationUses(self, operation)
    }

    /// Every ESP tunnel association, whoever made it.
    public func associations() throws(NetlinkError) -> [KernelSA] {
        let operation = { "listing the IPsec associations" }
        var body = NetlinkWriter()
        body.attribute(XFRMA_PROTO.rawValue, value: XFRM.esp)
        return try dump(NetlinkRequest(XFRM_MSG_GETSA, body), operation())
            .mapAnswers(of: XFRM_MSG_NEWSA, in: self, operation) { (message) throws(NetlinkMalformed) in
                try KernelSA(message.body)
            }
    }

    // MARK: Policies

    /// Every IPsec policy, whoever made it, save those of single sockets.
    public func policies() throws(NetlinkError) -> [KernelPolicy] {
        let operation = { "listing the IPsec policies" }
        return try dump(NetlinkRequest(XFRM_MSG_GETPOLICY, NetlinkWriter()), operation())
            .mapAnswers(of: XFRM_MSG_NEWPOLICY, in: self, operation) { (message) throws(NetlinkMalformed) in
                try KernelPolicy(message.body)
            }
    }

    /// Nil when it is not there.
    public func policy(_ id: KernelPolicy.ID) throws(NetlinkError) -> KernelPolicy? {
        var body = NetlinkWriter()
        body.append(id)
        let operation = { "looking up the policy \(id)" }
        do {
            return try ask(NetlinkRequest(XFRM_MSG_GETPOLICY, body), operation())
                .mapAnswers(of: XFRM_MSG_NEWPOLICY, in: self, operation) { (message) throws(NetlinkMalformed) in
                    try KernelPolicy(message.body)
                }.first
        } catch let error where error.isNotFound {
            return nil
        }
    }

    /// Fails with EEXIST when the kernel has one with the same ``KernelPolicy/id``.
    public func addPolicy(_ policy: KernelPolicy) throws(NetlinkError) {
        try request(
            NetlinkRequest(XFRM_MSG_NEWPOLICY, flags: NLM_F_CREATE | NLM_F_EXCL, policy.body),
            "adding the policy \(policy.id)")
    }

    /// Puts `policy` in the place of the one with its ``KernelPolicy/id``, in one step; adds it if there is none.
    public func replacePolicy(_ policy: KernelPolicy) throws(NetlinkError) {
        try request(NetlinkRequest(XFRM_MSG_UPDPOLICY, policy.body), "replacing the policy \(policy.id)")
    }

    /// False when it was not there.
    @discardableResult
    public func deletePolicy(_ id: KernelPolicy.ID) throws(NetlinkError) -> Bool {
        var body = NetlinkWriter()
        body.append(id)
        return try removing(NetlinkRequest(XFRM_MSG_DELPOLICY, body), "removing the policy \(id)")
    }

    private func removing(
        _ message: NetlinkRequest, _ operation: @autoclosure () -> String
    ) throws(NetlinkError) -> Bool {
        do {
            try request(message, operation())
            return true
        } catch let error where error.isNotFound {
            return false
        }
    }
}

/// An association and its keys.
struct KeyedSA: Sendable {
    var association: KernelSA
    var keys: KernelSA.Keys
}

/// The counters of one association.
struct KernelSAUse: Hashable, Sendable {
    var id: KernelSAID
    var use: KernelSA.Use
}

extension [NetlinkMessage] {
    func associationUses(_ netlink: Netlink, _ operation: () -> String) throws(NetlinkError) -> [KernelSAUse] {
        try mapAnswers(of: XFRM_MSG_NEWSA, in: netlink, operation) { (message) throws(NetlinkMalformed) in
            guard message.body.count >= XFRM.stateSize else {
                throw NetlinkMalformed(reason: "an association message of \(message.body.count) bytes")
            }
            guard
                let family = IPAddress.Family(
                    number: UInt8(truncatingIfNeeded: message.body.host(UInt16.self, at: 212)))
            else { return nil }
            let id = KernelSAID(
                destination: message.body.address(family, at: 56),
                spi: UInt32(bigEndian: message.body.host(UInt32.self, at: 72)))
            return KernelSAUse(id: id, use: KernelSA.Use(message.body))
        }
    }
}

extension KernelPolicy.ID: CustomStringConvertible {
    public var description: String {
        "\(selector.source) to \(selector.destination) (\(direction)\(interfaceID == 0 ? "" : ", interface 0x\(String(interfaceID, radix: 16))"))"
    }
}
