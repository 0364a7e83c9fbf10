internal import Foundation
internal import Glibc

/// A service that people may sign in to, as the identity provider knows it.
struct SignInService: Encodable, Sendable {
    /// The service's own entity ID, which is the audience of what it gets.
    var entityID: String
    /// Its assertion consumer service.
    var consumer: String
    /// Where its single log-out is; nil for none.
    var logout: String?
    /// A certificate in PEM that assertions are encrypted for; nil leaves them readable.
    var encryptFor: String?

    private enum Key: String, CodingKey {
        case consumer = "AssertionConsumerService"
        case logout = "SingleLogoutService"
        case encryptFor
    }

    /// The entity ID is not part of it: it is the key in the provider's list.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(consumer, forKey: .consumer)
        try container.encodeIfPresent(logout, forKey: .logout)
        if encryptFor != nil { try container.encode(Self.encryptionFile(entityID), forKey: .encryptFor) }
    }

    static func encryptionFile(_ entityID: String) -> String {
        "encrypt-" + Data(entityID.utf8).base64EncodedString().filter { $0.isLetter || $0.isNumber } + ".crt"
    }
}

/// Somebody who has an account at the identity provider.
struct Person: Encodable, Sendable {
    var password: String
    var email: String
    var firstName: String
    var lastName: String

    static let ada = Person(
        password: "engine-1843", email: "ada@corp.example", firstName: "Ada", lastName: "O'Lovelace & Sons")
    static let grace = Person(
        password: "nanosecond-1952", email: "grace@corp.example", firstName: "Grace", lastName: "Hopper")
}

/// SimpleSAMLphp as the company's identity provider, on the internet of the lab and with TLS before it.
///
/// It is another site than the gateway's pages, so a browser treats what goes between the two as it does in real life.
final class SimpleSAMLphp: Sendable {
    static let name = "login.corp.example"
    static let address = "203.0.113.80"
    static let origin = "https://" + name
    static let entityID = origin + "/idp"

    private let lab: Lab
    private let folder: String
    /// The certificate of its web server, to be pinned by browsers.
    var webCertificate: String { folder + "/web.crt" }

    /// Starts it and waits until it answers.
    ///
    /// - Parameter services: the services that it knows to begin with.
    init(_ lab: Lab, services: [SignInService]) async throws {
        self.lab = lab
        folder = lab.file("provider")
        try FileManager.default.createDirectory(atPath: folder + "/sessions", withIntermediateDirectories: true)
        try await makeKey("web", name: Self.name)
        try await makeKey("first")
        try configure(services: services)
        _ = try await lab.ip(["addr", "add", Self.address + "/32", "dev", "lo"], on: .internet)
        // The client has no public address: the way back leads through the gateway.
        _ = try await lab.ip(
            ["route", "add", Topology.localNetwork, "via", lab.topology.customer], on: .internet)
        _ = try lab.start(
            "php", ["-S", "127.0.0.1:8080", "-t", try webRoot()], on: .internet,
            environment: ["GATEHOUSE_IDP": folder, "SIMPLESAMLPHP_CONFIG_DIR": Self.configuration], log: "php.log")
        _ = try lab.start(
            "socat",
            [
                "OPENSSL-LISTEN:443,bind=\(Self.address),reuseaddr,fork,verify=0,cert=\(webCertificate),"
                    + "key=\(folder)/web.key", "TCP:127.0.0.1:8080",
            ], on: .internet, log: "provider-tls.log")
        try await eventually("the identity provider answers") { try await self.metadata().contains("IDPSSODescriptor") }
    }

    /// What it says of itself: its key or keys, and where requests go.
    func metadata() async throws -> String {
        try await lab.must(
            "curl",
            [
                "-sS", "--fail", "--max-time", "10", "--cacert", webCertificate, "--resolve",
                "\(Self.name):443:\(Self.address)", Self.origin + "/simplesamlphp/saml2/idp/metadata.php",
            ], on: .internet)
    }

    /// The address of a service's tile in the company's app portal: there people begin who sign in at the provider.
    static func tile(_ service: SignInService) -> String {
        origin + "/simplesamlphp/saml2/idp/SSOService.php?spentityid="
            + (service.entityID.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? "")
    }

    /// Where people sign out at the provider, which then tells the services.
    static func signOut(returningTo address: String) -> String {
        origin + "/simplesamlphp/saml2/idp/initSLO.php?RelayState="
            + (address.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? "")
    }

    /// Puts other settings in force: they hold from the next request on.
    ///
    /// - Parameters:
    ///   - key: the name of the key that signs, see ``makeKey(_:name:)``.
    ///   - next: the name of a key that is announced in the metadata and does not sign yet.
    ///   - sessionSeconds: how long people stay signed in, at the services too; nil for its default of eight hours.
    func configure(
        services: [SignInService], key: String = "first", next: String? = nil, sessionSeconds: Int? = nil
    ) throws {
        struct Settings: Encodable {
            var origin = SimpleSAMLphp.origin
            var entityID = SimpleSAMLphp.entityID
            var key: String
            var nextKey: String?
            var sessionSeconds: Int?
            var people: [String: Person] = ["ada": .ada, "grace": .grace]
            var services: [String: SignInService]
        }
        for service in services {
            guard let certificate = service.encryptFor else { continue }
            try certificate.write(
                toFile: folder + "/" + SignInService.encryptionFile(service.entityID), atomically: true, encoding: .utf8)
        }
        let settings = Settings(
            key: key, nextKey: next, sessionSeconds: sessionSeconds,
            services: Dictionary(services.map { ($0.entityID, $0) }, uniquingKeysWith: { $1 }))
        try JSONEncoder().encode(settings).write(to: URL(fileURLWithPath: folder + "/provider.json"), options: .atomic)
    }

    /// Makes a key pair with a certificate of its own.
    func makeKey(_ file: String, name: String = "Corp identity provider") async throws {
        try await makeCertificate(folder + "/" + file, name: name)
    }

    /// Beside this file: what SimpleSAMLphp is told about itself.
    private static let configuration =
        ((#filePath as NSString).deletingLastPathComponent as NSString).deletingLastPathComponent + "/IdentityProvider"

    /// A folder that has SimpleSAMLphp's pages where its addresses say.
    private func webRoot() throws -> String {
        let place = ProcessInfo.processInfo.environment["GATEHOUSE_SIMPLESAMLPHP"] ?? "/usr/share/simplesamlphp"
        guard access(place + "/www/saml2/idp/SSOService.php", R_OK) == 0 else {
            throw LabError(
                "SimpleSAMLphp is not at \(place). tools/test brings it; or install it with: apt-get install "
                    + "simplesamlphp php-cli php-xml php-mbstring")
        }
        let root = folder + "/web"
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(
            atPath: root + "/simplesamlphp", withDestinationPath: place + "/www")
        return root
    }
}

/// Makes `PATH.key` and `PATH.crt`, which is signed by the key itself.
func makeCertificate(_ path: String, name: String) async throws {
    try await must(
        "openssl",
        [
            "req", "-x509", "-newkey", "rsa:2048", "-sha256", "-nodes", "-days", "30", "-subj", "/CN=" + name,
            "-addext", "subjectAltName=DNS:" + name.filter { $0 != " " }, "-keyout", path + ".key", "-out", path + ".crt",
        ])
}

extension Browser {
    /// Fills in the provider's form, when it shows.
    func signInAtProvider(_ name: String, _ password: String) async throws {
        try await fill("Username", with: name)
        try await fill("Password", with: password)
        try await click("Login")
    }
}
