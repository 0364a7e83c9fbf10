import Base
import Cryptography
import Foundation
import IKE
import Portal
import PortalFake
import Testing
import Tunnels

@testable import gatehouse

/// `gatehouse connector add`, `edit`, `phase2` and `templates`, from the words of the command to what is sent.
@Suite struct ConnectorByHandTests {
    private static let networks = ["--local-network", "10.1.0.0/16", "--remote-network", "10.2.0.0/16"]
    private static let peer = ["--remote-address", "203.0.113.9"] + networks

    private func run(_ desk: Desk, _ words: [String], input: String = "", environment: [String: String] = [:])
        async throws -> Output
    {
        try await Command.run(
            ["--socket-directory", desk.directory.path, "connector"] + words, input: input, environment: environment)
    }

    private func sent(_ desk: Desk) -> [Connector] { desk.gateway.with { $0.addedConnectors } }

    // MARK: add

    @Test func everyFieldOfTheFormIsAnOption() async throws {
        let desk = try await Desk()
        let words = [
            "add", "Branch Office", "--type", "ikev2", "--interface", "198.51.100.7", "--remote-address",
            "203.0.113.9", "--local-id", "gw.example.org", "--peer-id", "", "--psk-file", "-", "--ike-encryption",
            "aes256,aes128", "--ike-hash", "sha256", "--dh-groups", "14,ecp256", "--ike-lifetime", "8h",
            "--ike-rekey-margin", "10m", "--dpd-delay", "15", "--dpd-timeout", "1m", "--dpd-action", "clear",
            "--force-udp-encapsulation", "yes", "--mobike", "no", "--childless", "yes",
            "--phase2-name", "lan", "--local-network", "10.1.0.0/16,10.3.0.0/16",
            "--remote-network", "10.2.0.0/16", "--esp-encryption", "aes128", "--esp-hash", "sha512", "--pfs", "14",
            "--esp-lifetime", "45m", "--esp-rekey-margin", "300", "--esn", "yes", "--replay-window", "256",
            "--esp-lifetime-bytes", "50G", "--esp-lifetime-packets", "3M",
        ]
        let output = try await run(desk, words, input: "the key of both\n")
        #expect(output.status == 0, "\(output.error)")
        #expect(output.out == "Stored connector branch-office with 1 tunnel.\n")
        let connector = try #require(sent(desk).first)
        #expect(connector.id == "branch-office" && connector.name == "Branch Office")
        #expect(connector.localNetworks.map(\.description) == ["10.1.0.0/16", "10.3.0.0/16"])
        let tunnel = try #require(connector.tunnels.first)
        #expect(
            tunnel.phase1
                == Phase1(
                    localAddress: nil, bindAddress: IPAddress("198.51.100.7"), remoteAddress: IPAddress("203.0.113.9"),
                    localID: .fqdn("gw.example.org"), authentication: .psk(Secret(Array("the key of both".utf8))),
                    encryption: [.aes256, .aes128], integrity: [.sha256], dhGroups: [.modp2048, .ecp256],
                    lifetimeSeconds: 28_800,
                    dpd: Phase1.DPD(delaySeconds: 15, timeoutSeconds: 60, action: .clear),
                    forceUDPEncapsulation: true, rekeyMarginSeconds: 600, isMobile: false, prefersChildless: true))
        #expect(
            tunnel.phase2
                == Phase2(
                    name: "lan", encryption: [.aes128], integrity: [.sha512], pfsGroups: [.modp2048],
                    lifetimeSeconds: 2700, localSelectors: connector.localNetworks,
                    remoteSelectors: connector.remoteNetworks, esn: true, replayWindow: 256, rekeyMarginSeconds: 300,
                    lifetimeBytes: 50_000_000_000, lifetimePackets: 3_000_000))
        await desk.portal.stop()
    }

    @Test func theKeyComesFromTheEnvironmentOrIsMadeButIsNeverAnArgument() async throws {
        let desk = try await Desk()
        let environment = ["BRANCH_KEY": "from the environment"]
        #expect(
            try await run(desk, ["add", "a"] + Self.peer + ["--psk-env", "BRANCH_KEY"], environment: environment).status
                == 0)
        #expect(sent(desk).last?.tunnels[0].phase1.psk == Secret(Array("from the environment".utf8)))
        let made = try await run(desk, ["add", "b"] + Self.peer + ["--generate-psk"])
        let key = try #require(made.out.firstMatch(of: /shown this once: ([A-Za-z0-9]{48})\n/)?.output.1)
        #expect(sent(desk).last?.tunnels[0].phase1.psk == Secret(Array(key.utf8)))
        let argument = try await run(desk, ["add", "c"] + Self.peer + ["--psk", "secret"])
        #expect(argument.status == 2)
        let none = try await run(desk, ["add", "c"] + Self.peer)
        #expect(none.status == 2)
        #expect(none.error.contains("--psk-file FILE (- is standard input), --psk-env VARIABLE or --generate-psk"))
        #expect(sent(desk).count == 2)
        await desk.portal.stop()
    }

    @Test(arguments: [
        (["--ike-encryption", "aes512"], "--ike-encryption", "aes128, aes192, aes256, aes128gcm16"),
        (["--dh-groups", "7"], "--dh-groups", "2 (modp1024), 5 (modp1536), 14 (modp2048)"),
        (["--esp-hash", "md5"], "--esp-hash", "sha1, sha256, sha384, sha512, none"),
        (["--pfs", "yes"], "--pfs", "31 (curve25519), none"),
        (["--dpd-action", "hold"], "--dpd-action", "restart, clear or none"),
        (["--type", "ikev1"], "--type", "must be ikev2"),
        (["--ike-lifetime", "8 hours"], "--ike-lifetime", "3600, 60m, 8h or 1d"),
        (["--local-network", "10.1.0.1/16"], "--local-network", "10.1.0.0/16 is meant?"),
        (["--initiation", "both"], "--initiation", "initiate (we bring the tunnel up) or respond"),
        (["--interface", "nosuchlink0"], "--interface", "this host has no interface 'nosuchlink0'. It has lo"),
        (["--esp-encryption", "aes256", "--esp-integrity", "none"], "--esp-integrity", "sha1, sha256, sha384, sha512"),
        (["--dpd-delay", "60", "--dpd-timeout", "20"], "--dpd-timeout 20", "shorter than --dpd-delay 60"),
        (["--ike-lifetime", "1h", "--ike-rekey-margin", "2h"], "--ike-rekey-margin 7200", "--ike-lifetime 3600"),
        (["--template", "cisco"], "no template 'cisco'", "aws, azure, fortigate, google-cloud, strongswan"),
    ])
    func aWrongValueNamesTheOptionAndWhatIsPermitted(_ words: [String], _ option: String, _ permitted: String)
        async throws
    {
        let desk = try await Desk()
        let output = try await run(desk, ["add", "x"] + Self.peer + ["--generate-psk"] + words)
        #expect(output.status == 2)
        #expect(output.error.contains(option), "\(output.error)")
        #expect(output.error.contains(permitted), "\(output.error)")
        #expect(sent(desk) == [])
        await desk.portal.stop()
    }

    @Test func aDryRunShowsTheDefinitionAndStoresNothing() async throws {
        let desk = try await Desk()
        let output = try await run(desk, ["add", "x", "--template", "azure", "--dry-run"] + Self.peer)
        #expect(output.status == 0, "\(output.error)")
        #expect(output.out.contains("encryption: [aes256, aes128]\n"))
        #expect(output.out.contains("psk: \"(hidden)\"\n"))
        #expect(output.out.hasSuffix("Nothing was stored (--dry-run).\n"))
        #expect(sent(desk) == [])
        await desk.portal.stop()
    }

    @Test func twoPeersAreTwoTunnelsAndAKnownIDIsNotReplacedUnasked() async throws {
        let desk = try await Desk()
        let words = Self.peer + ["--remote-address", "203.0.113.10", "--generate-psk"]
        #expect(try await run(desk, ["add", "pair"] + words).status == 0)
        #expect(sent(desk).last?.tunnels.map(\.name) == ["pair-1", "pair-2"])
        desk.gateway.with { $0.connectors = [.example()] }
        let again = try await run(desk, ["add", "vpn-0a1b"] + words)
        #expect(again.status == 1)
        #expect(again.error.contains("'gatehouse connector edit vpn-0a1b' changes it"))
        #expect(sent(desk).count == 1)
        await desk.portal.stop()
    }

    // MARK: edit

    @Test func anEditTouchesWhatItNamesAndKeepsTheHiddenKey() async throws {
        let desk = try await Desk()
        desk.gateway.with { $0.connectors = [.example()] }
        let output = try await run(desk, ["edit", "vpn-0a1b", "--remote-id", "peer.example.org", "--yes"])
        #expect(output.status == 0, "\(output.error)")
        #expect(output.out.contains("  - vpn-0a1b-1: remote identity none → peer.example.org\n"))
        #expect(output.out.contains("Down and up anew, one at a time: vpn-0a1b-1.\n"))
        var expected = Connector.example()
        expected.tunnels[0].phase1.remoteID = .fqdn("peer.example.org")
        let edited = try #require(sent(desk).first)
        #expect(edited.tunnels[0].phase1.psk == Secret([]))
        #expect(try edited.keepingKeys(of: .example()) == expected)
        #expect(desk.gateway.with { $0.calls.contains("add vpn-0a1b replacing") })
        #expect(!desk.gateway.with { $0.calls.contains { $0.contains("reveal") } })
        await desk.portal.stop()
    }

    @Test func anEditOfALifetimeLetsTheTunnelStandAndWithoutYesNothingIsStored() async throws {
        let desk = try await Desk()
        desk.gateway.with { $0.connectors = [.example()] }
        let words = ["phase2", "edit", "vpn-0a1b", "--esp-lifetime", "30m"]
        let unasked = try await run(desk, words)
        #expect(unasked.status == 2)
        #expect(unasked.error.contains("add --yes to apply it"))
        let planned = try await run(desk, words + ["--dry-run"])
        #expect(planned.out.contains("phase 2 lifetime 3600 → 1800\nNo tunnel goes down by that.\n"), "\(planned.out)")
        #expect(sent(desk) == [])
        let stored = try await run(desk, words + ["--yes", "--json"])
        #expect(stored.out.contains("\"restarts\": []"))
        #expect(stored.out.contains("\"isStored\": true"))
        #expect(sent(desk).map { $0.tunnels[0].phase2.lifetimeSeconds } == [1800])
        await desk.portal.stop()
    }

    @Test func aFurtherPhase2ComesAndGoes() async throws {
        let desk = try await Desk()
        var connector = Connector.example()
        connector.tunnels = [connector.tunnels[0]]
        desk.gateway.with { $0.connectors = [connector] }
        let words = ["phase2", "add", "vpn-0a1b", "guests", "--local-network", "10.77.0.0/16", "--yes"]
        let unnamed = try await run(desk, words)
        #expect(unnamed.status == 2)
        #expect(unnamed.error.contains("give it one with 'gatehouse connector phase2 edit vpn-0a1b --rename NAME'"))
        connector.tunnels[0].phase2.name = "office"
        desk.gateway.with { $0.connectors = [connector] }
        let added = try await run(desk, words)
        #expect(added.status == 0, "\(added.error)")
        let stored = try #require(sent(desk).last)
        #expect(stored.tunnels[0].allPhase2.map(\.name) == ["office", "guests"])
        #expect(stored.tunnels[0].furtherPhase2[0].encryption == connector.tunnels[0].phase2.encryption)
        #expect(stored.tunnels[0].furtherPhase2[0].localSelectors.map(\.description) == ["10.77.0.0/16"])
        desk.gateway.with { $0.connectors = [stored] }
        let removed = try await run(desk, ["phase2", "remove", "vpn-0a1b", "office", "--yes"])
        #expect(removed.status == 0, "\(removed.error)")
        #expect(sent(desk).last?.tunnels[0].allPhase2.map(\.name) == ["guests"])
        await desk.portal.stop()
    }

    @Test func anEditThatChangesNothingStoresNothing() async throws {
        let desk = try await Desk()
        desk.gateway.with { $0.connectors = [.example()] }
        let output = try await run(desk, ["edit", "vpn-0a1b", "--name", "Head office", "--yes"])
        #expect(output.status == 0)
        #expect(output.out == "Connector vpn-0a1b is as it was: nothing has changed.\n")
        #expect(sent(desk) == [])
        await desk.portal.stop()
    }

    @Test func theEditorsTextIsReadAndTheHiddenKeyKept() async throws {
        let desk = try await Desk()
        desk.gateway.with { $0.connectors = [.example()] }
        let editor = ["EDITOR": "sed -i 's/^name: .*/name: Renamed/'"]
        let output = try await run(desk, ["edit", "vpn-0a1b", "--yes"], environment: editor)
        #expect(output.status == 0, "\(output.error)")
        #expect(output.out.contains("  - name Head office → Renamed\nNo tunnel goes down by that.\n"))
        #expect(sent(desk).first?.name == "Renamed")
        #expect(sent(desk).first?.tunnels[0].phase1.psk == Secret([]))
        await desk.portal.stop()
    }

    @Test func theEditorCanDisableAConnector() async throws {
        let desk = try await Desk()
        desk.gateway.with { $0.connectors = [.example()] }
        let editor = ["EDITOR": "sed -i 's/^isEnabled: .*/isEnabled: false/'"]
        let output = try await run(desk, ["edit", "vpn-0a1b", "--yes"], environment: editor)
        #expect(output.out.contains("  - disabled\n"), "\(output.error)")
        #expect(sent(desk).map(\.isEnabled) == [false])
        await desk.portal.stop()
    }

    @Test(arguments: [
        ("sed -i 's/^remoteNetworks: .*/remoteNetworks: [here]/'", "remoteNetworks[0] is 'here'"),
        ("sed -i 's/^id: .*/id: other/'", "the id is 'other' and was 'vpn-0a1b'"), ("false", "did not end well"),
    ])
    func anEditedTextWithAFaultLeavesEverythingAsItWas(_ editor: String, _ fault: String) async throws {
        let desk = try await Desk()
        desk.gateway.with { $0.connectors = [.example()] }
        let output = try await run(desk, ["edit", "vpn-0a1b", "--yes"], environment: ["EDITOR": editor])
        #expect(output.status != 0)
        #expect(output.error.contains(fault), "\(output.error)")
        #expect(sent(desk) == [])
        await desk.portal.stop()
    }

    @Test func theEditorsFileIsOursAloneAndGoneAfterwards() async throws {
        let desk = try await Desk()
        desk.gateway.with { $0.connectors = [.example()] }
        let seen = desk.directory.path + "/file"
        let editor = "f() { stat -c %a\\ %n \"$1\" > \(seen); }; f"
        let output = try await run(desk, ["edit", "vpn-0a1b"], environment: ["EDITOR": editor])
        #expect(output.out == "Nothing was changed.\n", "\(output.error)")
        let words = try String(contentsOfFile: seen, encoding: .utf8).split(separator: " ")
        #expect(words.first == "600")
        let path = try #require(words.last).trimmingCharacters(in: .newlines)
        #expect(path.hasSuffix("/vpn-0a1b.yaml"))
        #expect(!FileManager.default.fileExists(atPath: (path as NSString).deletingLastPathComponent))
        await desk.portal.stop()
    }

    @Test func networksAndSelectorsMoveTogether() throws {
        func networks(_ text: String) throws -> [IPPrefix] { try OptionValue.networks(text) }
        var connector = Connector.example()
        connector.tunnels[0].phase2.localSelectors = connector.localNetworks
        let remote = connector.tunnels[0].phase2.remoteSelectors
        connector.setNetworks(local: try networks("10.9.0.0/16"), remote: try networks("10.8.0.0/16"))
        #expect(connector.tunnels[0].phase2.localSelectors == connector.localNetworks)
        #expect(connector.tunnels[0].phase2.remoteSelectors == remote)
        let wanted = try networks("10.7.0.0/16")
        try connector.editPhase2(nil, in: [0]) { $0.localSelectors = wanted }
        #expect(connector.localNetworks == wanted)
        #expect(connector.remoteNetworks.map(\.description) == ["10.8.0.0/16"])
    }

    // MARK: templates

    @Test func templatesAreListedAndShown() async throws {
        let list = try await Command.run(["connector", "templates"])
        let names = list.out.split(separator: "\n").dropFirst().compactMap { $0.split(separator: " ").first }
        #expect(names == ["modern", "aws", "azure", "fortigate", "google-cloud", "strongswan"])
        let one = try await Command.run(["connector", "templates", "fortigate"])
        #expect(one.out.contains("pfsGroups: [modp2048, ecp384]\n  lifetimeSeconds: 43200\n"), "\(one.out)")
        let modern = try await Command.run(["connector", "templates", "modern"])
        #expect(modern.out.contains("selectors: networks\n"), "\(modern.out)")
        #expect(modern.out.contains("dhGroups: [ecp256, ecp384, curve25519, modp2048]\n"), "\(modern.out)")
    }

    @Test func modernIsWhatHoldsWithoutATemplate() async throws {
        let desk = try await Desk()
        let words = ["add", "x", "--dry-run"] + Self.peer
        let usual = try await run(desk, words)
        let named = try await run(desk, words + ["--template", "modern"])
        #expect(usual.status == 0 && usual.out.contains("encryption: [aes256gcm16, aes256]\n"), "\(usual)")
        #expect(usual.out == named.out)
        await desk.portal.stop()
    }

    // MARK: times

    @Test func aSessionMayLastAMonthAndALifetimeAWeek() throws {
        #expect(try OptionValue.sessionTime("31d") == 31 * 86_400)
        #expect(try OptionValue.idleLimit("744h") == 31 * 86_400)
        #expect(try OptionValue.idleLimit("off") == 0)
        #expect(throws: (any Error).self) { try OptionValue.sessionTime("32d") }
        #expect(throws: (any Error).self) { try OptionValue.sessionTime("59") }
        let lifetime = OptionValue.seconds(from: 60)
        #expect(try lifetime("7d") == 604_800)
        #expect(throws: (any Error).self) { try lifetime("604801") }
    }
}
