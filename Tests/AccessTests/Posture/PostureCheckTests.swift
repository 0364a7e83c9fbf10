import Base
import Testing

@testable import Access

@Suite struct PostureCheckTests {
    /// What an attribute can be, in every way that matters to a check.
    private enum Case: CaseIterable { case good, bad, stale, sourceDown, noData, ambiguous, unsupported }

    private static func device(_ cases: [Case], system: OperatingSystem.Family?) -> DeviceFacts {
        let attributes: [PostureAttribute] = [.infected, .diskEncrypted, .avAgentOutdated]
        // Each attribute has a source of its own, so that each can be down by itself.
        var sources = zip(cases, attributes).enumerated().map { index, pair in
            let (state, attribute) = pair
            var source = PostureSource.sample("s\(index)", supports: [attribute])
            var record = EndpointRecord.sample("d", source: source.name, os: nil)
            let good = attribute.goodFlag!
            switch state {
            case .good: record.facts[attribute] = PostureFact(.value(.flag(good), observedAt: noon.later(-60)))
            case .bad: record.facts[attribute] = PostureFact(.value(.flag(!good), observedAt: noon.later(-60)))
            case .stale:
                record.facts[attribute] = PostureFact(
                    .value(.flag(good), observedAt: noon.later(-attribute.maximumAgeSeconds)))
            case .sourceDown:
                record.facts[attribute] = PostureFact(.value(.flag(good), observedAt: noon.later(-60)))
                record.fetchedAt = noon.later(-3600)
                source.completedAt = noon.later(-3600)
            case .noData: record.facts[attribute] = nil
            case .ambiguous:
                return DeviceFacts.SourceFacts(
                    source: source, match: .ambiguous([record.key, EndpointKey(source: "s", id: "e")], by: .mac))
            case .unsupported: source.supports = []
            }
            return DeviceFacts.SourceFacts(source: source, match: .found(record, by: .mac))
        }
        if let system {
            sources.append(
                DeviceFacts.SourceFacts(
                    source: .sample("z", supports: [.os]),
                    match: .found(.sample("d", source: "z", os: system), by: .mac)))
        }
        return DeviceFacts(sources: sources)
    }

    /// Every combination of three attributes, both settings, and each way the system can be, against the definition.
    @Test func everyCombinationIsJudgedAsDefined() {
        let requirements = [
            PostureCheck.Requirement(source: "s0", attribute: .infected, condition: .isEqualTo, values: [.flag(false)]),
            PostureCheck.Requirement(source: "s1", attribute: .diskEncrypted, condition: .isEqualTo, values: [.flag(true)]),
            PostureCheck.Requirement(
                source: "s2", attribute: .avAgentOutdated, condition: .isAnyOf, values: [.flag(false)]),
        ]
        for failsIfMissing in [true, false] {
            let check = PostureCheck(
                name: "c", system: .windows, requirements: requirements, failsIfMissing: failsIfMissing)
            for a in Case.allCases { for b in Case.allCases { for c in Case.allCases {
                let cases = [a, b, c]
                for system in [.windows, .linux, nil] as [OperatingSystem.Family?] {
                    let device = Self.device(cases, system: system)
                    let (verdict, until) = check.evaluate(device, now: noon)
                    let missing = cases.count { $0 != .good && $0 != .bad }
                    let wanted: PostureCheck.Verdict =
                        system == .linux ? .notApplicable
                        : cases.contains(.bad) ? .fails
                        : missing > 0 && failsIfMissing ? .fails
                        : missing == 3 ? .unknown : .passes
                    #expect(verdict == wanted, "\(cases) \(String(describing: system)) \(failsIfMissing)")
                    // Until then nothing changes by age alone.
                    if let until {
                        #expect(until > noon)
                        let last = WallTime(nanoseconds: until.nanoseconds - 1)
                        #expect(check.evaluate(device, now: last).verdict == verdict)
                    }
                    let explanation = check.explain(device, now: noon)
                    #expect(explanation.verdict == verdict && explanation.lines.count == 3)
                    #expect(
                        explanation.lines.map(\.isMet)
                            == cases.map { $0 == .good ? true : $0 == .bad ? false : nil })
                    #expect(explanation.reasons.isEmpty == (verdict == .passes || verdict == .notApplicable))
                }
            } } }
        }
    }

    @Test func valuesGrowOldAndThenTheyAreMissing() {
        let check = PostureCheck(
            name: "c", system: .windows,
            requirements: [.init(source: "s1", attribute: .infected, condition: .isEqualTo, values: [.flag(false)])])
        let record = EndpointRecord.sample("d")
        let device = DeviceFacts(sources: [.init(source: .sample(), match: .found(record, by: .mac))])
        let (verdict, until) = check.evaluate(device, now: noon)
        // An hour after the source was last asked.
        #expect(verdict == .passes && until == noon.later(3540))
        #expect(check.evaluate(device, now: noon.later(3540)).verdict == .fails)
        #expect(device.outcome(.infected, of: "s1", now: noon.later(3540)).outcome == .unknown(.sourceUnavailable))
    }

    @Test func noSuchDeviceIsSaidOnlyFromACompleteAnswerAndAKnownCard() {
        func outcome(_ attribute: PostureAttribute, _ match: DeviceFacts.Match, completedAt: WallTime?) -> PostureOutcome {
            var source = PostureSource.sample()
            source.completedAt = completedAt
            return DeviceFacts(sources: [.init(source: source, match: match)])
                .outcome(attribute, of: "s1", now: noon).outcome
        }
        let fresh = noon.later(-60)
        #expect(
            outcome(.agentInstalled, .none(isCertain: true), completedAt: fresh)
                == .value(.flag(false), observedAt: fresh))
        #expect(outcome(.infected, .none(isCertain: true), completedAt: fresh) == .unknown(.notEnrolled))
        #expect(outcome(.agentInstalled, .none(isCertain: false), completedAt: fresh) == .unknown(.notIdentified))
        #expect(outcome(.agentInstalled, .none(isCertain: true), completedAt: nil) == .unknown(.sourceUnavailable))
        #expect(
            outcome(.agentInstalled, .none(isCertain: true), completedAt: noon.later(-3600))
                == .unknown(.sourceUnavailable))
    }

    @Test(arguments: [
        ("windows", "Windows 11 Pro", "10.0.22631", true), ("Windows 11", "Windows 11 Pro", "10.0.22631", true),
        ("Windows 1", "Windows 11 Pro", "10.0.22631", false), (">=10.0.22631", "Windows 11 Pro", "10.0.22631", true),
        (">=10.0.22632", "Windows 11 Pro", "10.0.22631.9", false), (">=10", "Windows 11 Pro", "10.0.1", true),
        (">=11", "Windows 11 Pro", "", false), ("linux", "Windows 11 Pro", "10", false),
    ])
    func systemsAreComparedByFamilyNameAndVersion(_ text: String, _ name: String, _ version: String, _ accepts: Bool) {
        let system = OperatingSystem(family: .windows, name: name, version: version)
        let value = PassValue(text, for: .operatingSystem)
        #expect(value?.accepts(.operatingSystem(system)) == accepts)
        #expect(value.map { PassValue($0.description, for: .operatingSystem) } == value)
    }

    @Test func risksCompareWithTheirOwnKind() {
        #expect(PassValue("<=medium", for: .risk)!.accepts(.risk(.level(.low))))
        #expect(!PassValue("<=medium", for: .risk)!.accepts(.risk(.level(.high))))
        #expect(!PassValue("<=medium", for: .risk)!.accepts(.risk(.number(1))))
        #expect(PassValue("<=30", for: .risk)!.accepts(.risk(.number(30))))
        #expect(PassValue("none", for: .risk)!.accepts(.risk(.level(.none))))
        #expect(PassValue("101", for: .risk) == nil && PassValue("maybe", for: .flag) == nil)
    }

    @Test func familiesAreReadFromVendorsWords() {
        func family(_ text: String) -> OperatingSystem.Family { .init(describing: text) }
        #expect(family("Windows Server 2022 Standard") == .windowsServer && family("Windows11") == .windows)
        #expect(family("macOS Sonoma") == .macOS && family("OS X 10.11") == .macOS && family("iOS 17") == .iOS)
        #expect(family("Red Hat Enterprise Linux 9") == .linux && family("Android 14") == .android)
        #expect(family("Haiku") == .other && family("iPadOS 17.2") == .iOS)
    }
}
