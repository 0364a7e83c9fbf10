import Base

/// IKE fragmentation (RFC 7383): large encrypted messages travel in several datagrams that no router has to cut.
///
/// Both sides say in IKE_SA_INIT that they can; from then on each encrypts its large messages in parts, each part
/// authenticated by itself. What we keep of an unfinished message is bounded, and never sized by what the peer claims.

/// The parts of one message that have come so far. Every one of them has authenticated.
struct Reassembly: Sendable, Codable {
    /// Fragments of one message that we take or make.
    static let mostFragments = 64
    /// Content of one message from a peer that has proven who it is, and from one that has not.
    static let mostBytes = 65_536
    static let mostHalfOpenBytes = 32_768
    /// What keeping a part costs beside its bytes.
    static let partCost = 96
    static let patience = Tick.Span.seconds(30)

    var messageID: UInt32
    var isResponse: Bool
    var total: UInt16
    var parts: [UInt16: [UInt8]] = [:]
    var cost = 0
    /// Of fragment 1: the type of the first payload, and the tag by which a repetition is known.
    var first: UInt8 = 0
    var tag: UInt64 = 0
    var expiresAt: Tick

    var isComplete: Bool { parts.count == Int(total) }

    /// The parts in order.
    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(cost)
        for number in 0..<total { bytes += parts[number + 1] ?? [] }
        return bytes
    }
}

/// The decrypted content of a whole message.
struct MessageContent: Sendable {
    /// The type of the first payload.
    var first: UInt8
    var bytes: [UInt8]
    /// By this a repetition of the request is known: of fragment 1, where there are fragments.
    var tag: UInt64
    /// 0 for a message in one piece.
    var fragments: UInt16 = 0
}

/// Messages that stand one behind another in one array, as a request or an answer in fragments is kept.
enum SealedMessages {
    /// The messages; each says its own length (RFC 7296 §3.1).
    static func each(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
        var messages: [ArraySlice<UInt8>] = []
        var rest = bytes[...]
        while rest.count >= Header.length {
            let at = rest.startIndex + 24
            let length = rest[at..<at + 4].reduce(0) { $0 << 8 | Int($1) }
            guard length >= Header.length, length < rest.count else { break }
            messages.append(rest.prefix(length))
            rest = rest.dropFirst(length)
        }
        if !rest.isEmpty { messages.append(rest) }
        return messages
    }
}

extension IKESA {
    /// Bytes that every path must carry in one IPv4 datagram (RFC 791), for paths that lose larger ones.
    static let cautiousFragmentSize: UInt16 = 576

    /// Bytes of the largest message that goes out in one piece; nil without fragmentation.
    var largestMessage: Int? {
        guard fragmentSize > 0 else { return nil }
        let ip = path.remote.address.family == .ipv4 ? 20 : 40
        return Int(fragmentSize) - ip - 8 - (path.isNATPort ? 4 : 0)
    }

    /// Both sides can do it: messages are cut from now on.
    mutating func useFragments(_ configuration: ConnectionConfiguration?) {
        guard let size = configuration?.fragmentSize else {
            fragmentSize = 0
            return
        }
        fragmentSize = UInt16(max(256, min(size, 65_535)))
    }
}

extension Engine {
    /// The content of a message, once all of it is here; nil while fragments are missing.
    ///
    /// A fragment is authenticated before anything else is believed of it. What is refused with `.unauthentic` or
    /// `.unexpected` has changed nothing.
    mutating func collect(
        _ sa: inout IKESA, _ header: Header, _ message: ArraySlice<UInt8>, _ outer: Payloads, _ tag: UInt64
    ) throws(MessageError) -> MessageContent? {
        guard let encrypted = outer.encrypted else {
            throw MessageError(.unauthentic, "SK", at: Header.length, "the message is not encrypted")
        }
        guard let fragment = encrypted.fragment else {
            return MessageContent(first: encrypted.firstInner, bytes: try sa.decrypt(message, encrypted), tag: tag)
        }
        func refusal(_ reason: String) -> MessageError {
            MessageError(.unexpected, "SKF", at: encrypted.offset, reason)
        }
        guard sa.fragmentSize > 0 else { throw refusal("a fragment, although we have not agreed on fragments") }
        guard fragment.total <= Reassembly.mostFragments else {
            throw refusal("one of \(fragment.total) fragments; we take messages of up to \(Reassembly.mostFragments)")
        }
        let index = sa.reassemblies.firstIndex { $0.isResponse == header.isResponse }
        let current = index.map { sa.reassemblies[$0] }.flatMap { $0.messageID == header.messageID ? $0 : nil }
        if let current {
            // A late piece of an earlier cut, or one that we have.
            guard fragment.total >= current.total else { return nil }
            if fragment.total == current.total, current.parts[fragment.number] != nil { return nil }
        }
        let part = try sa.decrypt(message, encrypted)
        var reassembly = Reassembly(
            messageID: header.messageID, isResponse: header.isResponse, total: fragment.total,
            expiresAt: now + Reassembly.patience)
        if let current {
            if fragment.total == current.total {
                reassembly = current
            } else {
                // The peer cuts it smaller: larger pieces do not get through, perhaps ours neither (RFC 7383 §2.5.2).
                sa.fragmentSize = min(sa.fragmentSize, IKESA.cautiousFragmentSize)
            }
        }
        let cost = part.count + Reassembly.partCost
        let before = index.map { sa.reassemblies[$0].cost } ?? 0
        try checkRoom(sa, reassembly.cost + cost, before: before, refusal)
        reassembly.parts[fragment.number] = part
        reassembly.cost += cost
        if fragment.number == 1 { (reassembly.first, reassembly.tag) = (encrypted.firstInner, tag) }
        if let index {
            dropFragments(&sa, at: index)
        }
        if reassembly.isComplete {
            return MessageContent(
                first: reassembly.first, bytes: reassembly.bytes, tag: reassembly.tag, fragments: reassembly.total)
        }
        sa.reassemblies.append(reassembly)
        if sa.isHalfOpen { gate.heldBytes += reassembly.cost }
        return nil
    }

    /// One message is bounded for every SA, and all of them together for peers that have not proven who they are.
    private func checkRoom(
        _ sa: IKESA, _ cost: Int, before: Int, _ refusal: (String) -> MessageError
    ) throws(MessageError) {
        guard cost <= (sa.isHalfOpen ? Reassembly.mostHalfOpenBytes : Reassembly.mostBytes) else {
            throw refusal("the message that it belongs to is too large")
        }
        if sa.isHalfOpen, gate.heldBytes - before + cost > configuration.maximumHalfOpenFragmentBytes {
            throw refusal("too many unfinished messages of peers that we do not know yet")
        }
    }

    private mutating func dropFragments(_ sa: inout IKESA, at index: Int) {
        let dropped = sa.reassemblies.remove(at: index)
        if sa.isHalfOpen { gate.heldBytes -= dropped.cost }
    }

    /// Forgets unfinished messages: those that are due, or all.
    mutating func dropFragments(_ sa: inout IKESA, dueBy tick: Tick = .distantFuture) {
        while let index = sa.reassemblies.firstIndex(where: { $0.expiresAt <= tick }) { dropFragments(&sa, at: index) }
    }

    /// Cuts a request that nobody answers smaller, if it has large pieces (RFC 7383 §2.5.2).
    mutating func cutSmaller(_ sa: inout IKESA, _ request: inout Request) {
        guard sa.fragmentSize > IKESA.cautiousFragmentSize, request.exchange != .ikeSAInit else { return }
        let usual = sa.fragmentSize
        sa.fragmentSize = IKESA.cautiousFragmentSize
        guard let smaller = sa.refragment(request.bytes, random: &random) else {
            // It was small already: its silence says nothing of the path.
            sa.fragmentSize = usual
            return
        }
        request.bytes = smaller
    }

    /// The peer repeats a request that has been answered, perhaps in other pieces than before.
    mutating func repeatAnswer(
        _ sa: inout IKESA, _ last: LastAnswer, _ header: Header, _ exchange: ExchangeType,
        _ message: ArraySlice<UInt8>, _ tag: UInt64, _ path: Path
    ) throws(MessageError) {
        if last.requestTag != tag {
            let outer = try Payloads(first: header.nextPayload, message.dropFirst(Header.length))
            guard let encrypted = outer.encrypted, let fragment = encrypted.fragment, sa.fragmentSize > 0 else {
                throw MessageError(
                    .misbehaved, "header message ID", at: 20,
                    "\(exchange.name) with message ID \(header.messageID), which another request had")
            }
            // Only the first piece asks for the answer (RFC 7383 §2.6.1).
            guard fragment.number == 1, fragment.total > last.fragments else { return counters.count(.unexpected) }
            _ = try sa.decrypt(message, encrypted)
            sa.lastAnswer?.requestTag = tag
            sa.lastAnswer?.fragments = fragment.total
            sa.fragmentSize = min(sa.fragmentSize, IKESA.cautiousFragmentSize)
            if let smaller = sa.refragment(last.bytes, random: &random) { sa.lastAnswer?.bytes = smaller }
        }
        // The answer got lost, or is not ready yet.
        if let bytes = sa.lastAnswer?.bytes, !bytes.isEmpty { transmit(bytes, path) }
    }
}
