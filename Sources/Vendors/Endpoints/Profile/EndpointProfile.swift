public import Access
import Base
import HTTP
import JSONText
internal import Profiles

/// What one endpoint protection platform is like, as data: where its API is, how it is asked, and which of its fields say
/// what of an endpoint. `Profiles/posture/NAME.yaml`, or a file of the administrator's for another platform.
public struct EndpointProfile: Hashable, Sendable {
    /// Something that an administrator gives for a connection, beside its URL.
    public struct Field: Hashable, Sendable {
        /// For options and templates, such as `customer`.
        public var name: String
        /// As the vendor's console calls it.
        public var label: String
        public var isOptional: Bool
    }

    public var title: String
    /// What the console calls the URL, and the one that is taken where none is given.
    public var urlLabel: String
    public var defaultURL: String?
    /// Hosts that a URL may name, and all below them; empty means any.
    public var hosts: [String]
    /// Stands between the host and the path of every call.
    var path: String
    public var fields: [Field]
    /// What the console calls the key or secret.
    public var keyLabel: String
    /// Days that a key lives where nothing says otherwise; nil for one that does not end.
    public var keyLifeDays: Int?
    /// How to make a new one.
    public var keyAdvice: String
    /// Asks when our key ends.
    var keyEnd: KeyEnd?
    var authorization: Authorization
    /// Calls in that many seconds that are made at most.
    public var paceCalls: Int
    public var paceSeconds: Int
    /// The pace holds for each call by itself, not for all together.
    public var pacesEachCall: Bool
    var errors: ErrorShape
    /// Shows that the API answers and knows us.
    var test: CallTemplate?
    /// The first one lists the endpoints.
    var calls: [CallTemplate]
    var endpoint: EndpointMapping
    var attributes: [PostureAttribute: [AttributeRule]]
    /// Seconds that a value holds after it was observed, where it is not the usual time.
    public var maximumAges: [PostureAttribute: Int]
    /// What an administrator should know, in sentences.
    public var notes: [String]

    enum Authorization: Hashable, Sendable {
        /// The header's value, with `{key}` in it.
        case header(String)
        /// Name and password with a colon, with `{key}` in them (RFC 7617).
        case basic(String)
        /// OAuth client credentials: `{tenant}` and others in the token endpoint's URL, `clientID` among the fields.
        case oauth(endpoint: String, clientID: String, scopes: [String])
    }

    struct KeyEnd: Hashable, Sendable {
        var call: CallTemplate
        var at: FieldPath
    }

    /// What it can ever say of an endpoint.
    ///
    /// - Parameter infers: with what is only inferred.
    public func supports(infers: Bool) -> Set<PostureAttribute> {
        Set(attributes.filter { $0.value.contains { infers || !$0.isInferred } }.keys)
    }

    var listing: CallTemplate { calls[0] }

    /// The call that lists the endpoints.
    public var listingName: String { listing.name }

    /// The calls that are made for each endpoint by itself.
    public var perEndpointCalls: [String] { calls.filter(\.isPerEndpoint).map(\.name) }

    /// The calls that say more of the endpoints, for all at once.
    public var joinedCalls: [String] { calls.dropFirst().filter { !$0.isPerEndpoint }.map(\.name) }

    /// Whether a call for one endpoint is worth making while its owner waits to be signed in.
    public func isQuick(_ name: String) -> Bool { call(name).map { ($0.watchedEvery ?? $0.every) <= 900 } ?? false }

    /// Whether the listing can be asked for one device by that.
    public func canLookUp(_ purpose: CallRun.Purpose) -> Bool { listing.lookUp(for: purpose) != nil }

    /// Host and port that a connection calls.
    public func host(_ connection: EndpointConnection) -> String? { (try? connection.base(self).get())?.authority }

    func call(_ name: String) -> CallTemplate? { calls.first { $0.name == name } }

    /// The call that lists endpoints and those that say more of them, with the seconds between two of each.
    public var callNames: [(name: String, every: Int)] { calls.map { ($0.name, $0.changes?.every ?? $0.every) } }

    // MARK: - The vendors

    /// The names of the profiles that are part of the program.
    public static var names: [String] { all.keys.sorted() }

    /// Nil for a name that is not among them.
    public static func named(_ name: String) -> EndpointProfile? { all[name] }

    /// The text of one that is part of the program, for whoever wants one like it.
    public static func text(of name: String) -> String? { Profiles.posture[name] }

    private static let all: [String: EndpointProfile] = Profiles.posture.mapValues { text in
        do {
            return try EndpointProfile(text)
        } catch {
            preconditionFailure("a profile that is part of the program cannot be read: \(error)")
        }
    }
}

/// Which fields of a row say which endpoint it is.
struct EndpointMapping: Hashable, Sendable {
    var id: [FieldPath]
    var host: [FieldPath] = []
    var macs: [FieldPath] = []
    var addresses: [FieldPath] = []
    var user: [FieldPath] = []
    /// Rows that are no endpoints: merged, decommissioned.
    var drop: [Condition] = []
}
