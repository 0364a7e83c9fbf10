import Base

/// The payloads of one message, each read into its value. A kind that may come once is refused when it comes twice.
struct Payloads: Sendable {
    struct KeyExchange: Sendable {
        /// The number on the wire; we may not know the group.
        var group: UInt16
        var value: [UInt8]
    }

    struct Authentication: Sendable {
        /// See ``AuthenticationMethod``.
        var method: UInt8
        var data: [UInt8]
    }

    /// The encrypted payload: where it stands and what its first inner payload is.
    struct Encrypted: Sendable {
        var firstInner: UInt8
        /// Offset of its generic header.
        var offset: Int
        /// Set when it holds a part of a message only.
        var fragment: Fragment?

        /// Which part of a message SKF holds, counted from 1 (RFC 7383 §2.5).
        struct Fragment: Hashable, Sendable {
            var number: UInt16
            var total: UInt16
        }

        /// Where the IV stands.
        var ivOffset: Int { offset + (fragment == nil ? 4 : 8) }
    }

    var proposals: [Proposal]?
    var keyExchange: KeyExchange?
    var identityInitiator: IKEIdentity?
    var identityResponder: IKEIdentity?
    /// The bodies of the ID payloads as they came, which AUTH covers.
    var identityInitiatorBody: [UInt8] = []
    var identityResponderBody: [UInt8] = []
    var authentication: Authentication?
    var nonce: [UInt8]?
    var notifies: [Notify] = []
    var deletes: [Delete] = []
    var selectorsInitiator: [TrafficSelector]?
    var selectorsResponder: [TrafficSelector]?
    var encrypted: Encrypted?
    var certificates: [CertificateData] = []
    /// The peer wants an X.509 certificate of ours (RFC 7296 §3.7).
    var requestsCertificate = false

    /// The content of one CERT payload (RFC 7296 §3.6).
    struct CertificateData: Sendable {
        static let x509: UInt8 = 4
        /// A hash and an address in the place of one certificate, or of a bundle.
        static let hashAndURL: Set<UInt8> = [12, 13]

        var encoding: UInt8
        var data: [UInt8]
    }

    private static let mostCertificates = 16
    private static let mostPayloads = 256
    static let shortestNonce = 16
    static let longestNonce = 256

    /// Reads a chain of payloads that begins with `first` and must fill `bytes` exactly.
    ///
    /// An unknown payload is passed over unless it is critical; then the error says UNSUPPORTED_CRITICAL_PAYLOAD
    /// (RFC 7296 §2.5). SK ends the chain (RFC 7296 §3.14).
    init(first: UInt8, _ bytes: ArraySlice<UInt8>) throws(MessageError) {
        var reader = ByteReader(bytes)
        var next = first
        var count = 0
        while next != 0 {
            let start = reader.offset
            count += 1
            guard count <= Self.mostPayloads else {
                throw .malformed("payload chain", at: start, "more than \(Self.mostPayloads) payloads")
            }
            let type = next
            let (following, flags, length) = try reading("payload \(Self.name(type))") {
                () throws(ByteReader.Truncated) in
                (try reader.uint8(), try reader.uint8(), Int(try reader.uint16()))
            }
            guard length >= 4 else {
                throw .malformed(
                    "payload \(Self.name(type)) length", at: start + 2, "\(length) is less than its own header")
            }
            let body = try reading("payload \(Self.name(type)) length") { () throws(ByteReader.Truncated) in
                try reader.slice(length - 4)
            }
            guard let known = PayloadType(rawValue: type) else {
                guard flags & 0x80 == 0 else {
                    throw MessageError(
                        .incompatible, "payload \(type)", at: start, "is critical, and we do not know it",
                        answer: .unsupportedCriticalPayload, answerData: [type])
                }
                next = following
                continue
            }
            if known == .encrypted || known == .encryptedFragment {
                guard reader.isAtEnd else {
                    throw .malformed("payload SK", at: reader.offset, "\(reader.remaining) bytes behind it")
                }
                encrypted = Encrypted(
                    firstInner: following, offset: start,
                    fragment: known == .encrypted ? nil : try Self.fragment(body, at: start))
                return
            }
            try take(known, body, at: start)
            next = following
        }
        guard reader.isAtEnd else {
            throw .malformed("payload chain", at: reader.offset, "\(reader.remaining) bytes behind the last payload")
        }
    }

    /// Reads what was encrypted, in which no other encrypted payload may hide.
    init(decrypted content: MessageContent) throws(MessageError) {
        try self.init(first: content.first, content.bytes[...])
        if let encrypted { throw .malformed("SK", at: encrypted.offset, "within another SK") }
    }

    private static func fragment(
        _ body: ArraySlice<UInt8>, at start: Int
    ) throws(MessageError) -> Encrypted.Fragment {
        var reader = ByteReader(body)
        let (number, total) = try reading("SKF") { () throws(ByteReader.Truncated) in
            (try reader.uint16(), try reader.uint16())
        }
        guard number >= 1, number <= total else {
            throw .malformed("SKF fragment number", at: start + 4, "fragment \(number) of \(total)")
        }
        return Encrypted.Fragment(number: number, total: total)
    }

    private mutating func take(
        _ type: PayloadType, _ body: ArraySlice<UInt8>, at start: Int
    ) throws(MessageError) {
        switch type {
        case .securityAssociation:
            try once(proposals == nil, type, start)
            proposals = try Proposal.parse(body)
        case .keyExchange:
            try once(keyExchange == nil, type, start)
            var reader = ByteReader(body)
            let group = try reading("KE") { () throws(ByteReader.Truncated) in
                let group = try reader.uint16()
                _ = try reader.uint16()
                return group
            }
            keyExchange = KeyExchange(group: group, value: Array(reader.rest()))
        case .identityInitiator:
            try once(identityInitiator == nil, type, start)
            identityInitiator = try IKEIdentity(parsing: body, "IDi")
            identityInitiatorBody = Array(body)
        case .identityResponder:
            try once(identityResponder == nil, type, start)
            identityResponder = try IKEIdentity(parsing: body, "IDr")
            identityResponderBody = Array(body)
        case .authentication:
            try once(authentication == nil, type, start)
            guard body.count >= 4, let method = body.first else {
                throw .malformed("AUTH", at: start, "needs 4 bytes, has \(body.count)")
            }
            authentication = Authentication(method: method, data: Array(body.dropFirst(4)))
        case .nonce:
            try once(nonce == nil, type, start)
            guard (Self.shortestNonce...Self.longestNonce).contains(body.count) else {
                throw .malformed("Nonce", at: start, "\(body.count) bytes; RFC 7296 wants 16 to 256")
            }
            nonce = Array(body)
        case .notify: notifies.append(try Notify(parsing: body))
        case .delete: deletes.append(try Delete(parsing: body))
        case .selectorsInitiator:
            try once(selectorsInitiator == nil, type, start)
            selectorsInitiator = try TrafficSelector.parse(body, "TSi")
        case .selectorsResponder:
            try once(selectorsResponder == nil, type, start)
            selectorsResponder = try TrafficSelector.parse(body, "TSr")
        case .certificate:
            guard let encoding = body.first else { throw .malformed("CERT", at: start, "is empty") }
            guard certificates.count < Self.mostCertificates else {
                throw .malformed("CERT", at: start, "more than \(Self.mostCertificates) certificates")
            }
            certificates.append(CertificateData(encoding: encoding, data: Array(body.dropFirst())))
        case .certificateRequest:
            guard let encoding = body.first else { throw .malformed("CERTREQ", at: start, "is empty") }
            if encoding == CertificateData.x509 { requestsCertificate = true }
        case .vendorID, .configuration, .eap, .encrypted, .encryptedFragment: break
        }
    }

    private func once(_ isFirst: Bool, _ type: PayloadType, _ start: Int) throws(MessageError) {
        guard isFirst else { throw .malformed(type.name, at: start, "comes twice") }
    }

    private static func name(_ type: UInt8) -> String { PayloadType(rawValue: type)?.name ?? "\(type)" }

    // MARK: What the exchanges ask for

    func notify(_ type: NotifyType) -> Notify? { notifies.first { $0.type == type } }
    func has(_ type: NotifyType) -> Bool { notifies.contains { $0.type == type } }
    /// The first error notify, if any.
    var firstError: Notify? { notifies.first { $0.type.isError } }
    var deletesIKESA: Bool { deletes.contains { $0.protocolID == SecurityProtocol.ike } }

    /// The value, or the error that the payload is missing.
    func require<Value>(_ value: Value?, _ name: String) throws(MessageError) -> Value {
        guard let value else { throw .malformed(name, at: 0, "the payload is missing") }
        return value
    }
}
