import Dispatch
import Synchronization

/// What the kernel sends to multicast groups, as a stream of events.
///
/// It stops when it is released or ``stop()`` is called; the stream then ends.
final class NetlinkFeed<Event: Sendable>: Sendable {
    /// What happened, in order, for one reader. Only so many events wait; beyond that they are lost, which the overrun
    /// event tells.
    let events: AsyncStream<Event>
    // Proof of Sendable: a dispatch source may be cancelled from any thread, and nothing else is done with it.
    private nonisolated(unsafe) let source: any DispatchSourceRead

    /// - Parameters:
    ///   - limit: how many events wait at most for the reader.
    ///   - overrun: told when the kernel or we had to drop something.
    ///   - failed: makes the event that tells that nothing more will come.
    ///   - read: makes an event of a message; nil passes it over.
    init(
        _ bus: Netlink.Bus, groups: [UInt32], in namespace: NetworkNamespace?, limit: Int = 4096, overrun: Event,
        failed: @escaping @Sendable (NetlinkError) -> Event,
        read: @escaping @Sendable (NetlinkMessage) throws(NetlinkMalformed) -> Event?
    ) throws(NetlinkError) {
        let queue = DispatchQueue(label: "gatehouse.netlink-feed")
        let reader = Reader(
            socket: try NetlinkSocket.open(bus, groups: groups, in: namespace), queue: queue, overrun: overrun,
            failed: failed, read: read)
        let (stream, continuation) = AsyncStream.makeStream(of: Event.self, bufferingPolicy: .bufferingOldest(limit))
        events = stream
        let source = DispatchSource.makeReadSource(
            fileDescriptor: reader.socket.descriptor, queue: queue)
        source.setEventHandler { if !reader.read(into: continuation) { source.cancel() } }
        // The reader, and with it the socket, lives in this closure until the source has let go of the descriptor.
        source.setCancelHandler { withExtendedLifetime(reader) { continuation.finish() } }
        self.source = source
        source.activate()
    }

    deinit { source.cancel() }

    func stop() { source.cancel() }

    /// The socket and what is left to tell. Used on the source's queue alone.
    private final class Reader: Sendable {
        let socket: NetlinkSocket
        private let queue: DispatchQueue
        private let overrun: Event
        private let failed: @Sendable (NetlinkError) -> Event
        private let makeEvent: @Sendable (NetlinkMessage) throws(NetlinkMalformed) -> Event?
        /// Events are lost and the reader does not know it yet.
        private let hasLost = Atomic(false)

        init(
            socket: consuming NetlinkSocket, queue: DispatchQueue, overrun: Event,
            failed: @escaping @Sendable (NetlinkError) -> Event,
            read: @escaping @Sendable (NetlinkMessage) throws(NetlinkMalformed) -> Event?
        ) {
            self.socket = socket
            self.queue = queue
            self.overrun = overrun
            self.failed = failed
            makeEvent = read
        }

        /// Reads what is there. False when the socket is of no more use.
        func read(into continuation: AsyncStream<Event>.Continuation) -> Bool {
            let operation = { "listening to the kernel's changes" }
            while true {
                do throws(NetlinkError) {
                    switch try socket.receiveNow(operation) {
                    case .nothing: return true
                    case .overrun: put(overrun, into: continuation)
                    case .messages(let messages):
                        for message in messages {
                            do throws(NetlinkMalformed) {
                                if let event = try makeEvent(message) { put(event, into: continuation) }
                            } catch {
                                // One message that we cannot read is one change that we do not know.
                                put(overrun, into: continuation)
                            }
                        }
                    }
                } catch  where error.kind == .unreadable {
                    put(overrun, into: continuation)
                } catch {
                    put(failed(error), into: continuation)
                    return false
                }
            }
        }

        private func put(_ event: Event, into continuation: AsyncStream<Event>.Continuation) {
            if hasLost.load(ordering: .relaxed) {
                guard case .enqueued = continuation.yield(overrun) else { return }
                hasLost.store(false, ordering: .relaxed)
            }
            guard case .dropped = continuation.yield(event) else { return }
            hasLost.store(true, ordering: .relaxed)
            tellLater(continuation)
        }

        /// Where nothing more comes, no event brings the news along.
        private func tellLater(_ continuation: AsyncStream<Event>.Continuation) {
            queue.asyncAfter(deadline: .now() + .seconds(1)) { [self] in
                guard hasLost.load(ordering: .relaxed) else { return }
                switch continuation.yield(overrun) {
                case .enqueued: hasLost.store(false, ordering: .relaxed)
                case .dropped: tellLater(continuation)
                default: break
                }
            }
        }
    }
}
