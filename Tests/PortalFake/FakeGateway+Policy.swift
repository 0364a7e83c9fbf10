public import Access
public import Base
public import Portal

extension FakeGateway {
    public func policies() async throws -> PolicyBook {
        try note("policies")
        return PolicyBook(set: PolicySet.example, version: "1")
    }

    public func editPolicies(_ order: PolicyOrder, isDryRun: Bool, caller: Caller) async throws -> PolicyBook {
        try note("\(isDryRun ? "preview" : "make") \(order.edits.count) policy edits", caller)
        var set = PolicySet.example
        do throws(PolicyEdit.Fault) {
            for edit in order.edits { try set.apply(edit) }
        } catch {
            throw APIError.conflict(error.description)
        }
        return PolicyBook(
            set: set, version: "2", changes: set.deeds(since: PolicySet.example).map { "\($0.action) \($0.subject)" })
    }

    public func testPolicies(_ question: PolicyQuestion) async throws -> PolicyAnswer {
        try note("test policies for \(question.user) at \(question.address)")
        return PolicyAnswer(
            isAllowed: false, sites: [], denied: ["main"], reason: "policy \"Finance, else\" denies it", advice: [],
            until: nil, notifies: false, trace: PolicyTrace(), device: try await explainPosture(address: question.address))
    }

    public func simulatePolicies(_ order: SimulationOrder) async throws -> PolicySimulation {
        try note("simulate policies over \(order.days) days")
        return PolicySimulation(
            changes: [], signIns: 0, unreadable: 0, cases: [], users: [:], refused: 0, admitted: 0)
    }

    public func explainPosture(address: IPAddress) async throws -> PostureReport {
        try note("explain posture at \(address)")
        return PostureReport(
            address: address, mac: nil, macWords: "not known", leaseHostName: nil, user: nil, device: nil, system: nil,
            sources: [], checks: [])
    }
}

extension PolicySet {
    /// A check, a behaviour and a policy.
    public static let example = PolicySet(
        checks: [
            PostureCheck(
                name: "windows", system: .windows,
                requirements: [
                    PostureCheck.Requirement(
                        source: "s1", attribute: .infected, condition: .isEqualTo, values: [.flag(false)])
                ])
        ],
        behaviours: [Behaviour(name: "healthy", trigger: .posture(checks: ["windows"], trigger: .passes))],
        policies: [
            SignInPolicy(
                name: "Finance", audience: SignInPolicy.Audience(groups: ["Finance"]), behaviours: ["healthy"],
                action: .allow)
        ])
}
