public import Base
public import Cryptography
public import Identity

/// What the sign-in pages can ask of the gateway. `Gateway` implements it; tests put a fake in its place.
public protocol SignInAPI: Sendable {
    /// The identity providers that people may choose from, in the administrator's order.
    func signInChoices() async -> [SignInChoice]

    /// Begins a sign-in with a provider.
    ///
    /// - Parameters:
    ///   - browser: the secret of the browser's cookie, which the answer must come back with.
    ///   - address: where the browser is: one client cannot begin so many that those of others are forgotten.
    func beginSignIn(
        provider: String, browser: String, address: IPAddress
    ) async throws(SignInProblem) -> AuthnRequest.Carrier

    /// Takes what a provider had the browser post to the assertion consumer service, and admits who is vouched for.
    ///
    /// - Parameter message: the value of `SAMLResponse` as it came.
    func finishSignIn(
        message: [UInt8], relayState: String?, browser: String?, address: IPAddress
    ) async throws(SignInProblem)

    /// Takes what an OpenID provider had the browser bring to our redirect URI, and admits who is vouched for.
    ///
    /// - Parameter query: as it stands in the request's address.
    func finishSignIn(query: String, browser: String?, address: IPAddress) async throws(SignInProblem)

    /// Takes a log-out token that an OpenID provider sends itself (OpenID Connect Back-Channel Logout 1.0 §2.5).
    ///
    /// - Returns: whether it was acceptable and is carried out.
    func receiveLogout(token: String) async -> Bool

    /// Who is in at an address; nil for nobody.
    func standing(at address: IPAddress) async -> Standing?

    /// Ends the session at an address, because its user wants that.
    ///
    /// - Returns: where the browser should go to end the provider's own session, if the provider offers that.
    func signOut(at address: IPAddress) async -> String?

    /// Takes a log-out message that the browser brings from a provider.
    ///
    /// - Parameter query: as it stands in the request's address.
    /// - Returns: where the browser should go with our answer; nil when there is none to give.
    func receiveLogout(query: String) async throws(SignInProblem) -> String?

    /// Our metadata for a provider; nil when there is none of that name.
    func metadata(provider: String) async -> String?

    /// Answers a program on the customer's side that signs in with an API access.
    func agentRequest(_ request: AgentRequest) async -> AgentAnswer
}

extension SignInAPI {
    public func agentRequest(_ request: AgentRequest) async -> AgentAnswer {
        AgentAnswer(status: 404, body: #"{"error":"not_found"}"#)
    }
}

/// What a directory agent sends: `token` with a form (RFC 6749 §4.4), `directory` with a ``DirectoryPush`` in JSON.
public struct AgentRequest: Sendable {
    /// The last part of the path.
    public var name: String
    public var authorization: Secret?
    public var form: [String: [UInt8]]?
    public var body: [UInt8]
    public var address: IPAddress
}

/// What it gets, as JSON.
public struct AgentAnswer: Hashable, Sendable {
    public var status: Int
    public var body: String

    public init(status: Int, body: String) {
        self.status = status
        self.body = body
    }
}

/// One identity provider on the sign-in page.
public struct SignInChoice: Hashable, Sendable {
    public var id: String
    public var title: String
    /// Scheme, host and port of where its forms are posted to; nil when it is asked by redirect.
    public var formOrigin: String?
    /// Whether somebody's first sign-in must begin at the provider.
    public var mustBeginThere: Bool

    public init(id: String, title: String, formOrigin: String? = nil, mustBeginThere: Bool = true) {
        self.id = id
        self.title = title
        self.formOrigin = formOrigin
        self.mustBeginThere = mustBeginThere
    }
}

/// Somebody who is in.
public struct Standing: Hashable, Sendable {
    /// A connector that may be reached.
    public struct Site: Hashable, Sendable {
        public var name: String
        public var networks: [String]

        public init(name: String, networks: [String]) {
            self.name = name
            self.networks = networks
        }
    }

    /// First and last name, or what there is of them.
    public var name: String?
    public var email: String?
    public var sites: [Site]
    public var expiresAt: WallTime
    /// Scheme, host and port of the provider's log-out, if there is one.
    public var logoutOrigin: String?

    public init(name: String?, email: String?, sites: [Site], expiresAt: WallTime, logoutOrigin: String? = nil) {
        self.name = name
        self.email = email
        self.sites = sites
        self.expiresAt = expiresAt
        self.logoutOrigin = logoutOrigin
    }
}

/// Why somebody is not let in, as far as they should know. The audit trail has the rest, under the same reference.
public struct SignInProblem: Error, Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        /// The user is not known here, and the first sign-in must begin at the provider.
        case unknownUser(provider: String)
        /// The account is disabled.
        case disabled
        /// The provider sends no e-mail address.
        case noAddress
        /// The account may reach nothing.
        case nothingAllowed
        /// The sign-in policies say no; with what of the device would have to be otherwise, in words.
        case againstPolicy([String])
        /// The answer came too late, twice, or for something that was not asked: try again.
        case stale
        /// The provider itself refused.
        case refusedByProvider
        /// The answer is not acceptable, for a reason that only an administrator can mend.
        case notAcceptable
        /// A log-out that a provider asked for is not acceptable, for a reason that only an administrator can mend.
        case signOutNotAcceptable
        /// There is no such provider, or it is switched off.
        case noSuchProvider
        /// Our own fault, or the gateway is stopping.
        case unavailable
    }

    public var kind: Kind
    /// Such as `K7Q4-9M2X`; stands in the audit trail.
    public var reference: String

    public init(_ kind: Kind, reference: String) {
        self.kind = kind
        self.reference = reference
    }
}

/// Short random names that people can read to each other: no letters or digits that look like others.
public enum Reference {
    public static func text(_ random: [UInt8]) -> String {
        let letters = Array("23456789ABCDEFGHJKMNPQRSTVWXYZ".unicodeScalars)
        var text = ""
        for (index, byte) in random.prefix(8).enumerated() {
            if index == 4 { text += "-" }
            text.unicodeScalars.append(letters[Int(byte) % letters.count])
        }
        return text
    }
}
