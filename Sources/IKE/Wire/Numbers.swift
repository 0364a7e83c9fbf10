/// The exchange of a message (RFC 7296 §3.1).
enum ExchangeType: UInt8, Sendable, Hashable, Codable {
    case ikeSAInit = 34
    case ikeAuth = 35
    case createChildSA = 36
    case informational = 37

    var name: String {
        switch self {
        case .ikeSAInit: "IKE_SA_INIT"
        case .ikeAuth: "IKE_AUTH"
        case .createChildSA: "CREATE_CHILD_SA"
        case .informational: "INFORMATIONAL"
        }
    }
}

/// The kinds of payload that we know (RFC 7296 §3.2, RFC 7383 §2.5); "known" means that its critical bit is no cause
/// to refuse the message, not that we make use of it.
enum PayloadType: UInt8, Sendable, Hashable {
    case securityAssociation = 33
    case keyExchange = 34
    case identityInitiator = 35
    case identityResponder = 36
    case certificate = 37
    case certificateRequest = 38
    case authentication = 39
    case nonce = 40
    case notify = 41
    case delete = 42
    case vendorID = 43
    case selectorsInitiator = 44
    case selectorsResponder = 45
    case encrypted = 46
    case configuration = 47
    case eap = 48
    case encryptedFragment = 53

    var name: String {
        switch self {
        case .securityAssociation: "SA"
        case .keyExchange: "KE"
        case .identityInitiator: "IDi"
        case .identityResponder: "IDr"
        case .certificate: "CERT"
        case .certificateRequest: "CERTREQ"
        case .authentication: "AUTH"
        case .nonce: "Nonce"
        case .notify: "Notify"
        case .delete: "Delete"
        case .vendorID: "Vendor ID"
        case .selectorsInitiator: "TSi"
        case .selectorsResponder: "TSr"
        case .encrypted: "SK"
        case .configuration: "CP"
        case .eap: "EAP"
        case .encryptedFragment: "SKF"
        }
    }
}

/// The protocol that an SA, a Notify or a Delete is about (RFC 7296 §3.3.1).
enum SecurityProtocol {
    static let none: UInt8 = 0
    static let ike: UInt8 = 1
    static let ah: UInt8 = 2
    static let esp: UInt8 = 3

    static func name(_ number: UInt8) -> String {
        switch number {
        case ike: "IKE"
        case ah: "AH"
        case esp: "ESP"
        default: "protocol \(number)"
        }
    }
}

/// The number of a Notify payload (RFC 7296 §3.10.1). Those below 16384 are errors, the others status.
struct NotifyType: RawRepresentable, Hashable, Sendable, Codable {
    var rawValue: UInt16
    init(rawValue: UInt16) { self.rawValue = rawValue }
    private init(_ value: UInt16) { rawValue = value }

    static let unsupportedCriticalPayload = NotifyType(1)
    static let invalidIKESPI = NotifyType(4)
    static let invalidMajorVersion = NotifyType(5)
    static let invalidSyntax = NotifyType(7)
    static let invalidMessageID = NotifyType(9)
    static let invalidSPI = NotifyType(11)
    static let noProposalChosen = NotifyType(14)
    static let invalidKEPayload = NotifyType(17)
    static let authenticationFailed = NotifyType(24)
    static let singlePairRequired = NotifyType(34)
    static let noAdditionalSAs = NotifyType(35)
    static let internalAddressFailure = NotifyType(36)
    static let failedCPRequired = NotifyType(37)
    static let selectorsUnacceptable = NotifyType(38)
    static let invalidSelectors = NotifyType(39)
    static let unacceptableAddresses = NotifyType(40)
    static let unexpectedNATDetected = NotifyType(41)
    static let temporaryFailure = NotifyType(43)
    static let childSANotFound = NotifyType(44)

    static let initialContact = NotifyType(16384)
    static let setWindowSize = NotifyType(16385)
    static let additionalTSPossible = NotifyType(16386)
    static let natDetectionSourceIP = NotifyType(16388)
    static let natDetectionDestinationIP = NotifyType(16389)
    static let cookie = NotifyType(16390)
    static let useTransportMode = NotifyType(16391)
    static let rekeySA = NotifyType(16393)
    static let espTFCPaddingNotSupported = NotifyType(16394)
    static let mobikeSupported = NotifyType(16396)
    static let updateSAAddresses = NotifyType(16400)
    static let cookie2 = NotifyType(16401)
    static let noNATsAllowed = NotifyType(16402)
    static let childlessSupported = NotifyType(16418)
    static let quickCrashDetection = NotifyType(16419)
    static let fragmentationSupported = NotifyType(16430)
    static let signatureHashAlgorithms = NotifyType(16431)
    static let usePPK = NotifyType(16435)
    static let ppkIdentity = NotifyType(16436)
    static let noPPKAuthentication = NotifyType(16437)

    var isError: Bool { rawValue < 16384 }

    /// The name that RFCs and other implementations' logs use.
    var name: String { Self.names[rawValue] ?? "notify \(rawValue)" }

    private static let names: [UInt16: String] = [
        1: "UNSUPPORTED_CRITICAL_PAYLOAD", 4: "INVALID_IKE_SPI", 5: "INVALID_MAJOR_VERSION", 7: "INVALID_SYNTAX",
        9: "INVALID_MESSAGE_ID", 11: "INVALID_SPI", 14: "NO_PROPOSAL_CHOSEN", 17: "INVALID_KE_PAYLOAD",
        24: "AUTHENTICATION_FAILED", 34: "SINGLE_PAIR_REQUIRED", 35: "NO_ADDITIONAL_SAS",
        36: "INTERNAL_ADDRESS_FAILURE", 37: "FAILED_CP_REQUIRED", 38: "TS_UNACCEPTABLE", 39: "INVALID_SELECTORS",
        40: "UNACCEPTABLE_ADDRESSES", 41: "UNEXPECTED_NAT_DETECTED", 43: "TEMPORARY_FAILURE",
        44: "CHILD_SA_NOT_FOUND", 16384: "INITIAL_CONTACT", 16385: "SET_WINDOW_SIZE",
        16386: "ADDITIONAL_TS_POSSIBLE", 16387: "IPCOMP_SUPPORTED", 16388: "NAT_DETECTION_SOURCE_IP",
        16389: "NAT_DETECTION_DESTINATION_IP", 16390: "COOKIE", 16391: "USE_TRANSPORT_MODE",
        16392: "HTTP_CERT_LOOKUP_SUPPORTED", 16393: "REKEY_SA", 16394: "ESP_TFC_PADDING_NOT_SUPPORTED",
        16395: "NON_FIRST_FRAGMENTS_ALSO", 16396: "MOBIKE_SUPPORTED", 16397: "ADDITIONAL_IP4_ADDRESS",
        16398: "ADDITIONAL_IP6_ADDRESS", 16399: "NO_ADDITIONAL_ADDRESSES", 16400: "UPDATE_SA_ADDRESSES",
        16401: "COOKIE2", 16402: "NO_NATS_ALLOWED", 16404: "MULTIPLE_AUTH_SUPPORTED", 16406: "REDIRECT_SUPPORTED",
        16418: "CHILDLESS_IKEV2_SUPPORTED", 16419: "QUICK_CRASH_DETECTION",
        16430: "IKEV2_FRAGMENTATION_SUPPORTED", 16431: "SIGNATURE_HASH_ALGORITHMS", 16435: "USE_PPK",
        16436: "PPK_IDENTITY", 16437: "NO_PPK_AUTH",
    ]
}

/// The method of an AUTH payload (RFC 7296 §3.8, RFC 4754, RFC 7427).
enum AuthenticationMethod {
    /// RSASSA-PKCS1-v1_5 with a hash that only the signature itself names.
    static let rsa: UInt8 = 1
    /// Shared Key Message Integrity Code.
    static let sharedKey: UInt8 = 2
    /// ECDSA on P-256, P-384 and P-521, each with the hash of its size.
    static let ecdsa256: UInt8 = 9
    static let ecdsa384: UInt8 = 10
    static let ecdsa521: UInt8 = 11
    /// Digital Signature, which names its algorithm (RFC 7427).
    static let signature: UInt8 = 14
}
