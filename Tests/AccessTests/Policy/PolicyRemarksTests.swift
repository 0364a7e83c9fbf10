import Testing

@testable import Access

@Suite struct PolicyRemarksTests {
    private static func policy(
        _ name: String, isEnabled: Bool = true, groups: [String] = [], tags: [String] = [], when behaviours: [String] = []
    ) -> SignInPolicy {
        SignInPolicy(
            name: name, isEnabled: isEnabled, audience: .init(groups: groups, tags: tags), behaviours: behaviours,
            action: .allow)
    }

    @Test func whatSomebodyHasIsNoRemarkWhateverItsCase() {
        let set = PolicySet(
            behaviours: [Behaviour(name: "watched", trigger: .risk(users: [], groups: ["LEAVERS"]))],
            policies: [
                Self.policy("a", groups: ["finance"], tags: ["Guest"]), Self.policy("everyone", when: ["watched"]),
            ])
        #expect(set.remarks(groups: ["Finance", "Leavers"], tags: ["guest"]) == [])
        #expect(PolicySet().remarks(groups: [], tags: []) == [])
    }

    @Test func aTagThatIsNamedAsAGroupIsFoundOut() {
        let set = PolicySet(policies: [Self.policy("VPN", groups: ["VPN Users"])])
        #expect(
            set.remarks(groups: ["Entra Users"], tags: ["vpn users"]) == [
                "Policy VPN is for the group 'VPN Users', which no user is in; 'VPN Users' is a tag: name it with --tag."
            ])
        let other = Self.policy("VPN", tags: ["Entra Users"])
        #expect(
            PolicySet(policies: [other]).remarks(groups: ["Entra Users"], tags: []) == [
                "Policy VPN is for the tag 'Entra Users', which no user has; 'Entra Users' is a group: name it with "
                    + "--group."
            ])
    }

    @Test func eachGroupAndTagThatNobodyHasIsNamed() {
        let set = PolicySet(
            behaviours: [Behaviour(name: "watched", trigger: .risk(users: ["eve@x"], groups: ["Leavers", "Temps"]))],
            policies: [Self.policy("a", groups: ["Finance", "Sales"], tags: ["guest"])])
        let remarks = set.remarks(groups: ["Sales"], tags: ["temps"])
        #expect(remarks.count == 4, "\(remarks)")
        #expect(remarks.first?.hasPrefix("Policy a is for the group 'Finance', which no user is in; a group is a team") == true)
        #expect(remarks.contains("Policy a is for the tag 'guest', which no user has."))
        #expect(remarks.contains { $0.hasPrefix("Behaviour watched lists the group 'Leavers', which no user is in; a group") })
        #expect(remarks.last?.contains("'Temps' is a tag, which a policy names with --tag") == true)
    }

    @Test func disabledPoliciesAndWhatTheyAloneAskGiveNone() {
        let watched = Behaviour(name: "watched", trigger: .risk(users: [], groups: ["Leavers"]))
        let off = Self.policy("off", isEnabled: false, groups: ["Finance"], tags: ["guest"], when: ["watched"])
        #expect(PolicySet(behaviours: [watched], policies: [off]).remarks(groups: [], tags: []) == [])
        // One that no policy asks yet is about to be asked.
        #expect(PolicySet(behaviours: [watched]).remarks(groups: [], tags: []).count == 1)
        let on = Self.policy("on", when: ["watched"])
        #expect(PolicySet(behaviours: [watched], policies: [off, on]).remarks(groups: [], tags: []).count == 1)
    }
}
