/// A parser or engine that takes bytes from strangers, with what must hold whatever they are.
///
/// `run` traps when an invariant is broken, which the fuzzer and the replay both notice.
public enum FuzzTarget: String, CaseIterable, Sendable {
    /// A datagram to an engine with a tunnel up: header, payloads in the clear, half-open gate.
    case ikeMessage = "ike-message"
    /// Payloads inside the encrypted payload, from a peer that has authenticated and then goes wrong.
    case ikeAuthenticated = "ike-authenticated"
    /// IDi, CERT and AUTH of a stranger, as a responder takes them before it knows the peer.
    case ikeCertificate = "ike-certificate"
    /// Fragments of IKE messages, from a peer that has authenticated or is about to.
    case ikeReassembly = "ike-reassembly"
    /// A file given to `gatehouse import aws-vpn`.
    case awsImport = "aws-import"
    /// ESP packets, forged and genuine, and what the data path does with the inner packet.
    case espInput = "esp-input"
    /// A request to the two local sockets: target, query and body.
    case statusHTTP = "status-http"
    /// A SAML response, posted by anyone.
    case samlResponse = "saml-response"
    /// What reaches an OpenID relying party: answers, documents, tokens, URLs and headers.
    case openIDInput = "openid-input"
    /// What endpoint protection platforms answer, and a profile of one.
    case endpointInput = "endpoint-input"
    /// Lease files, time zones and sets of policies.
    case postureInput = "posture-input"
    /// What a directory answers, and what is kept of it.
    case directoryInput = "directory-input"

    /// One line for `tools/fuzz`.
    public var summary: String {
        switch self {
        case .ikeMessage: "a datagram to an engine with a tunnel up"
        case .ikeAuthenticated: "payloads inside the encrypted payload, from a peer that authenticated"
        case .ikeCertificate: "identity, certificates and signature of a stranger"
        case .ikeReassembly: "fragments of IKE messages, honest and not"
        case .awsImport: "a file given to gatehouse import aws-vpn"
        case .espInput: "an ESP packet, and the inner packet of a genuine one"
        case .statusHTTP: "a request to the local sockets"
        case .samlResponse: "a SAML response posted by anyone"
        case .openIDInput: "answers, documents, tokens, URLs and headers of OpenID providers"
        case .endpointInput: "answers of endpoint protection platforms, and profiles"
        case .postureInput: "lease files, time zones and sets of sign-in policies"
        case .directoryInput: "answers of directories, key files, and what is stored of them"
        }
    }

    public func run(_ bytes: [UInt8]) {
        switch self {
        case .ikeMessage: fuzzIKEMessage(bytes)
        case .ikeAuthenticated: fuzzIKEAuthenticated(bytes)
        case .ikeCertificate: fuzzIKECertificate(bytes)
        case .ikeReassembly: fuzzIKEReassembly(bytes)
        case .awsImport: fuzzAWSImport(bytes)
        case .espInput: fuzzESPInput(bytes)
        case .statusHTTP: fuzzStatusHTTP(bytes)
        case .samlResponse: fuzzSAMLResponse(bytes)
        case .openIDInput: fuzzOpenIDInput(bytes)
        case .endpointInput: fuzzEndpointInput(bytes)
        case .postureInput: fuzzPostureInput(bytes)
        case .directoryInput: fuzzDirectoryInput(bytes)
        }
    }

    /// Well-formed inputs to begin from, made by our own code.
    public var seeds: [[UInt8]] {
        switch self {
        case .ikeMessage: ikeMessageSeeds()
        case .ikeAuthenticated: ikeAuthenticatedSeeds()
        case .ikeCertificate: ikeCertificateSeeds()
        case .ikeReassembly: ikeReassemblySeeds()
        case .awsImport: []
        case .espInput: espInputSeeds()
        case .statusHTTP: statusHTTPSeeds()
        case .samlResponse: samlResponseSeeds()
        case .openIDInput: openIDInputSeeds()
        case .endpointInput: endpointInputSeeds()
        case .postureInput: postureInputSeeds()
        case .directoryInput: directoryInputSeeds()
        }
    }
}

/// Takes an input apart; past its end there are only zeros.
struct InputReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    /// A piece whose length the next two bytes say, or what is left of it.
    mutating func piece() -> [UInt8] {
        let length = Int(byte()) << 8 | Int(byte())
        defer { rest = rest.dropFirst(length) }
        return Array(rest.prefix(length))
    }

    mutating func remainder() -> [UInt8] {
        defer { rest = [] }
        return Array(rest)
    }
}
