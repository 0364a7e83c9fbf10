import Base
import CMnl
import Dispatch
import Glibc
import Synchronization

/// A change of the kernel's network state, by whomever.
public enum KernelEvent: Hashable, Sendable {
    /// New, or changed in any way.
    case link(KernelLink)
    case linkRemoved(KernelLink)
    case address(KernelAddress)
    case addressRemoved(KernelAddress)
    case route(KernelRoute)
    case routeRemoved(KernelRoute)
    /// Changes came faster than they were read and some are lost: compare with a dump.
    case overrun
    /// The socket failed and nothing more will come.
    case failed(NetlinkError)

    init?(_ message: NetlinkMessage) throws(NetlinkMalformed) {
        func value<Value>(_ value: Value?, _ make: (Value) -> KernelEvent) -> KernelEvent? { value.map(make) }
        let event: KernelEvent? =
            switch Int(message.type) {
            case RTM_NEWLINK: .link(try KernelLink(message))
            case RTM_DELLINK: .linkRemoved(try KernelLink(message))
            case RTM_NEWADDR: value(try KernelAddress(message), KernelEvent.address)
            case RTM_DELADDR: value(try KernelAddress(message), KernelEvent.addressRemoved)
            case RTM_NEWROUTE: value(try KernelRoute(message), KernelEvent.route)
            case RTM_DELROUTE: value(try KernelRoute(message), KernelEvent.routeRemoved)
            default: nil
            }
        guard let event else { return nil }
        self = event
    }
}

/// Listens to what changes in links, addresses and routes, our own changes included.
///
/// It stops when it is released or ``stop()`` is called; the stream then ends.
public final class KernelWatcher: Sendable {
    /// What happened, in order. For one reader. At most 4,096 events wait; beyond that they are lost, which
    /// ``KernelEvent/overrun`` tells.
    public let events: AsyncStream<KernelEvent>
    // Proof of Sendable: a dispatch source may be cancelled from any thread, and nothing else is done with it.
    private nonisolated(unsafe) let reader: any DispatchSourceRead

    /// Listens from now on, in the caller's network namespace or in another one.
    public init(in namespace: NetworkNamespace? = nil) throws(NetlinkError) {
        let groups = [
            RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
        ].map(\.rawValue)
        let feed = Feed(socket: try NetlinkSocket.open(.route, groups: groups, in: namespace))
        let (stream, continuation) = AsyncStream.makeStream(
            of: KernelEvent.self, bufferingPolicy: .bufferingOldest(4096))
        events = stream
        let source = DispatchSource.makeReadSource(
            fileDescriptor: feed.socket.descriptor, queue: DispatchQueue(label: "gatehouse.kernel-watcher"))
        source.setEventHandler { if !feed.read(into: continuation) { source.cancel() } }
        // The feed, and with it the socket, lives in this closure until the source has let go of the descriptor.
        source.setCancelHandler { withExtendedLifetime(feed) { continuation.finish() } }
        reader = source
        source.activate()
    }

    deinit { reader.cancel() }

    /// Ends the stream.
    public func stop() { reader.cancel() }

    /// The socket and what is left to tell. Used on the reader's queue alone.
    private final class Feed: Sendable {
        let socket: NetlinkSocket
        /// Events are lost and the reader does not know it yet.
        private let hasLost = Atomic(false)

        init(socket: consuming NetlinkSocket) { self.socket = socket }

        /// Reads what is there. False when the socket is of no more use.
        func read(into continuation: AsyncStream<KernelEvent>.Continuation) -> Bool {
            let operation = { "listening to the kernel's changes" }
            while true {
                do throws(NetlinkError) {
                    switch try socket.receiveNow(operation) {
                    case .nothing: return true
                    case .overrun: put(.overrun, into: continuation)
                    case .messages(let messages):
                        for message in messages {
                            do throws(NetlinkMalformed) {
                                if let event = try KernelEvent(message) { put(event, into: continuation) }
                            } catch {
                                // One message that we cannot read is one change that we do not know.
                                put(.overrun, into: continuation)
                            }
                        }
                    }
                } catch  where error.kind == .unreadable {
                    put(.overrun, into: continuation)
                } catch {
                    put(.failed(error), into: continuation)
                    return false
                }
            }
        }

        private func put(_ event: KernelEvent, into continuation: AsyncStream<KernelEvent>.Continuation) {
            if hasLost.load(ordering: .relaxed) {
                guard case .enqueued = continuation.yield(.overrun) else { return }
                hasLost.store(false, ordering: .relaxed)
            }
            if case .dropped = continuation.yield(event) { hasLost.store(true, ordering: .relaxed) }
        }
    }
}
