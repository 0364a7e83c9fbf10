import Synchronization

/// What the gateway's one loop has yet to handle, in order of arrival.
///
/// Anyone may put messages in, from any thread; one loop takes them out in batches. Datagrams are
/// bounded, since strangers send them: past the bound the newest are dropped, as a full socket buffer
/// would. Everything else comes from ourselves and is always kept.
final class Inbox<Message: Sendable>: Sendable {
    private struct State {
        var messages: [Message] = []
        var datagrams = 0
        var dropped: UInt64 = 0
        var isClosed = false
    }

    private let state = Mutex(State())
    private let datagramLimit: Int
    private let signal: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    init(datagramLimit: Int = 8192) {
        self.datagramLimit = datagramLimit
        // One pending signal is enough: the loop takes all messages each time.
        (signal, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// False when the inbox is closed and the message was not taken.
    @discardableResult
    func put(_ message: Message) -> Bool {
        let taken = state.withLock { state in
            guard !state.isClosed else { return false }
            state.messages.append(message)
            return true
        }
        if taken { continuation.yield() }
        return taken
    }

    func putDatagram(_ message: Message) {
        let taken = state.withLock { state in
            guard !state.isClosed, state.datagrams < datagramLimit else {
                state.dropped += 1
                return false
            }
            state.messages.append(message)
            state.datagrams += 1
            return true
        }
        if taken { continuation.yield() }
    }

    /// Datagrams that were dropped because the loop was behind.
    var dropped: UInt64 { state.withLock { $0.dropped } }

    /// Refuses further messages; what is in it is still handed out, then ``next()`` returns nil.
    func close() {
        state.withLock { $0.isClosed = true }
        continuation.yield()
        continuation.finish()
    }

    /// All that has come in, at least one message; nil once the inbox is closed and empty. For the one loop only.
    func next() async -> [Message]? {
        while true {
            let (batch, isClosed) = state.withLock { state in
                var batch: [Message] = []
                swap(&batch, &state.messages)
                state.datagrams = 0
                return (batch, state.isClosed)
            }
            if !batch.isEmpty { return batch }
            if isClosed { return nil }
            var iterator = signal.makeAsyncIterator()
            _ = await iterator.next()
        }
    }
}
