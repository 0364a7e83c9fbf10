public import Base
import CMnl
import Glibc

/// What the kernel says about IPsec, unasked.
public enum IPsecEvent: Hashable, Sendable {
    /// A packet matched a policy whose association is missing. Told to those who ask for it; see ``IPsecWatcher``.
    case acquire(source: IPAddress, destination: IPAddress, requestID: UInt32, policy: KernelPolicy?)
    /// A limit was reached: soft to renew in time, hard when it has gone.
    case expired(KernelSA, isHard: Bool)
    case associationAdded(KernelSA)
    case associationRemoved(KernelSAID)
    /// All of a protocol went at once.
    case associationsFlushed
    case policyAdded(KernelPolicy)
    case policyRemoved(KernelPolicy)
    case policyExpired(KernelPolicy, isHard: Bool)
    case policiesFlushed
    /// An authentic packet of an association came from another address or port.
    case moved(KernelSAID, requestID: UInt32, address: IPAddress, port: UInt16)
    /// Addresses of a policy's template were changed by someone (XFRM_MSG_MIGRATE).
    case migrated(KernelSelector?)
    /// A packet broke a protocol's rules (Mobile IPv6).
    case report(ipProtocol: UInt8, KernelSelector?)
    /// Events came faster than they were read and some are lost: compare with a dump.
    case overrun
    /// The socket failed and nothing more will come.
    case failed(NetlinkError)

    init?(_ message: NetlinkMessage) throws(NetlinkMalformed) {
        let body = message.body
        func need(_ count: Int) throws(NetlinkMalformed) {
            guard body.count >= count else {
                throw NetlinkMalformed(reason: "an IPsec event \(message.type) of \(body.count) bytes")
            }
        }
        func value<Value>(_ value: Value?, _ make: (Value) -> IPsecEvent) -> IPsecEvent? { value.map(make) }
        var event: IPsecEvent?
        switch Int(message.type) {
        case XFRM_MSG_ACQUIRE:
            try need(280)
            guard let family = IPAddress.Family(number: UInt8(truncatingIfNeeded: body.host(UInt16.self, at: 136)))
            else { return nil }
            let template = try NetlinkAttributes(body.dropFirst(280))[XFRMA_TMPL.rawValue]?.bytes
            let requestID = template.map { $0.count >= XFRM.templateSize ? $0.host(UInt32.self, at: 44) : 0 } ?? 0
            event = .acquire(
                source: body.address(family, at: 24), destination: body.address(family, at: 0), requestID: requestID,
                policy: try KernelPolicy(body.dropFirst(96)[...].prefix(XFRM.policySize)))
        case XFRM_MSG_EXPIRE:
            try need(XFRM.stateSize + 8)
            let isHard = body.host(UInt8.self, at: XFRM.stateSize) != 0
            // The attributes stand behind the verdict, not behind the association.
            let rest = body.prefix(XFRM.stateSize) + body.dropFirst(XFRM.stateSize + 8)
            event = value(try KernelSA(rest)) { .expired($0, isHard: isHard) }
        case XFRM_MSG_NEWSA, XFRM_MSG_UPDSA:
            event = value(try KernelSA(body), IPsecEvent.associationAdded)
        case XFRM_MSG_DELSA:
            try need(XFRM.stateIDSize)
            event = value(body.associationID(at: 0), IPsecEvent.associationRemoved)
        case XFRM_MSG_FLUSHSA: event = .associationsFlushed
        case XFRM_MSG_NEWPOLICY, XFRM_MSG_UPDPOLICY:
            event = value(try KernelPolicy(body), IPsecEvent.policyAdded)
        case XFRM_MSG_DELPOLICY:
            try need(XFRM.policyIDSize)
            event = value(try Self.removedPolicy(body), IPsecEvent.policyRemoved)
        case XFRM_MSG_POLEXPIRE:
            try need(XFRM.policySize + 8)
            let isHard = body.host(UInt8.self, at: XFRM.policySize) != 0
            let rest = body.prefix(XFRM.policySize) + body.dropFirst(XFRM.policySize + 8)
            event = value(try KernelPolicy(rest)) { .policyExpired($0, isHard: isHard) }
        case XFRM_MSG_FLUSHPOLICY: event = .policiesFlushed
        case XFRM_MSG_MAPPING:
            try need(64)
            event = body.associationID(at: 0).map { id in
                .moved(
                    id, requestID: body.host(UInt32.self, at: 24),
                    address: body.address(id.destination.family, at: 44),
                    port: UInt16(bigEndian: body.host(UInt16.self, at: 62)))
            }
        case XFRM_MSG_MIGRATE:
            try need(56)
            event = .migrated(try body.selector(at: 0))
        case XFRM_MSG_REPORT:
            try need(60)
            event = .report(ipProtocol: body.host(UInt8.self, at: 0), try body.selector(at: 4))
        default: break
        }
        guard let event else { return nil }
        self = event
    }

    /// The policy itself travels in an attribute, beside the attributes that belong to it.
    private static func removedPolicy(_ body: ArraySlice<UInt8>) throws(NetlinkMalformed) -> KernelPolicy? {
        let rest = body.dropFirst(XFRM.policyIDSize)
        guard let info = try NetlinkAttributes(rest)[XFRMA_POLICY.rawValue]?.bytes, info.count >= XFRM.policySize else {
            return nil
        }
        return try KernelPolicy(Array(info.prefix(XFRM.policySize) + rest)[...])
    }
}

/// Listens to what happens to IPsec associations and policies.
///
/// It stops when it is released or ``stop()`` is called; the stream then ends.
public final class IPsecWatcher: Sendable {
    /// What happened, in order, for one reader; see ``KernelWatcher/events``.
    public let events: AsyncStream<IPsecEvent>
    private let feed: NetlinkFeed<IPsecEvent>

    /// - Parameters:
    ///   - netlink: the socket that our own changes go through, of which nothing is told.
    ///   - hearsAcquires: has packets told that found no association. While anyone listens to those, the kernel keeps the
    ///     place of the association for whoever is to make it, so that ``Netlink/add(_:_:)`` finds it taken.
    public init(
        besides netlink: Netlink? = nil, in namespace: NetworkNamespace? = nil, hearsAcquires: Bool = false
    ) throws(NetlinkError) {
        var groups = [
            XFRMNLGRP_EXPIRE, XFRMNLGRP_SA, XFRMNLGRP_POLICY, XFRMNLGRP_REPORT, XFRMNLGRP_MIGRATE, XFRMNLGRP_MAPPING,
        ].map(\.rawValue)
        if hearsAcquires { groups.append(XFRMNLGRP_ACQUIRE.rawValue) }
        let own = netlink?.port
        feed = try NetlinkFeed(
            .xfrm, groups: groups, in: namespace, overrun: .overrun, failed: IPsecEvent.failed
        ) { (message) throws(NetlinkMalformed) in
            guard own == nil || message.port != own else { return nil }
            return try IPsecEvent(message)
        }
        events = feed.events
    }

    /// Ends the stream.
    public func stop() { feed.stop() }
}
