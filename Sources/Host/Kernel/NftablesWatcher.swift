import Base
import CMnl
import Dispatch
import Glibc

/// Tells when someone else has changed nftables.
///
/// The kernel numbers the states of its tables; each transaction that makes a new one is told with the address on the bus
/// of whoever made it. Everything else that is told of a transaction, such as each of its elements, is dropped before it
/// reaches us.
public final class NftablesWatcher: Sendable {
    /// One for each time that something may have changed. For one reader; of many changes in a row some may be told once.
    public let changes: AsyncStream<Void>
    // Proof of Sendable: a dispatch source may be cancelled from any thread, and nothing else is done with it.
    private nonisolated(unsafe) let reader: any DispatchSourceRead

    /// Listens from now on. Transactions from the address `own` are not told.
    public init(ignoring own: UInt32, in namespace: NetworkNamespace? = nil) throws(NetlinkError) {
        let socket = try NetlinkSocket.open(.netfilter, groups: [NFNLGRP_NFTABLES.rawValue], in: namespace)
        try socket.keepOnly(type: UInt16(NFNL_SUBSYS_NFTABLES) << 8 | UInt16(NFT_MSG_NEWGEN.rawValue))
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        changes = stream
        let feed = Feed(socket: socket, own: own)
        let source = DispatchSource.makeReadSource(
            fileDescriptor: feed.socket.descriptor, queue: DispatchQueue(label: "gatehouse.nftables-watcher"))
        source.setEventHandler { if !feed.read(into: continuation) { source.cancel() } }
        // The feed, and with it the socket, lives in this closure until the source has let go of the descriptor.
        source.setCancelHandler { withExtendedLifetime(feed) { continuation.finish() } }
        reader = source
        source.activate()
    }

    deinit { reader.cancel() }

    /// Ends the stream.
    public func stop() { reader.cancel() }

    /// Used on the reader's queue alone.
    private final class Feed: Sendable {
        let socket: NetlinkSocket
        let own: UInt32

        init(socket: consuming NetlinkSocket, own: UInt32) {
            self.socket = socket
            self.own = own
        }

        /// Reads what is there. False when the socket is of no more use.
        func read(into continuation: AsyncStream<Void>.Continuation) -> Bool {
            while true {
                do throws(NetlinkError) {
                    switch try socket.receiveNow({ "listening to changes of nftables" }) {
                    case .nothing: return true
                    case .overrun: continuation.yield()
                    case .messages(let messages): if messages.contains(where: { $0.port != own }) { continuation.yield() }
                    }
                } catch  where error.kind == .unreadable {
                    continuation.yield()
                } catch {
                    continuation.yield()
                    return false
                }
            }
        }
    }
}
