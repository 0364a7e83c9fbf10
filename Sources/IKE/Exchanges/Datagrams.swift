import Base

/// The way of a datagram to the SA and the state that it is for.
extension Engine {
    /// Bytes of the largest first message that is looked at: it is kept until IKE_AUTH comes. RFC 7296 §2 asks for room
    /// for 3,000.
    public static let largestFirstContact = 4096

    /// Whether a datagram is, or pretends to be, the first message of a stranger: messages for IKE SAs that stand may be
    /// served before those. Looks at a few bytes only.
    public static func isFirstContact(_ datagram: [UInt8], _ path: Path) -> Bool {
        let start = path.isNATPort ? 4 : 0
        guard datagram.count >= start + Header.length else { return false }
        return datagram[start + 18] == ExchangeType.ikeSAInit.rawValue
            && datagram[start + 8..<start + 16].allSatisfy { $0 == 0 }
    }

    mutating func receiveDatagram(_ datagram: [UInt8], _ path: Path) {
        var message = datagram[...]
        if path.isNATPort {
            // RFC 3948 §2.3: a lone 0xFF keeps a NAT's mapping; what lacks the marker is ESP and not ours.
            if datagram.count == 1 { return }
            guard datagram.count > 4, datagram[0..<4].allSatisfy({ $0 == 0 }) else { return }
            message = datagram[4...]
        }
        do throws(MessageError) {
            guard message.count <= Self.largestFirstContact || !Self.isFirstContact(datagram, path) else {
                throw .malformed("header length", at: 24, "more than \(Self.largestFirstContact) bytes in a first message")
            }
            let header = try Header(message)
            try checkVersion(header, path)
            guard let exchange = ExchangeType(rawValue: header.exchange) else {
                throw MessageError(.incompatible, "header exchange", at: 18, "exchange \(header.exchange) is unknown")
            }
            if exchange == .ikeSAInit {
                try receiveInit(header, message, path)
            } else {
                try receiveProtected(header, exchange, message, path)
            }
        } catch {
            refuse(error, path)
        }
    }

    private mutating func checkVersion(_ header: Header, _ path: Path) throws(MessageError) {
        guard header.majorVersion != 2 else { return }
        if header.majorVersion > 2, !header.isResponse {
            answerStatelessly(header, Notify(.invalidMajorVersion), path: path)
        }
        let hint = header.majorVersion == 1 ? "the peer speaks IKEv1; set it to IKEv2" : "we speak version 2"
        throw MessageError(
            .incompatible, "header version", at: 17, "version \(header.majorVersion).\(header.minorVersion): \(hint)")
    }

    /// Answers a request without keeping anything of it.
    mutating func answerStatelessly(_ header: Header, _ notifies: Notify..., path: Path) {
        let answer = Header(
            initiatorSPI: header.initiatorSPI, responderSPI: header.responderSPI, exchange: header.exchange,
            flags: Header.responseFlag | (header.isFromInitiator ? 0 : Header.initiatorFlag),
            messageID: header.messageID)
        var message = MessageWriter(answer, capacity: 128)
        for notify in notifies { message.add(notify) }
        transmit(message.finish(), path)
    }

    // MARK: - IKE_SA_INIT

    private mutating func receiveInit(
        _ header: Header, _ message: ArraySlice<UInt8>, _ path: Path
    ) throws(MessageError) {
        guard header.messageID == 0, header.initiatorSPI != 0, header.isFromInitiator != header.isResponse else {
            throw .malformed("header", at: 0, "IKE_SA_INIT with impossible flags, message ID or SPI")
        }
        guard header.isResponse else {
            guard header.responderSPI == 0 else {
                throw MessageError(.unexpected, "header SPI", at: 8, "IKE_SA_INIT within an IKE SA")
            }
            return try answerInit(header, message, path)
        }
        guard var sa = table.take(header.initiatorSPI) else {
            throw MessageError(.unexpected, "header SPI", at: 0, "an answer to an IKE_SA_INIT that we did not send")
        }
        var refusal: MessageError?
        do throws(MessageError) {
            guard case .initSent(let sent) = sa.state else {
                throw MessageError(.unexpected, "header", at: 0, "IKE_SA_INIT has been answered already")
            }
            let payloads = try Payloads(first: header.nextPayload, message.dropFirst(Header.length))
            try receiveInitAnswer(&sa, sent, header, payloads, message, path)
        } catch {
            refusal = error
        }
        if let refusal { refuse(refusal, path, sa) }
        settle(sa)
    }

    // MARK: - Everything after it

    private mutating func receiveProtected(
        _ header: Header, _ exchange: ExchangeType, _ message: ArraySlice<UInt8>, _ path: Path
    ) throws(MessageError) {
        let ourSPI = header.isFromInitiator ? header.responderSPI : header.initiatorSPI
        guard var sa = table.take(ourSPI) else {
            if !header.isResponse, header.initiatorSPI != 0, header.responderSPI != 0 {
                answerUnknownSPI(header, path)
            }
            throw MessageError(
                .unexpected, "header SPI", at: 0, "\(exchange.name) for an IKE SA that does not exist (any more)")
        }
        var refusal: MessageError?
        do throws(MessageError) {
            let theirSPI = header.isFromInitiator ? header.initiatorSPI : header.responderSPI
            guard header.isFromInitiator != sa.isInitiator, sa.peerSPI == theirSPI else {
                throw MessageError(.unexpected, "header SPI", at: 0, "the peer's SPI or role is not the SA's")
            }
            if header.isResponse {
                try receiveAnswer(&sa, header, exchange, message, path)
            } else {
                try receiveRequest(&sa, header, exchange, message, path)
            }
        } catch {
            refusal = error
        }
        if let refusal { refuse(refusal, path, sa) }
        settle(sa)
    }

    /// RFC 7296 §2.21.4: tells a peer that has outlived our state, seldom enough to be of no use to anyone else.
    private mutating func answerUnknownSPI(_ header: Header, _ path: Path) {
        let limit = configuration.unknownSPIAnswersPerSecond
        guard unknownSPIAnswers.admit("", limit: limit, now: now) != nil else { return }
        if let token = crashToken(ofLost: header) {
            answerStatelessly(header, Notify(.invalidIKESPI), Notify(.quickCrashDetection, data: token), path: path)
        } else {
            answerStatelessly(header, Notify(.invalidIKESPI), path: path)
        }
    }

    private mutating func receiveAnswer(
        _ sa: inout IKESA, _ header: Header, _ exchange: ExchangeType, _ message: ArraySlice<UInt8>, _ path: Path
    ) throws(MessageError) {
        guard let request = sa.request, request.messageID == header.messageID, request.exchange == exchange else {
            // A repeated answer, nothing more: too common to be told.
            counters.count(.unexpected)
            return
        }
        let outer = try Payloads(first: header.nextPayload, message.dropFirst(Header.length))
        if outer.encrypted == nil, let error = outer.firstError {
            if error.type == .invalidIKESPI, hasPeerCrashed(sa, outer) { return peerCrashed(&sa) }
            // Anyone can send this (RFC 7296 §2.21.2): remember it as the likely cause, and go on.
            return rememberUnauthenticated(error, &sa, path)
        }
        let payloads: Payloads
        do throws(MessageError) {
            guard let content = try collect(&sa, header, message, outer, 0) else { return }
            payloads = try Payloads(decrypted: content)
        } catch {
            // What does not authenticate was not sent by the peer; what does is an answer, although a useless one.
            guard error.fault != .unauthentic, error.fault != .unexpected else { throw error }
            heard(&sa, path, isRequest: false)
            finishRequest(&sa)
            refuse(error, path, sa)
            return receiveUselessAnswer(&sa, error)
        }
        heard(&sa, path, isRequest: false)
        finishRequest(&sa)
        switch sa.state {
        case .authSent(let sent): receiveAuthAnswer(&sa, sent, payloads)
        case .established, .rekeyed: receiveEstablishedAnswer(&sa, payloads)
        case .deleting:
            if case .deleteIKE = sa.exchange { return finishDeletion(&sa) }
            if case .rekeyIKE(let rekey) = sa.exchange { deleteSuccessor(sa, rekey, payloads) }
            sa.exchange = nil
        case .initSent, .halfOpen, .closed: break
        }
    }

    private mutating func receiveRequest(
        _ sa: inout IKESA, _ header: Header, _ exchange: ExchangeType, _ message: ArraySlice<UInt8>, _ path: Path
    ) throws(MessageError) {
        var tag = message.suffix(8).reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        if let last = sa.lastAnswer, last.messageID == header.messageID {
            return try repeatAnswer(&sa, last, header, exchange, message, tag, path)
        }
        if case .closed = sa.state {
            throw MessageError(.unexpected, "header SPI", at: 0, "\(exchange.name) for an IKE SA that is closed")
        }
        guard header.messageID == sa.nextPeerRequestID else {
            throw MessageError(
                .unexpected, "header message ID", at: 20,
                "\(exchange.name) with message ID \(header.messageID) where \(sa.nextPeerRequestID) is due")
        }
        if case .halfOpen(let halfOpen) = sa.state {
            guard exchange == .ikeAuth else {
                throw MessageError(.unexpected, "header exchange", at: 18, "\(exchange.name) before IKE_AUTH")
            }
            return try receiveAuth(&sa, halfOpen, message, header, tag, path)
        }
        guard sa.keys != nil, exchange != .ikeAuth else {
            throw MessageError(.unexpected, "header exchange", at: 18, "\(exchange.name) is not due")
        }
        if case .authSent = sa.state {
            throw MessageError(.unexpected, "header exchange", at: 18, "\(exchange.name) before IKE_AUTH is answered")
        }
        let outer = try Payloads(first: header.nextPayload, message.dropFirst(Header.length))
        let payloads: Payloads
        var fragments: UInt16 = 0
        do throws(MessageError) {
            guard let content = try collect(&sa, header, message, outer, tag) else { return }
            (tag, fragments) = (content.tag, content.fragments)
            payloads = try Payloads(decrypted: content)
        } catch {
            guard error.fault != .unauthentic, error.fault != .unexpected else { throw error }
            accept(&sa, header.messageID, tag, path, fragments: fragments)
            answerError(&sa, exchange, header.messageID, error, path)
            throw error
        }
        accept(&sa, header.messageID, tag, path, fragments: fragments)
        if !payloads.deletesIKESA { adopt(&sa) }
        do throws(MessageError) {
            switch exchange {
            case .createChildSA: try receiveCreateChild(&sa, payloads, header.messageID, path)
            case .informational: try receiveInformational(&sa, payloads, header.messageID, path)
            case .ikeSAInit, .ikeAuth: break
            }
        } catch {
            answerError(&sa, exchange, header.messageID, error, path)
            throw error
        }
    }

    /// An authenticated new request moves the window on.
    mutating func accept(
        _ sa: inout IKESA, _ messageID: UInt32, _ tag: UInt64, _ path: Path, fragments: UInt16 = 0
    ) {
        sa.nextPeerRequestID = messageID &+ 1
        sa.lastAnswer = LastAnswer(messageID: messageID, requestTag: tag, fragments: fragments, bytes: [])
        heard(&sa, path, isRequest: true)
    }

    /// The peer lives, and perhaps elsewhere: a translator in front of it gave it another port (RFC 7296 §2.23).
    mutating func heard(_ sa: inout IKESA, _ path: Path, isRequest: Bool) {
        sa.lastInbound = max(sa.lastInbound, now)
        // With MOBIKE the peer says itself where it is (RFC 4555 §3.8).
        if isRequest, sa.nat.isPeerBehindNAT, sa.mobility == nil, path != sa.path { move(&sa, to: path) }
    }

    mutating func move(_ sa: inout IKESA, to path: Path) {
        sa.path = path
        for child in sa.children where child.state != .installing {
            add(.moveChild(spiIn: child.spiIn, sa.childPath))
        }
        if sa.isEstablished { emit(.peerMoved(sa.childPath), sa) }
    }

    /// The data path saw authenticated ESP from elsewhere.
    mutating func dataPathSawPeer(_ sa: inout IKESA, _ spiIn: UInt32, _ path: Path) {
        guard sa.isEstablished, sa.nat.isPeerBehindNAT, path != sa.path, path.isNATPort == sa.path.isNATPort else {
            return
        }
        move(&sa, to: path)
    }

    mutating func answerError(
        _ sa: inout IKESA, _ exchange: ExchangeType, _ messageID: UInt32, _ error: MessageError, _ path: Path
    ) {
        let notify = Notify(error.answer ?? .invalidSyntax, data: error.answerData)
        answer(&sa, exchange, messageID, path) { $0.add(notify) }
    }
}
