internal import Foundation
internal import Glibc

/// What `GET /v1/tunnels` says of a tunnel: the names that monitoring depends on, read on their own terms.
struct TunnelReport: Decodable, Sendable {
    struct IKE: Decodable, Sendable, Equatable {
        var initiatorSPI: String
        var responderSPI: String
        var proposal: String
        var authentication: Authentication?
    }
    struct Authentication: Decodable, Sendable, Equatable {
        struct Certificate: Decodable, Sendable, Equatable {
            var subject: String
            var notAfter: String
        }
        var local: String
        var remote: String
        var peerCertificate: Certificate?
        var ppk: Bool
    }
    struct ChildSA: Decodable, Sendable, Equatable {
        var spiIn: String
        var spiOut: String
        var proposal: String
        var bytesIn: UInt64
        var bytesOut: UInt64
        var packetsIn: UInt64
        var packetsOut: UInt64
        var localNetworks: [String]
        var remoteNetworks: [String]
    }
    struct DPD: Decodable, Sendable {
        var lastSeen: String?
        var roundTripMilliseconds: Double?
        var retransmits: Int
    }

    var connector: String
    var tunnel: String
    var state: String
    var isActive: Bool
    var remoteAddress: String?
    var dataPath: String
    var interface: String?
    var ike: IKE?
    var children: [ChildSA]
    var dpd: DPD
    var weaknesses: [String]
    var warnings: [String]?
    var lastError: String?
}

/// A connector by hand: one tunnel, everything to everything unless it says otherwise.
struct ConnectorFile: Sendable {
    var name = "lab"
    var initiation = "initiate"
    var localAddress: String
    var remoteAddress: String
    /// The address to send from; behind a NAT it is not ``localAddress``.
    var bindAddress: String?
    var psk: String
    /// Lines below phase1 in the place of `psk`.
    var authentication: [String]?
    var localID: String?
    var remoteID: String?
    var encryption: String
    /// Empty with an AEAD cipher.
    var integrity: String
    /// Of phase 1: with an AEAD cipher it names the PRF.
    var phase1Integrity: String
    var group: Int
    var localSelectors = ["0.0.0.0/0"]
    var remoteSelectors = ["0.0.0.0/0"]
    var localNetworks = [Topology.localNetwork]
    var remoteNetworks = [Topology.remoteNetwork]
    /// `local/30` and `remote/30`.
    var inside: (local: String, remote: String)?
    var dpdDelay = 10
    var dpdTimeout = 30
    var ikeLifetime = 28_800
    var childLifetime = 3_600
    var childless = false
    var childLifetimeBytes: Int?
    /// A phase 2 of its own for each of these of our networks; empty for one with ``localSelectors``.
    var networksApart: [String] = []

    var text: String {
        func list(_ items: [String]) -> String { "[" + items.map { "\"\($0)\"" }.joined(separator: ", ") + "]" }
        return """
            id: \(name)
            name: \(name)
            initiation: \(initiation)
            localNetworks: \(list(localNetworks))
            remoteNetworks: \(list(remoteNetworks))
            tunnels:
              - name: \(name)-1
                phase1:
                  localAddress: \(localAddress)
                  remoteAddress: \(remoteAddress)\(bindAddress.map { "\n      bindAddress: \($0)" } ?? "")
                  \((authentication ?? ["psk: \"\(psk)\""]).joined(separator: "\n      "))\(identityText)
                  encryption: [\(encryption)]
                  integrity: [\(phase1Integrity)]
                  dhGroups: [\(group)]
                  lifetimeSeconds: \(ikeLifetime)
                  dpd: {delaySeconds: \(dpdDelay), timeoutSeconds: \(dpdTimeout), action: restart}
                  childless: \(childless)
                phase2:
            \(phase2)\(insideText)

            """
    }

    private var phase2: String {
        guard !networksApart.isEmpty else {
            return phase2(localSelectors).map { "      " + $0 }.joined(separator: "\n")
        }
        return networksApart.map { network in
            "      - name: from-\(network.prefix { $0 != "/" })\n"
                + phase2([network]).map { "        " + $0 }.joined(separator: "\n")
        }.joined(separator: "\n")
    }

    private func phase2(_ local: [String]) -> [String] {
        func list(_ items: [String]) -> String { "[" + items.map { "\"\($0)\"" }.joined(separator: ", ") + "]" }
        return [
            "encryption: [\(encryption)]", "integrity: [\(integrity)]", "pfsGroups: [\(group)]",
            "lifetimeSeconds: \(childLifetime)", "localSelectors: \(list(local))",
            "remoteSelectors: \(list(remoteSelectors))",
        ] + (childLifetimeBytes.map { ["lifetimeBytes: \($0)"] } ?? [])
    }

    private var identityText: String {
        [("localID", localID), ("remoteID", remoteID)].compactMap { key, value in
            value.map { "\n      \(key): \"\($0)\"" }
        }.joined()
    }

    private var insideText: String {
        inside.map { "\n    inside: {localAddress: \($0.local), remoteAddress: \($0.remote)}" } ?? ""
    }
}

/// Our daemon on one host of the lab, and the command line that speaks to it.
final class Gatehoused: Sendable {
    let lab: Lab
    let host: Host
    private let folder: String
    private let bootFile: String
    private let process = ProcessBox()

    /// Starts the daemon with an empty store and waits until it answers. Two on one host, one after the other, need
    /// different names.
    ///
    /// - Parameter boot: what stands in its boot file.
    init(_ lab: Lab, on host: Host = .gateway, name: String = "gatehouse", boot: String = "") async throws {
        self.lab = lab
        self.host = host
        folder = lab.file("\(name)-\(host)")
        bootFile = try lab.write(boot, to: "\(name)-\(host)/gatehoused.yaml")
        try FileManager.default.createDirectory(atPath: folder + "/state", withIntermediateDirectories: true)
        try await start()
    }

    private var sockets: String { folder + "/run" }
    var stateFolder: String { folder + "/state" }
    var statusSocket: String { sockets + "/status.sock" }
    var controlSocket: String { sockets + "/control.sock" }

    /// Starts it, also again after it ended. What it stored is still there.
    func start() async throws {
        process.current = try lab.start(
            Self.binary("gatehoused"),
            [
                "--config", bootFile, "--state-directory", folder + "/state", "--runtime-directory", sockets,
                "--data-path", "userspace", "--log-level", "debug",
            ],
            on: host, log: "gatehoused-\(host).log")
        try await eventually("gatehoused on \(host) answers") {
            if let status = self.process.current?.exitStatus {
                throw LabError("gatehoused ended with \(status)")
            }
            let code = try await run(
                "curl",
                [
                    "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "2", "--unix-socket",
                    self.controlSocket, "http://localhost/health",
                ]
            ).text
            return code == "200" || code == "503"
        }
    }

    /// SIGTERM: tunnels are deleted at the peer and everything is taken away. The exit status, nil if it hangs.
    func stop() async -> Int32? {
        process.current?.signal(SIGTERM)
        return await process.current?.wait(seconds: 15)
    }

    func kill() async { await process.current?.end(gracefully: false) }

    /// What it keeps while the machine is up goes, as when the machine starts anew.
    func forgetRuntime() throws {
        for name in try FileManager.default.contentsOfDirectory(atPath: sockets) {
            try FileManager.default.removeItem(atPath: sockets + "/" + name)
        }
    }

    func reload() { process.current?.signal(SIGHUP) }
    var log: String { process.current?.log ?? "" }
    var logFile: String? { process.current?.logFile }
    var pid: pid_t? { process.current?.pid }

    // MARK: The command line

    /// Runs `gatehouse` with these words.
    func cli(_ arguments: [String], seconds: Double = 30) async throws -> Output {
        try await run(Self.binary("gatehouse"), ["--socket-directory", sockets] + arguments, seconds: seconds)
    }

    @discardableResult
    func mustCLI(_ arguments: [String], seconds: Double = 30) async throws -> String {
        let output = try await cli(arguments, seconds: seconds)
        guard output.status == 0 else {
            throw LabError("gatehouse \(arguments.joined(separator: " ")) ended with \(output.status): \(output.text)")
        }
        return output.text
    }

    func importAWS(_ file: String, _ options: [String] = []) async throws {
        try await mustCLI(
            [
                "import", "aws-vpn", file, "--local-network", Topology.localNetwork, "--remote-network",
                Topology.remoteNetwork,
            ] + options)
    }

    func add(_ connector: ConnectorFile) async throws {
        try await mustCLI([
            "connector", "add", lab.write(connector.text, to: "connector-\(host)-\(connector.name).yaml"),
        ])
    }

    func rekeyIKE(_ connector: String) async throws {
        try await mustCLI(["connector", "rekey", connector, "--phase", "ike"])
    }

    func rekeyChild(_ connector: String) async throws {
        try await mustCLI(["connector", "rekey", connector, "--phase", "child"])
    }

    // MARK: The status socket

    func get(_ path: String) async throws -> String {
        try await must(
            "curl", ["-sS", "--fail", "--max-time", "5", "--unix-socket", statusSocket, "http://localhost" + path])
    }

    func tunnels() async throws -> [TunnelReport] {
        let text = try await get("/v1/tunnels")
        do {
            return try JSONDecoder().decode([TunnelReport].self, from: Data(text.utf8))
        } catch {
            throw LabError("GET /v1/tunnels answered something else than tunnels (\(error)): \(text)")
        }
    }

    func tunnel(_ name: String = "lab-1") async throws -> TunnelReport {
        guard let tunnel = try await tunnels().first(where: { $0.tunnel == name }) else {
            throw LabError("There is no tunnel \(name)")
        }
        return tunnel
    }

    /// Waits until a tunnel fulfils a condition, and gives its status then.
    @discardableResult
    func waitFor(
        _ name: String = "lab-1", _ expectation: String, within seconds: Double = 20,
        _ condition: @escaping @Sendable (TunnelReport) -> Bool
    ) async throws -> TunnelReport {
        do {
            return try await eventually("\(name) is \(expectation)", within: seconds, every: .milliseconds(100)) {
                let tunnel = try await self.tunnel(name)
                return condition(tunnel) ? tunnel : nil
            }
        } catch let error as LabError {
            let now = (try? await get("/v1/tunnels")) ?? "no answer"
            throw LabError("\(error); the status now: \(now)")
        }
    }

    @discardableResult
    func waitForOnline(_ name: String = "lab-1", within seconds: Double = 20) async throws -> TunnelReport {
        try await waitFor(name, "online", within: seconds) { $0.state == "online" }
    }

    /// Where the build put a program: beside the tests themselves, or where GATEHOUSE_BINARIES says.
    static func binary(_ name: String) throws -> String {
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") as NSString
        let folder = ProcessInfo.processInfo.environment["GATEHOUSE_BINARIES"] ?? tests.deletingLastPathComponent
        let path = folder + "/" + name
        guard access(path, X_OK) == 0 else {
            throw LabError("\(path) is not there. Build it with: swift build --product \(name)")
        }
        return path
    }
}
