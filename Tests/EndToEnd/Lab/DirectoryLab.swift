internal import Foundation
internal import Testing

/// A closed gate before a tunnel that is online, and a company's directory on the internet of the lab.
struct DirectoryLab: Sendable {
    /// The gateway's own pages.
    static let origin = "https://10.1.0.1"
    /// The directory's host.
    static let address = "203.0.113.82"
    /// What the simulators expect (`tools/simulators/directory.py`).
    static let clientID = "22222222-2222-2222-2222-222222222222"
    static let secret = "abc~s3cret+/with signs"
    static let apiToken = "00simulated-token"

    let lab: Lab
    let gateway: Gatehoused
    let folder: String

    /// Runs `body` with a tunnel that is up, nobody signed in, and no directory yet.
    static func with(_ body: @Sendable (DirectoryLab) async throws -> Void) async throws {
        try await Lab.with { lab in
            let folder = lab.file("directory")
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try await must(
                "openssl",
                [
                    "req", "-x509", "-newkey", "rsa:2048", "-sha256", "-nodes", "-days", "30", "-subj", "/CN=directory",
                    "-addext", "subjectAltName=IP:\(address)", "-keyout", folder + "/dir.key", "-out", folder + "/dir.crt",
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
                      ca: \(folder)/dir.crt

                    """)
            try await gateway.add(Pair.connector(lab.topology, .gcm))
            try await gateway.waitForOnline()
            try await lab.waitForPing()
            try await gateway.mustCLI(["gate", "enable"])
            try await body(DirectoryLab(lab: lab, gateway: gateway, folder: folder))
        }
    }

    var certificate: String { folder + "/dir.crt" }
    private static let root =
        (((#filePath as NSString).deletingLastPathComponent as NSString).deletingLastPathComponent as NSString)
        .deletingLastPathComponent + "/.."

    /// Starts the simulator of a vendor.
    func simulate(_ vendor: String, _ options: [String] = []) async throws {
        let child = try lab.start(
            "/usr/bin/python3",
            [
                Self.root + "/tools/simulators/directory.py", "--vendor", vendor, "--address", Self.address, "--certificate",
                certificate, "--key", folder + "/dir.key",
            ] + options, on: .internet, log: "directory-\(vendor).log")
        try await eventually("the simulator listens") { child.log.contains("ready") }
    }

    /// Changes what the simulator has, or how it behaves.
    func control(_ order: String) async throws {
        try await lab.must(
            "curl",
            ["-sS", "--fail", "--max-time", "20", "--cacert", certificate, "-d", order, "https://\(Self.address)/control"],
            on: .internet)
    }

    /// How often a path of the simulator was asked for.
    func asked(_ path: String) async throws -> Int {
        struct Answer: Decodable { var asked: [String: Int] }
        let text = try await lab.must(
            "curl", ["-sS", "--fail", "--cacert", certificate, "https://\(Self.address)/control"], on: .internet)
        return try JSONDecoder().decode(Answer.self, from: Data(text.utf8)).asked[path] ?? 0
    }

    // MARK: A real domain controller

    static let controller = "10.99.0.10"
    var authority: String { folder + "/samba/ca.pem" }

    /// Starts Samba as a domain controller on the internet of the lab, with so many people beside ada, ben and cam
    /// (`Tests/EndToEnd/ActiveDirectory/samba.sh`).
    func startSamba(people: Int) async throws {
        _ = try await lab.ip(["addr", "add", Self.controller + "/24", "dev", "lo"], on: .internet)
        try await must(
            "bash",
            [
                Self.root + "/Tests/EndToEnd/ActiveDirectory/samba.sh", folder + "/samba", lab.namespace(.internet),
                Self.controller, String(people),
            ], seconds: 300)
    }

    func stopSamba() async throws {
        let pid = try String(contentsOfFile: folder + "/samba/dc/samba.pid", encoding: .utf8)
        _ = try await run("kill", [pid.trimmingCharacters(in: .whitespacesAndNewlines)])
    }

    /// Changes entries of the domain, as its administrator.
    func ldap(_ program: String, _ words: [String], _ input: String = "") async throws {
        let file = try lab.write(input, to: "change.ldif")
        try await lab.must(
            "env",
            [
                "LDAPTLS_CACERT=\(authority)", "LDAPTLS_REQCERT=demand", "LDAPSASL_NOCANON=on", program, "-x", "-H",
                "ldaps://" + Self.controller, "-D", "administrator@corp.example", "-w", "Passw0rd!2024",
            ] + (input.isEmpty ? [] : ["-f", file]) + words, on: .internet)
    }

    /// Sets what an account may do: 512 enabled, 514 disabled.
    func setControl(_ name: String, _ value: Int) async throws {
        try await ldap(
            "ldapmodify", [],
            """
            dn: CN=\(name),CN=Users,DC=corp,DC=example
            changetype: modify
            replace: userAccountControl
            userAccountControl: \(value)

            """)
    }

    func secretFile(_ secret: String) throws -> String { try lab.write(secret + "\n", to: "directory-secret") }

    func addEntra(_ more: [String] = []) async throws {
        try await gateway.mustCLI(
            [
                "directory", "add", "entra", "--tenant", "contoso.example", "--client-id", Self.clientID, "--secret-file",
                secretFile(Self.secret), "--api-url", "https://" + Self.address, "--login-url", "https://" + Self.address,
            ] + more)
    }

    // MARK: What came of it

    struct Status: Decodable, Sendable {
        var lastSyncAt: String?
        var lastError: String?
        var question: String?
        var users: Int
        var added: Int
        var disabled: Int
        var requests: Int
        var secretEndsAt: String?
        var warnings: [String]
    }

    func status(_ name: String) async throws -> Status {
        let text = try await gateway.mustCLI(["directory", "status", name, "--json"])
        return try JSONDecoder().decode(Status.self, from: Data(text.utf8))
    }

    struct User: Decodable, Sendable {
        var email: String
        var isEnabled: Bool
        var groups: [String]
        var tags: [String]
    }

    func users() async throws -> [String: User] {
        let text = try await gateway.mustCLI(["user", "list", "--json"])
        let users = try JSONDecoder().decode([User].self, from: Data(text.utf8))
        return Dictionary(uniqueKeysWithValues: users.map { (String($0.email.prefix { $0 != "@" }), $0) })
    }

    /// The names of the users who may sign in.
    func enabled() async throws -> [String] { try await users().filter(\.value.isEnabled).keys.sorted() }

    /// Synchronises now; what it says, and whether it was done.
    @discardableResult
    func sync(_ name: String, _ options: [String] = []) async throws -> (text: String, isDone: Bool) {
        let output = try await gateway.cli(["directory", "sync", name] + options)
        return (output.text, output.status == 0)
    }
}
