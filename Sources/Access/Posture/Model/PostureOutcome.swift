public import Base

/// What is known of one attribute of one device from one source: missing is neither good nor bad.
public enum PostureOutcome: Hashable, Codable, Sendable {
    /// `observedAt` is the source's time of the fact.
    case value(PostureValue, observedAt: WallTime)
    case unknown(Missing)
    /// The source can never say.
    case notSupported

    /// Why a value is missing.
    public enum Missing: String, Codable, CaseIterable, Sendable {
        /// The source has answered in full, and the device is none of its own.
        case notEnrolled
        /// More than one device of the source fits.
        case ambiguous
        /// The source has not answered for longer than its last answer holds.
        case sourceUnavailable
        /// The source has left it open.
        case noData
        /// The source has said something that is no such value.
        case schema
        /// What the source last saw is too old.
        case stale
        /// The source refuses us this question.
        case permission
        /// It is not certain enough which device it is.
        case notIdentified

        /// To stand behind "unknown: ".
        public var words: String {
            switch self {
            case .notEnrolled: "the source does not know the device"
            case .ambiguous: "more than one device of the source fits"
            case .sourceUnavailable: "the source has not answered for too long"
            case .noData: "the source does not say"
            case .schema: "the source answered with something unexpected"
            case .stale: "the source has not seen the device for too long"
            case .permission: "the source does not permit this question"
            case .notIdentified: "it is not certain enough which device this is"
            }
        }
    }
}

/// One attribute of an endpoint as its source last had it.
public struct PostureFact: Hashable, Codable, Sendable {
    /// Without regard to age: that is reckoned when somebody asks, see ``EndpointRecord/outcome(_:of:now:)``.
    public var outcome: PostureOutcome
    /// The source's own words, for explanations.
    public var raw: String?
    /// A remark for people, such as `inferred` or `time of fetching, the source gives none`.
    public var note: String?
    /// The value is good because nothing was found, such as no alert: it counts only while the same source says that its
    /// agent is installed.
    public var restsOnAbsence: Bool

    public init(_ outcome: PostureOutcome, raw: String? = nil, note: String? = nil, restsOnAbsence: Bool = false) {
        self.outcome = outcome
        self.raw = raw
        self.note = note
        self.restsOnAbsence = restsOnAbsence
    }
}
