public import Base

/// What the engine wants done. The caller carries effects out in order.
public enum Effect: Sendable {
    /// Send this UDP payload; on a NAT path it already has its marker.
    case send([UInt8], Path)
    /// Install the pair and answer with `.childInstalled` or `.childFailed`. With `outbound` false only the inbound SA
    /// is needed yet; `.useOutbound` follows when the peer is known to hear us on it.
    case installChild(ChildSA, outbound: Bool)
    /// Send on this SA from now on; the one that it replaces stays for what is still on its way in.
    case useOutbound(spiIn: UInt32)
    /// Remove both SAs of the pair.
    case removeChild(spiIn: UInt32)
    /// The peer is reached on another path from now on.
    case moveChild(spiIn: UInt32, Path)
    case event(Event)
}

/// Something that the supervisor, the status or the event log wants to know.
public struct Event: Sendable, Hashable {
    public var connection: ConnectionID?
    public var ikeSA: IKESAID?
    public var kind: Kind

    public init(_ kind: Kind, connection: ConnectionID? = nil, ikeSA: IKESAID? = nil) {
        self.kind = kind
        self.connection = connection
        self.ikeSA = ikeSA
    }

    public enum Kind: Sendable, Hashable {
        case connecting(Path)
        case ikeEstablished(IKESummary)
        /// Also after a rekey, with the new SPIs; `previous` is then the old SA.
        case ikeRekeyed(IKESummary, previous: IKESAID)
        case ikeClosed(Failure)
        case childEstablished(spiIn: UInt32)
        case childRekeyed(spiIn: UInt32, previous: UInt32)
        case childClosed(spiIn: UInt32, Failure)
        /// An attempt to connect, rekey or answer failed; what stands stays.
        case failed(Failure)
        /// A liveness check or any other request was answered.
        case answered(roundTrip: Tick.Span, retransmits: Int)
        case retransmitted(exchange: String, attempt: Int)
        /// The peer's ESP is sent to another place from now on.
        case peerMoved(Path)
        /// Our own address is another one from now on, and the SAs have gone along.
        case moved(Path)
        /// Something refused or odd that a person may want to see, at most a few a second.
        case notice(String)
    }
}

/// Phase 1 as the status shows it.
public struct IKESummary: Sendable, Hashable, Codable {
    public var initiatorSPI: UInt64
    public var responderSPI: UInt64
    public var isInitiator: Bool
    public var suite: IKESuite
    public var localID: IKEIdentity
    public var remoteID: IKEIdentity
    public var path: Path
    public var isBehindNAT: Bool
    public var isPeerBehindNAT: Bool
    public var establishedAt: Tick
    public var rekeyAt: Tick
    public var authentication: AuthenticationSummary

    public init(
        initiatorSPI: UInt64, responderSPI: UInt64, isInitiator: Bool, suite: IKESuite, localID: IKEIdentity,
        remoteID: IKEIdentity, path: Path, isBehindNAT: Bool, isPeerBehindNAT: Bool, establishedAt: Tick,
        rekeyAt: Tick, authentication: AuthenticationSummary = AuthenticationSummary()
    ) {
        self.initiatorSPI = initiatorSPI
        self.responderSPI = responderSPI
        self.isInitiator = isInitiator
        self.suite = suite
        self.localID = localID
        self.remoteID = remoteID
        self.path = path
        self.isBehindNAT = isBehindNAT
        self.isPeerBehindNAT = isPeerBehindNAT
        self.establishedAt = establishedAt
        self.rekeyAt = rekeyAt
        self.authentication = authentication
    }
}

extension IKESummary {
    /// Weak algorithms of phase 1, by name.
    public var weaknesses: [String] { suite.weaknesses + authentication.weaknesses }
}

/// Why something ended or failed: a reason that programs compare, and words for a person.
public struct Failure: Error, Sendable, Hashable, Codable, CustomStringConvertible {
    public enum Reason: String, Sendable, Codable {
        /// We were asked to.
        case requested
        /// The peer deleted it.
        case deletedByPeer
        /// No answer within the time given.
        case silence
        case authenticationFailed
        case noProposalChosen
        case selectorsUnacceptable
        case invalidKeyExchange
        case lifetimeExpired
        /// Replaced by a newer SA with the same peer (INITIAL_CONTACT or a rekey).
        case replaced
        case dataPathRefused
        /// The peer has restarted and proved that it knows nothing of the SA any more (RFC 6290).
        case peerRestarted
        /// Our address is another one, and the SA could not go along.
        case addressChanged
        case protocolError
        case temporaryFailure
        case noSuchConnection
    }

    public var reason: Reason
    /// What happened, the likely cause and what to do, in one or two sentences. Never a secret.
    public var explanation: String

    public init(_ reason: Reason, _ explanation: String) {
        self.reason = reason
        self.explanation = explanation
    }

    public var description: String { explanation }
}
