internal import Base
public import Cryptography
internal import HTTP
public import Identity
internal import JSONText

/// How the requests of a directory are proved to be ours.
public enum DirectoryProof: Sendable {
    /// The `Authorization` header as it is.
    case header(Secret)
    /// A token that is asked for first.
    case token(OAuthGrant)
}

extension Directory {
    /// The proof for its requests; nil where they are not sent over the web.
    ///
    /// - Throws: ``DirectoryFault`` where the definition cannot be used.
    public func proof() throws(DirectoryFault) -> DirectoryProof? {
        switch kind {
        case .entra:
            let tenant = FormEncoding.escape(tenant ?? "")
            return .token(
                OAuthGrant(
                    connection: id,
                    endpoint: try login("https://login.microsoftonline.com", "/\(tenant)/oauth2/v2.0/token"),
                    clientID: clientID ?? "", proof: .secret(secret ?? Secret([])),
                    // The scope names the API by its own address, also in national clouds.
                    scopes: [try graphResource() + "/.default"], addresses: addresses))
        case .okta:
            guard let clientID else {
                return .header(Secret(Array("SSWS ".utf8) + (secret?.exposedBytes ?? [])))
            }
            return .token(
                OAuthGrant(
                    connection: id, endpoint: try login("https://" + (host ?? ""), "/oauth2/v1/token"), clientID: clientID,
                    proof: .privateKey(.init(secret ?? Secret([]), id: keyID)), scopes: ["okta.users.read", "okta.groups.read"],
                    addresses: .anywhere))
        case .google:
            let key = try ServiceAccountKey(secret ?? Secret([]))
            let scopes = ["user", "group"].map { "https://www.googleapis.com/auth/admin.directory.\($0).readonly" }
            return .token(
                OAuthGrant(
                    connection: id, endpoint: try login(ServiceAccountKey.tokenURI, ""), clientID: key.email,
                    proof: .bearer(.init(key.privateKey, id: key.keyID), subject: subject), scopes: scopes,
                    addresses: addresses))
        case .activeDirectory, .agent: return nil
        }
    }

    private var addresses: AddressPolicy { loginURL != nil ? .anywhere : .publicOnly }

    private func graphResource() throws(DirectoryFault) -> String { try api("https://graph.microsoft.com").origin }

    private func login(_ standard: String, _ path: String) throws(DirectoryFault) -> WebURL {
        let text = loginURL ?? standard
        guard let url = WebURL((text.hasSuffix("/") ? String(text.dropLast()) : text) + path), url.query == nil else {
            throw DirectoryFault(.refused, "The address for tokens of '\(id)', \(text), is no https:// URL without a query.")
        }
        return url
    }
}

/// A service account's key file, as Google's console gives it out.
public struct ServiceAccountKey: Sendable {
    /// Where tokens come from: no other place is believed, whatever the file says.
    public static let tokenURI = "https://oauth2.googleapis.com/token"
    private static let leastBits = 2048

    public var email: String
    public var keyID: String
    public var privateKey: Secret
    /// The account's number, which domain-wide delegation is given to.
    public var clientID: String?

    /// - Throws: ``DirectoryFault`` that says what is wrong with the file, and nothing that is in it.
    public init(_ file: Secret) throws(DirectoryFault) {
        func refused(_ reason: String) -> DirectoryFault {
            DirectoryFault(.refused, "The service account's key file cannot be used: \(reason).")
        }
        guard file.count <= Directory.keyFileLimit else {
            throw refused("it has \(file.count) bytes, and \(Directory.keyFileLimit) are the most")
        }
        guard let text = String(validating: file.exposedBytes, as: UTF8.self), let tree = try? JSONTree.parse(text),
            tree.isObject
        else { throw refused("it is no JSON object") }
        guard tree["type"]?.string == "service_account" else { throw refused("its type is not service_account") }
        guard tree["token_uri"]?.string == Self.tokenURI else { throw refused("its token_uri is not \(Self.tokenURI)") }
        guard let email = tree["client_email"]?.string, email.contains("@"), let keyID = tree["private_key_id"]?.string,
            let pem = tree["private_key"]?.string
        else { throw refused("client_email, private_key_id or private_key is missing") }
        let key = Secret(Array(pem.utf8))
        guard let bits = try? RSAPrivateKey(key).bits else { throw refused("its private_key is no RSA key in PEM") }
        guard bits >= Self.leastBits else { throw refused("its key has \(bits) bits, and \(Self.leastBits) are the least") }
        self.email = email
        self.keyID = keyID
        privateKey = key
        clientID = tree["client_id"]?.string
    }
}
