import Base
import Synchronization

/// What the gateway's one loop has yet to handle.
///
/// Anyone may put messages in, from any thread; one loop takes them out in batches. What comes from ourselves is always
/// kept. Datagrams are bounded, since strangers send them: past the bound the newest are dropped, as a full socket buffer
/// would. So that nobody crowds others out, no sender has more than a part of the room, and first messages of strangers
/// wait in a line of their own, of which each batch takes a few: however many there are, established peers are heard
/// at once.
final class Inbox<Message: Sendable>: Sendable {
    /// How much may wait, and how much of it goes into one batch.
    struct Limits: Sendable {
        var datagrams = 8192
        /// Of one address and port.
        var datagramsOfOne = 512
        var firstContacts = 2048
        var firstContactsInBatch = 64
    }

    private struct State {
        /// In order of arrival.
        var messages: [Message] = []
        var datagrams = 0
        var perSender: [Endpoint: Int] = [:]
        var firstContacts = Line<Message>()
        var dropped: UInt64 = 0
        var isClosed = false
    }

    private let state = Mutex(State())
    private let limits: Limits
    private let signal: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    init(limits: Limits = Limits()) {
        self.limits = limits
        // One pending signal is enough: the loop takes what it can each time.
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

    /// Takes a datagram in, if there is room.
    func putDatagram(_ message: Message, from sender: Endpoint, isFirstContact: Bool) {
        let taken = state.withLock { state in
            guard !state.isClosed, hasRoom(state, sender, isFirstContact) else {
                state.dropped += 1
                return false
            }
            if isFirstContact {
                state.firstContacts.append(message)
            } else {
                state.messages.append(message)
                state.datagrams += 1
                state.perSender[sender, default: 0] += 1
            }
            return true
        }
        if taken { continuation.yield() }
    }

    private func hasRoom(_ state: State, _ sender: Endpoint, _ isFirstContact: Bool) -> Bool {
        if isFirstContact { return state.firstContacts.count < limits.firstContacts }
        return state.datagrams < limits.datagrams && state.perSender[sender] ?? 0 < limits.datagramsOfOne
    }

    /// Datagrams that were dropped because the loop was behind.
    var dropped: UInt64 { state.withLock { $0.dropped } }

    /// Refuses further messages; what is in it is still handed out, then ``next()`` returns nil.
    func close() {
        state.withLock { $0.isClosed = true }
        continuation.yield()
        continuation.finish()
    }

    /// All that has come in but for first contacts, and some of those, at least one message; nil once the inbox is closed
    /// and empty. For the one loop only.
    func next() async -> [Message]? {
        while true {
            let (batch, isClosed) = state.withLock { state in
                var batch: [Message] = []
                swap(&batch, &state.messages)
                state.datagrams = 0
                state.perSender.removeAll(keepingCapacity: true)
                batch += state.firstContacts.take(limits.firstContactsInBatch)
                return (batch, state.isClosed)
            }
            if !batch.isEmpty { return batch }
            if isClosed { return nil }
            var iterator = signal.makeAsyncIterator()
            _ = await iterator.next()
        }
    }
}

/// First in, first out; taking is cheap however long it is.
private struct Line<Element> {
    private var elements: [Element] = []
    private var head = 0

    var count: Int { elements.count - head }

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func take(_ most: Int) -> ArraySlice<Element> {
        let taken = elements[head..<min(head + most, elements.count)]
        head += taken.count
        guard head == elements.count || head > 4096 else { return taken }
        elements.removeFirst(head)
        head = 0
        return taken
    }
}
