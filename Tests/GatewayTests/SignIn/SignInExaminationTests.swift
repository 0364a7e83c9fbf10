import Base
import Testing
import Tunnels

@testable import Gateway

@Suite struct SignInExaminationTests {
    private let now = WallTime(rfc3339: "2026-11-29T12:00:00Z")!

    private func findings(_ change: (inout SignInExamination) -> Void) -> [Finding] {
        var examination = SignInExamination()
        change(&examination)
        return examination.findings(now: now)
    }

    private func good(_ examination: inout SignInExamination) {
        examination.origin = "https://gate.example.com"
        examination.certificateEnd = WallTime(rfc3339: "2027-02-01T00:00:00Z")!
        examination.isGateEnabled = true
        examination.providers = ["okta"]
    }

    @Test func whatIsWellIsSaidShortly() {
        let findings = findings(good)
        #expect(findings.map(\.state) == [.ok, .ok])
        #expect(findings.map(\.detail) == ["https://gate.example.com, certificate until 2027-02-01", "okta"])
    }

    @Test func aClosedGateWithoutPagesIsWorthAWarning() {
        #expect(findings { _ in }.map(\.state) == [.ok])
        let closed = findings { $0.isGateEnabled = true }
        #expect(closed.map(\.state) == [.warning] && closed[0].remedy != nil)
    }

    @Test func eachFaultHasItsWords() {
        let broken = findings {
            good(&$0)
            $0.problem = "The sign-in pages cannot be served: no"
        }
        #expect(broken[0].state == .failed && broken[0].detail.contains("cannot be served"))
        let own = findings {
            good(&$0)
            $0.hasOwnCertificate = true
        }
        #expect(own[0].state == .warning && own[0].detail.contains("browsers warn"))
        let late = findings {
            good(&$0)
            $0.certificateEnd = WallTime(rfc3339: "2026-12-29T12:00:00Z")!
        }
        #expect(late[0].state == .warning && late[0].detail.contains("2026-12-29"))
        let nobody = findings {
            good(&$0)
            $0.providers = []
        }
        #expect(nobody[1].state == .warning && nobody[1].detail.contains("nobody can sign in"))
        let weak = findings {
            good(&$0)
            $0.warnings = ["'okta' may sign with SHA-1, which can be forged: anyone might sign in."]
        }
        #expect(weak[1].state == .warning && weak[1].detail.contains("SHA-1"))
    }
}
