import Foundation
import Portal
import PortalFake
import Testing
import Tunnels

/// `gatehouse import aws-vpn`, with a file in the form that the AWS console's "Generic" download has.
@Suite struct ImportTests {
    private static var sample: String {
        // Kept with the importer's tests.
        let folder = (#filePath as NSString).deletingLastPathComponent + "/../TunnelsTests/Samples"
        return folder + "/xml/vgw-bgp.xml"
    }

    @Test func aDryRunNeedsNoDaemonAndHidesTheKeys() async throws {
        let output = try await Command.run([
            "--socket-directory", "/nonexistent", "import", "aws-vpn", Self.sample, "--dry-run",
        ])
        #expect(output.status == 0)
        #expect(output.out.hasPrefix("AWS Site-to-Site VPN vpn-0ecb2a2698b33f4ee\n"))
        #expect(output.out.contains("(hidden"))
        let json = try await Command.run(["import", "aws-vpn", Self.sample, "--dry-run", "--json"])
        let plan = try #require(try JSONSerialization.jsonObject(with: Data(json.out.utf8)) as? [String: Any])
        #expect(plan["connectionID"] as? String == "vpn-0ecb2a2698b33f4ee")
        #expect((plan["tunnels"] as? [Any])?.count == 2)
    }

    @Test func theFileAndTheOptionsReachTheDaemonAsTheyAre() async throws {
        let desk = try await Desk()
        desk.gateway.with {
            $0.importResult.connector = "vpn-0ecb2a2698b33f4ee"
            $0.importResult.tunnels = ["vpn-0ecb2a2698b33f4ee-1", "vpn-0ecb2a2698b33f4ee-2"]
            $0.importResult.isKnown = true
            $0.importResult.changes = ["vpn-0ecb2a2698b33f4ee-1: another pre-shared key"]
        }
        let output = try await desk.gatehouse(
            "import", "aws-vpn", Self.sample, "--remote-network", "10.0.0.0/16", "--remote-network",
            "10.1.0.0/16,10.2.0.0/16",
            "--local-network", "192.168.0.0/24", "--name", "Head office & more", "--replace")
        #expect(output.status == 0, "\(output.error)")
        #expect(output.out.contains("\n  - vpn-0ecb2a2698b33f4ee-1: another pre-shared key\n"))
        #expect(output.out.contains("\nStored connector vpn-0ecb2a2698b33f4ee with 2 tunnels."))
        #expect(desk.gateway.with { Data($0.importedFile) } == FileManager.default.contents(atPath: Self.sample))
        let request = desk.gateway.with { $0.importRequest }
        #expect(request.remoteNetworks == ["10.0.0.0/16", "10.1.0.0/16", "10.2.0.0/16"])
        #expect(request.localNetworks == ["192.168.0.0/24"])
        #expect(request.name == "Head office & more")
        #expect(request.isReplacing)
        #expect(!request.isDryRun)
        await desk.portal.stop()
    }

    @Test func aFileThatChangesAConnectorIsAppliedOnlyWhenAskedFor() async throws {
        let desk = try await Desk()
        desk.gateway.with {
            $0.importResult.isKnown = true
            $0.importResult.changes = ["remote networks 10.0.0.0/16 → 10.1.0.0/16"]
        }
        let output = try await desk.gatehouse("import", "aws-vpn", Self.sample, "--remote-network", "10.1.0.0/16")
        #expect(output.status == 1)
        #expect(output.out.contains("\n  - remote networks 10.0.0.0/16 → 10.1.0.0/16\n"))
        #expect(output.error.contains("--replace"))
        #expect(desk.gateway.with { $0.importRequest.isDryRun }, "the only request was the preview")
        await desk.portal.stop()
    }

    @Test func aFileThatChangesNothingStoresNothing() async throws {
        let desk = try await Desk()
        desk.gateway.with { $0.importResult.isKnown = true }
        let output = try await desk.gatehouse(
            "import", "aws-vpn", Self.sample, "--remote-network", "10.1.0.0/16", "--replace")
        #expect(output.status == 0)
        #expect(output.out.contains("nothing has changed"))
        #expect(desk.gateway.with { $0.importRequest.isDryRun }, "the only request was the preview")
        await desk.portal.stop()
    }

    @Test func withoutATerminalTheMissingOptionIsNamedAndNothingIsSent() async throws {
        let desk = try await Desk()
        let output = try await desk.gatehouse("import", "aws-vpn", Self.sample)
        #expect(output.status == 2)
        #expect(output.error.contains("--remote-network"))
        #expect(desk.gateway.with { $0.calls } == [])
        await desk.portal.stop()
    }

    @Test func standardInputIsAFileToo() async throws {
        let text = String(decoding: try #require(FileManager.default.contents(atPath: Self.sample)), as: UTF8.self)
        let output = try await Command.run(["import", "aws-vpn", "-", "--dry-run"], input: text)
        #expect(output.status == 0)
        #expect(output.out.contains("vpn-0ecb2a2698b33f4ee-2"))
    }

    @Test func aFileThatIsNoneIsRefusedWithItsName() async throws {
        let desk = try await Desk()
        let path = try desk.file("nothing of the sort\n")
        let output = try await desk.gatehouse("import", "aws-vpn", path, "--remote-network", "10.0.0.0/16")
        #expect(output.status == 1)
        #expect(output.error.hasPrefix("gatehouse: \(path): "))
        let missing = try await desk.gatehouse("import", "aws-vpn", "/nonexistent/file", "--dry-run")
        #expect(missing.status == 1)
        #expect(missing.error == "gatehouse: cannot read /nonexistent/file: No such file or directory\n")
        #expect(desk.gateway.with { $0.calls } == [])
        await desk.portal.stop()
    }
}
