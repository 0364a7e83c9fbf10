import Access
import Base
import HTTP
import JSONText
import Testing

@testable import Vendors

/// Every vector of the fact sheet, from a vendor's answer as it comes to what decisions are made by.
@Suite struct PostureVectorTests {
    /// The call of a profile whose answer a sample is.
    private static let calls = [
        "gravityzone/getManagedEndpointDetails": "details", "gravityzone/getManagedEndpointDetails-full-failing": "details",
        "defender/machines": "machines", "defender/machine-new": "machines", "defender/deviceavinfo": "antivirus",
        "defender/alerts": "alerts", "defender/secure-configurations": "configurations",
        "sentinelone/agents-page1": "agents", "sentinelone/agents-last-page": "agents",
        "sentinelone/agents-none": "agents", "sentinelone/error-token": "agents",
    ]

    struct Vector: Sendable, CustomTestStringConvertible {
        var name: String
        var source: String
        var inputs: [String]
        var now: WallTime
        var expect: [PostureAttribute: JSONTree]
        var testDescription: String { "\(source): \(name)" }
    }

    static func vectors() throws -> [Vector] {
        let tree = try JSONTree.parse(try file("Samples/posture/vectors.json"))
        return try (tree["vectors"]?.array ?? []).map { vector in
            var expect: [PostureAttribute: JSONTree] = [:]
            for attribute in PostureAttribute.allCases {
                expect[attribute] = try #require(vector["expect"]?[attribute.rawValue])
            }
            return Vector(
                name: try #require(vector["name"]?.string), source: try #require(vector["source"]?.string),
                inputs: (vector["inputs"]?.array ?? []).compactMap(\.string),
                now: .at(try #require(vector["now"]?.string)), expect: expect)
        }
    }

    @Test func allOfThemAreThere() throws { #expect(try Self.vectors().count == 12) }

    @Test(arguments: try Self.vectors()) func isWhatIsExpected(_ vector: Vector) throws {
        let connection = EndpointConnection.example(vector.source)
        let profile = try connection.profile()
        var mirror = EndpointMirror(connection, profile)
        var hasFailed = false
        var rows: [String: [JSONTree]] = [:]
        for input in vector.inputs {
            let parts = input.split(separator: "#")
            let call = try #require(Self.calls[String(parts[0])], "\(input)")
            let sample = try Sample(String(parts[0]))
            var template = try #require(profile.call(call))
            // The samples repeat a number of their own.
            template.echo = nil
            let purpose: CallRun.Purpose = template.isPerEndpoint ? .endpoint(id: "x") : .all
            var run = try CallRun(
                connection, profile, template, purpose, entropy: [1], now: vector.now, retries: .none)
            do {
                var found = try run.receive(sample.response)
                if parts.count > 1 { found = [found[Int(parts[1]) ?? 0]] }
                rows[call] = found
            } catch {
                #expect(error.needsAttention)
                hasFailed = true
            }
        }
        let listing = profile.listingName
        if vector.source == "gravityzone" {
            // The vectors have no listing for these: an item with the same name.
            let detail = try #require(rows["details"]?.first)
            let id = try #require(detail["id"]?.string)
            let item = try JSONTree.parse(#"{"id":"\#(id)","isManaged":true}"#)
            _ = mirror.take(listing: [item], isComplete: true, now: vector.now)
            _ = mirror.take([detail], of: "details", endpoint: id, now: vector.now)
        } else if !hasFailed {
            _ = mirror.take(listing: rows[listing] ?? [], isComplete: true, now: vector.now)
            for call in profile.joinedCalls {
                _ = mirror.take(rows[call] ?? [], of: call, now: vector.now)
            }
        }
        let source = PostureSource(
            name: connection.id, vendor: connection.kind, supports: profile.supports(infers: false),
            completedAt: mirror.completedAt, maximumAges: profile.maximumAges)
        for (attribute, expected) in vector.expect {
            let outcome =
                mirror.records.first?.outcome(attribute, of: source, now: vector.now).outcome
                ?? absent(attribute, source)
            #expect(Self.words(outcome) == Self.words(expected), "\(attribute.rawValue)")
        }
    }

    /// What is known of a device that no record fits, as the matcher has it.
    private func absent(_ attribute: PostureAttribute, _ source: PostureSource) -> PostureOutcome {
        guard source.supports.contains(attribute) else { return .notSupported }
        guard let completed = source.completedAt else { return .unknown(.sourceUnavailable) }
        return attribute == .agentInstalled ? .value(.flag(false), observedAt: completed) : .unknown(.notEnrolled)
    }

    private static func words(_ outcome: PostureOutcome) -> String {
        switch outcome {
        case .value(.flag(let flag), _): "value \(flag)"
        case .value(.risk(let risk), _): "value \(risk)"
        case .value(.operatingSystem(let system), _):
            // We tell servers from desktops, which the vectors do not.
            "value \(system.family == .windowsServer ? "windows" : system.family.rawValue) \(system.name ?? "") "
                + (system.version ?? "")
        case .unknown(let missing): "unknown \(missing.rawValue)"
        case .notSupported: "not supported"
        }
    }

    private static func words(_ expected: JSONTree) -> String {
        if let missing = expected["unknown"]?.string { return "unknown \(missing)" }
        guard let value = expected["value"] else { return "not supported" }
        if let family = value["family"]?.string {
            return "value \(family) \(value["name"]?.string ?? "") \(value["version"]?.string ?? "")"
        }
        if case .bool(let flag) = value.value { return "value \(flag)" }
        return "value \(value.scalar ?? "")"
    }
}
