import Foundation
import Portal
import PortalFake
import Testing
import Tunnels

/// What the README tells people to type.
@Suite(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/curl"), "curl is not installed"))
struct CurlTests {
    private func curl(_ words: [String]) async throws -> String {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/curl")
        process.arguments = ["--silent", "--show-error", "--max-time", "60"] + words
        process.standardOutput = output
        try process.run()
        let handle = output.fileHandleForReading
        return await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(returning: String(decoding: handle.readDataToEndOfFile(), as: UTF8.self))
            }
        }
    }

    @Test func theStatusIsRead() async throws {
        let site = try await Site()
        site.gateway.with { $0.status.tunnels = [.example(1)] }
        let text = try await curl(["--unix-socket", site.status, "http://localhost/v1/tunnels"])
        let tunnels = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]])
        #expect(tunnels.first?["tunnel"] as? String == "vpn-0a1b-1")
        #expect(tunnels.first?["lastError"] is NSNull)
        let code = try await curl(["-I", "--unix-socket", site.status, "http://localhost/health"])
        #expect(code.hasPrefix("HTTP/1.1 200 OK"))
        await site.portal.stop()
    }

    @Test func aFileIsImportedWithItsOptionsInTheQuery() async throws {
        let site = try await Site()
        // Over a megabyte, so that curl asks first whether it may send it.
        let file = site.directory.path + "/file"
        try Data(repeating: UInt8(ascii: "x"), count: 1_500_000).write(to: URL(fileURLWithPath: file))
        let text = try await curl([
            "--unix-socket", site.control, "--data-binary", "@" + file,
            "http://localhost/v1/import/aws-vpn?remote-network=10.0.0.0/16",
        ])
        #expect(text.contains(#""isStored":true"#))
        #expect(site.gateway.with { $0.importedFile.count } == 1_500_000)
        #expect(site.gateway.with { $0.importRequest.remoteNetworks } == ["10.0.0.0/16"])
        await site.portal.stop()
    }

    @Test func eventsStreamUntilTheServerStops() async throws {
        let site = try await Site()
        site.gateway.emit("one", message: "first")
        async let text = curl(["-N", "--unix-socket", site.status, "http://localhost/v1/events?after=0"])
        await site.gateway.waitForFollowers(1)
        site.gateway.emit("two", message: "second")
        await site.portal.stop()
        let received = try await text
        #expect(received.contains("id: 1\nevent: one\n"))
    }
}
