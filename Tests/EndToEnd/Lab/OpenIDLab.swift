internal import Foundation
internal import Testing

/// A closed gate before a tunnel that is online, the gateway's sign-in pages, and an OpenID provider on the internet of the
/// lab.
struct OpenIDLab: Sendable {
    static let origin = "https://10.1.0.1"
    static let redirect = origin + "/user/external"
    /// The provider's host.
    static let address = "203.0.113.81"
    /// What the simulators expect (`tools/simulators/openid.py`).
    static let clientID = "gatehouse-client"
    static let secret = "s3cret+/with signs"

    let lab: Lab
    let gateway: Gatehoused
    private let folder: String

    /// Runs `body` with a tunnel that is up, nobody signed in, and no provider yet.
    static func with(_ body: @Sendable (OpenIDLab) async throws -> Void) async throws {
        try await Lab.with { lab in
            let folder = lab.file("openid")
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try await must(
                "openssl",
                [
                    "req", "-x509", "-newkey", "rsa:2048", "-sha256", "-nodes", "-days", "30", "-subj", "/CN=provider",
                    "-addext", "subjectAltName=IP:\(address)", "-keyout", folder + "/op.key", "-out", folder + "/op.crt",
                ])
            _ = try await lab.ip(["addr", "add", address + "/32", "dev", "lo"], on: .internet)
            _ = try await lab.ip(["route", "add", Topology.localNetwork, "via", lab.topology.customer], on: .internet)
            _ = try await StrongSwan(lab, on: .aws1, [Pair.endpoint(lab.topology, .gcm)])
            let gateway = try await Gatehoused(
                lab,
                boot: """
                    portal:
                      address: \(origin)
                      listen: [10.1.0.1]
                    outgoing:
                      ca: \(folder)/op.crt

                    """)
            try await gateway.add(Pair.connector(lab.topology, .gcm))
            try await gateway.waitForOnline()
            try await lab.waitForPing()
            try await gateway.mustCLI(["gate", "enable"])
            let openID = OpenIDLab(lab: lab, gateway: gateway, folder: folder)
            #expect(try await openID.isRefused(), "the gate lets someone through who has not signed in")
            try await body(openID)
        }
    }

    var certificate: String { folder + "/op.crt" }
    private var pageCertificate: String { gateway.stateFolder + "/portal.crt" }

    /// A file with a client secret.
    func secretFile(_ secret: String = Self.secret) throws -> String { try lab.write(secret + "\n", to: "secret") }

    func isRefused() async throws -> Bool { try await lab.ping(count: 1).answered == 0 }
    /// The gate knows nothing between all and nothing; the lab on a busy host does.
    func isAdmitted() async throws -> Bool { try await lab.ping(count: 3).answered > 0 }

    // MARK: The provider

    static let root =
        (((#filePath as NSString).deletingLastPathComponent as NSString).deletingLastPathComponent as NSString)
        .deletingLastPathComponent + "/.."
    private static let scripts = root + "/Tests/EndToEnd/OpenIDProvider"

    /// Starts the simulator of a vendor.
    func simulate(_ vendor: String) async throws {
        let child = try lab.start(
            "/usr/bin/python3",
            [
                Self.root + "/tools/simulators/openid.py", "--vendor", vendor, "--address", Self.address,
                "--certificate", certificate, "--key", folder + "/op.key", "--redirect", Self.redirect,
                "--back-channel", Self.origin + "/user/external/oidc/logout", "--ca", pageCertificate,
            ], on: .internet, log: "openid-\(vendor).log")
        try await eventually("the simulator listens") { child.log.contains("ready") }
    }

    /// Changes how the simulator behaves; what it says to that.
    @discardableResult
    func control(_ order: String) async throws -> String {
        try await lab.must(
            "curl",
            [
                "-sS", "--fail", "--max-time", "20", "--cacert", certificate, "-d", order,
                "https://\(Self.address)/control",
            ], on: .internet)
    }

    /// How often a path of the simulator was asked for.
    func asked(_ path: String) async throws -> Int {
        struct Answer: Decodable { var asked: [String: Int] }
        let text = try await lab.must(
            "curl", ["-sS", "--fail", "--cacert", certificate, "https://\(Self.address)/control"], on: .internet)
        return try JSONDecoder().decode(Answer.self, from: Data(text.utf8)).asked[path] ?? 0
    }

    /// Starts the real OpenID provider glewlwyd, with carol as its user and us as its client.
    func startGlewlwyd() async throws {
        let script = Self.scripts + "/glewlwyd.py"
        try await must("/usr/bin/python3", [script, "prepare", folder, Self.address, certificate, folder + "/op.key"])
        _ = try lab.start(
            "glewlwyd", ["--config-file=\(folder)/glewlwyd.conf"], on: .internet, log: "glewlwyd.log")
        try await eventually("glewlwyd answers") {
            try await lab.run(
                "curl", ["-s", "--cacert", certificate, "https://\(Self.address)/api/"], on: .internet
            ).status == 0
        }
        try await lab.must(
            "/usr/bin/python3", [script, "provision", folder, Self.address, certificate, Self.redirect], on: .internet,
            seconds: 60)
    }

    // MARK: People

    /// Where a sign-in ended.
    struct Page: Decodable, Sendable {
        var status: Int
        var address: String
        var text: String

        /// The reference of a refusal.
        var reference: String? {
            text.firstMatch(of: /reference: ([0-9A-Z]{4}-[0-9A-Z]{4})/).map { String($0.output.1) }
        }
    }

    /// Somebody at the client signs in, by the gateway's page.
    func signIn(
        _ provider: String, as name: String, password: String = "secret", _ options: [String] = []
    ) async throws -> Page {
        let text = try await lab.must(
            "/usr/bin/python3",
            [
                Self.scripts + "/person.py", "--gateway", Self.origin, "--trust", certificate, "--trust", pageCertificate,
                "--provider", provider, "--name", name, "--password", password,
            ] + options, on: .client, seconds: 90)
        return try JSONDecoder().decode(Page.self, from: Data(text.utf8))
    }

    func expectAdmission(_ page: Page, _ person: String, user: String) async throws {
        #expect(page.status == 200 && page.address == Self.origin + "/", "\(page)")
        #expect(page.text.contains("You are connected, \(person)"), "\(page.text)")
        #expect(try await gateway.sessions().map(\.user) == [user])
        #expect(try await isAdmitted())
    }

    /// A refusal that tells no more than it should, whose reason is in the audit trail under the reference of the page, and
    /// after which nobody is in.
    func expectRefusal(_ page: Page, reason: String) async throws {
        #expect(page.status >= 400, "\(page)")
        let reference = try #require(page.reference, "\(page)")
        for word in ["token", "nonce", "issuer", "signature", "secret"] {
            #expect(!page.text.contains(word), "the page speaks of \(word): \(page.text)")
        }
        let events = try await gateway.mustCLI(["audit", "--json"]) + gateway.mustCLI(["events", "--json"])
        let lines = events.split(separator: "\n").filter { $0.contains(reference) }
        #expect(lines.contains { $0.contains(reason) }, "\(reference): \(lines)")
        #expect(try await gateway.sessions().isEmpty)
        #expect(try await isRefused())
    }
}
