internal import Foundation
internal import Testing

/// An ``OpenIDLab`` with Okta in it, endpoint protection platforms on the internet, and the policies of an administrator who
/// wants healthy Windows machines only.
struct PostureLab: Sendable {
    /// The platforms' host.
    static let address = "203.0.113.82"

    let openID: OpenIDLab
    var lab: Lab { openID.lab }
    var gateway: Gatehoused { openID.gateway }

    /// A platform as the lab runs it.
    struct Platform: Sendable {
        var vendor: String
        /// What `epp add` needs beside the URL.
        var options: [String] = []
        /// What a device is like there when its agent is old.
        var outdated: String
        /// What the simulator takes for a key.
        var key = "k3y-of-the-lab"
        /// Where it differs from what the others need, the words of the check's requirements.
        var requirements = ["avAgentOutdated=no", "infected=no"]

        static let sentinelOne = Platform(vendor: "sentinelone", outdated: #""upToDate": false"#)
        static let gravityZone = Platform(vendor: "gravityzone", outdated: #""upToDate": false"#)
        static let defender = Platform(
            vendor: "defender",
            options: [
                "--tenant", "11111111-1111-1111-1111-111111111111", "--client-id", "22222222-2222-2222-2222-222222222222",
                "--token-url",
                "https://\(PostureLab.address)/11111111-1111-1111-1111-111111111111/oauth2/v2.0/token",
            ], outdated: #""upToDate": false"#)
        static let heimdal = Platform(
            vendor: "heimdal", options: ["--customer", "12345", "--set", "minimum-version=4.6.2"],
            outdated: #""version": "4.0.0""#)
    }

    /// Runs `body` with the gate closed, a platform connected as `s1`, and no policies yet.
    static func with(
        _ platform: Platform = .sentinelOne, _ options: [String] = [], _ body: @Sendable (PostureLab) async throws -> Void
    ) async throws {
        try await OpenIDLab.with { openID in
            let posture = PostureLab(openID: openID)
            try await posture.start(platform)
            try await openID.simulate("okta")
            try await openID.gateway.mustCLI([
                "idp", "add", "okta", "--domain", OpenIDLab.address, "--client-id", OpenIDLab.clientID, "--secret-file",
                openID.secretFile(), "--create-users",
            ])
            let key = try openID.lab.write(platform.key + "\n", to: "epp.secret")
            try await openID.gateway.mustCLI(
                [
                    "epp", "add", platform.vendor, "s1", "--url", "https://\(address)", "--any-host", "--key-file", key,
                    "--refresh", "10", "--look-up-age", "0",
                ] + platform.options + options)
            try await body(posture)
        }
    }

    private func start(_ platform: Platform) async throws {
        let folder = lab.file("epp")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        _ = try await lab.ip(["addr", "add", Self.address + "/32", "dev", "lo"], on: .internet)
        // One CA stands in the boot file: the provider's certificate signs this one.
        try await must(
            "openssl",
            [
                "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=epp", "-keyout", folder + "/epp.key", "-out",
                folder + "/epp.csr",
            ])
        let extensions = try lab.write("subjectAltName=IP:\(Self.address)\n", to: "epp/extensions")
        try await must(
            "openssl",
            [
                "x509", "-req", "-in", folder + "/epp.csr", "-CA", openID.certificate, "-CAkey",
                openID.certificate.replacingOccurrences(of: ".crt", with: ".key"), "-CAcreateserial", "-days", "30",
                "-extfile", extensions, "-out", folder + "/epp.crt",
            ])
        let child = try lab.start(
            "/usr/bin/python3",
            [
                OpenIDLab.root + "/tools/simulators/epp.py", "--vendor", platform.vendor, "--address", Self.address,
                "--certificate", folder + "/epp.crt", "--key", folder + "/epp.key", "--state", folder + "/devices.json",
            ], on: .internet, log: "epp-\(platform.vendor).log")
        try await eventually("the platform listens") { child.log.contains("ready") }
    }

    /// Changes devices, or how the platform behaves.
    func platform(_ order: String) async throws {
        try await lab.must(
            "curl",
            [
                "-sS", "--fail", "--max-time", "20", "--cacert", openID.certificate, "-d", order,
                "https://\(Self.address)/control",
            ], on: .internet)
    }

    /// The card that the client has.
    func clientCard() async throws -> String {
        try await lab.ip(["link", "show", "dev", "eth0"], on: .client)
            .firstMatch(of: /ether ([0-9a-f:]{17})/).map { String($0.output.1) } ?? ""
    }

    /// Enrols the client as a healthy Windows machine, which more members make another one.
    func enrol(_ members: String = "", id: String = "1", macs: [String]? = nil, addresses: [String] = [Topology.client])
        async throws
    {
        let cards = if let macs { macs } else { [try await clientCard()] }
        func list(_ words: [String]) -> String { "[" + words.map { "\"\($0)\"" }.joined(separator: ", ") + "]" }
        try await platform(
            #"{"device": {"id": "\#(id)", "name": "fin-lt-04\#(id)", "macs": \#(list(cards)), "addresses": "#
                + list(addresses) + (members.isEmpty ? "" : ", " + members) + "}}")
    }

    /// "Windows machines must have an up-to-date agent and no infection; people in Finance may only come from such machines",
    /// by the words of README.md.
    func setPolicies(_ platform: Platform = .sentinelOne) async throws {
        let requirements = platform.requirements.flatMap { ["--require", "s1:\($0)"] }
        for words in [
            ["posture", "check", "add", "windows", "--os", "windows"] + requirements,
            ["behaviour", "add", "healthy", "--posture", "windows", "--trigger", "passes"],
            ["behaviour", "add", "unhealthy", "--posture", "windows", "--trigger", "fails"],
            ["policy", "add", "Windows must be healthy", "--when", "unhealthy", "--deny"],
            ["policy", "add", "Finance from healthy Windows", "--group", "Finance", "--when", "healthy", "--allow"],
            ["policy", "add", "Finance else", "--group", "Finance", "--deny-and-notify"],
        ] { try await gateway.mustCLI(words) }
    }

    /// Waits until what the platform says is in the mirror. Heimdal permits a few calls a minute.
    func sync() async throws { try await gateway.mustCLI(["epp", "sync", "s1"], seconds: 240) }

    func expectIn(_ name: String = "ada") async throws {
        let page = try await openID.signIn("okta", as: name)
        #expect(page.status == 200 && page.text.contains("You are connected"), "\(page)")
        #expect(try await openID.isAdmitted())
    }

    /// A refusal by a policy: the page says what is wrong with the device, the audit trail why under the page's reference.
    func expectOut(_ name: String = "ada", page words: String, audit reason: String) async throws {
        let page = try await openID.signIn("okta", as: name)
        #expect(page.status == 403 && page.text.contains(words), "\(page)")
        let reference = try #require(page.reference, "\(page)")
        let lines = try await gateway.mustCLI(["audit", "--json"]).split(separator: "\n")
        #expect(lines.contains { $0.contains(reference) && $0.contains(reason) }, "\(reference): \(lines.prefix(20))")
    }

    /// A transfer from the client that goes on until something stops it.
    func startTransfer() async throws -> Child {
        let name = UUID().uuidString
        _ = try lab.start(
            "socat", ["-u", "TCP4-LISTEN:5998,reuseaddr,fork", "CREATE:/dev/null"], on: .vpc, log: "receiver-\(name).log")
        let sender = try lab.start(
            "socat", ["-u", "FILE:/dev/zero", "TCP:\(Topology.vpc):5998,retry=50,interval=0.1"], on: .client,
            log: "sender-\(name).log")
        try await eventually("the transfer runs") { try await gateway.sessions().first.map { $0.bytesOut > 1_000_000 } ?? false }
        return sender
    }
}
