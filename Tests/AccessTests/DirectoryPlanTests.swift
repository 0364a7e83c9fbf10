import Base
import Testing

@testable import Access
@testable import Identity

@Suite struct DirectoryPlanTests {
    private let now = WallTime(nanoseconds: 1_795_521_600_000_000_000)

    private func directory(_ id: String = "corp", limit: Int = 20, sites: [String]? = nil) -> Directory {
        var directory = Directory(id: id, kind: .entra)
        directory.title = id.prefix(1).uppercased() + id.dropFirst()
        directory.removalLimitPercent = limit
        directory.sites = sites
        return directory
    }

    private func roll(_ people: [(String, [String])], suspended: Set<String> = [], known: Set<String> = []) -> DirectoryRoll {
        var roll = DirectoryRoll()
        for (name, tags) in people {
            let email = "\(name)@corp.example"
            roll.entries[email] = .init(key: "key-\(name)", email: email, firstName: name, tags: tags)
        }
        roll.suspended = Set(suspended.map { "key-\($0)" })
        let all = Set((known.union(suspended)).map { "key-\($0)" }).union(roll.entries.values.map(\.key))
        roll.isKnown = { all.contains($0) }
        return roll
    }

    private func carryOut(_ directory: Directory, _ roll: DirectoryRoll, _ users: inout [String: User]) -> DirectoryPlan {
        let plan = DirectoryPlan(directory, roll, users: users, now: now)
        for step in plan.steps {
            let predecessor = plan.predecessors[step.email].flatMap { users[$0] }
            if let result = step.result(for: users[step.email], of: directory, predecessor: predecessor, now: now) {
                users[step.email] = result.user
            }
        }
        // What was carried out leaves nothing to do.
        #expect(DirectoryPlan(directory, roll, users: users, now: now).steps.isEmpty)
        return plan
    }

    private let six = ["ada", "ben", "cam", "dan", "eve", "fay"].map { ($0, ["VPN"]) }

    @Test func peopleComeWithTeamTagsAndSitesAndGoDisabled() throws {
        var users: [String: User] = [:]
        let corp = directory(sites: ["aws"])
        let plan = carryOut(corp, roll(six), &users)
        #expect(plan.count(.add) == 6 && plan.question == nil)
        var ada = try #require(users["ada@corp.example"])
        #expect(ada.groups == ["Corp Users"] && ada.tags == ["VPN"] && ada.sites == .only(["aws"]) && ada.source == "corp")
        #expect(ada.isEnabled && ada.firstName == "ada")
        // What an administrator gives stays: sites after the first time, and tags beside the directory's.
        ada.sites = .all
        ada.tags.append("vip")
        users[ada.email] = ada
        _ = carryOut(corp, roll([("ada", ["Eng", "VPN"])] + six.dropFirst()), &users)
        #expect(users["ada@corp.example"]?.sites == .all && users["ada@corp.example"]?.tags == ["VPN", "vip", "Eng"])

        let left = carryOut(corp, roll(Array(six.dropFirst()), suspended: ["ada"]), &users)
        #expect(left.question == nil && left.count(.disable) == 1)
        let gone = try #require(users["ada@corp.example"])
        #expect(!gone.isEnabled && gone.tags == ["vip"] && gone.groups.isEmpty && gone.origins[0].isActive == false)
        #expect(left.items[0].detail.contains("suspended"))
        // Back again, and with the same sites as before.
        let back = carryOut(corp, roll(six), &users)
        #expect(back.count(.enable) == 1)
        #expect(users["ada@corp.example"].map { $0.isEnabled && $0.sites == .all && $0.tags == ["vip", "VPN"] } == true)
    }

    @Test func aSynchronisationThatWouldDisableTooManyAsks() {
        var users: [String: User] = [:]
        let corp = directory()
        _ = carryOut(corp, roll(six), &users)
        func question(_ stay: Int, _ directory: Directory, suspended: Set<String> = []) -> String? {
            DirectoryPlan(directory, roll(Array(six.prefix(stay)), suspended: suspended), users: users, now: now).question
        }
        #expect(question(0, corp)?.contains("6 of 6 users") == true)
        #expect(question(3, corp) != nil && question(4, corp) != nil)
        #expect(question(5, corp) == nil)
        #expect(question(4, directory(limit: 34)) == nil && question(4, directory(limit: 33)) != nil)
        #expect(question(0, directory(limit: 100)) == nil)
        #expect(question(5, directory(limit: 0)) != nil)
        // Of one who is alone only a suspension is believed.
        let alone = users.filter { $0.key == "fay@corp.example" }
        #expect(DirectoryPlan(corp, roll([]), users: alone, now: now).question != nil)
        #expect(DirectoryPlan(corp, roll([], suspended: ["fay"]), users: alone, now: now).question == nil)
    }

    @Test func oneAddressFromTwoDirectoriesIsOneUserWithTwoOrigins() throws {
        var users: [String: User] = [:]
        let (one, two) = (directory("one"), directory("two"))
        _ = carryOut(one, roll(six), &users)
        let plan = carryOut(two, roll(six.map { ($0.0, ["VPN", "Two"]) }), &users)
        #expect(plan.count(.add) == 0 && plan.count(.change) == 6 && users.count == 6)
        let both = try #require(users["ada@corp.example"])
        #expect(both.origins.map(\.directory) == ["one", "two"] && both.groups == ["One Users", "Two Users"])
        #expect(both.tags == ["VPN", "Two"] && both.source == "one")
        let left = carryOut(one, roll(Array(six.dropFirst())), &users)
        #expect(left.count(.leave) == 1 && left.count(.disable) == 0)
        let still = try #require(users["ada@corp.example"])
        #expect(still.isEnabled && still.groups == ["Two Users"] && still.tags == ["VPN", "Two"])
        _ = carryOut(two, roll(Array(six.dropFirst())), &users)
        #expect(users["ada@corp.example"]?.isEnabled == false)
        // Whoever has her again undoes what a directory did.
        #expect(carryOut(one, roll(six), &users).count(.enable) == 1)
        #expect(users["ada@corp.example"]?.isEnabled == true)
    }

    @Test func whomAnAdministratorDisabledStaysSo() {
        var users: [String: User] = [:]
        let corp = directory()
        _ = carryOut(corp, roll(six), &users)
        users["ada@corp.example"]?.isEnabled = false
        _ = carryOut(corp, roll(six), &users)
        #expect(users["ada@corp.example"]?.isEnabled == false)
        _ = carryOut(corp, roll(Array(six.dropFirst())), &users)
        _ = carryOut(corp, roll(six), &users)
        #expect(users["ada@corp.example"]?.isEnabled == false)
    }

    @Test func whomAnAdministratorDisabledStaysSoUnderAnotherAddress() throws {
        var users: [String: User] = [:]
        let corp = directory()
        _ = carryOut(corp, roll(six), &users)
        let words = users["ada@corp.example"]?.setEnabled(false)
        #expect(words == ["disabled"])
        var renamed = roll(Array(six.dropFirst()))
        renamed.entries["king@corp.example"] = .init(key: "key-ada", email: "king@corp.example", tags: ["VPN"])
        let plan = carryOut(corp, renamed, &users)
        #expect(users["king@corp.example"]?.isEnabled == false)
        #expect(plan.items.contains { $0.kind == .add && $0.detail.contains("an administrator has disabled ada@corp.example") })
        // Nor does the way back help.
        _ = carryOut(corp, roll(six), &users)
        #expect(users["ada@corp.example"]?.isEnabled == false)
        // The administrator's own word does, for good.
        let again = users["ada@corp.example"]?.setEnabled(true)
        #expect(again == ["enabled"])
        _ = carryOut(corp, roll(six), &users)
        #expect(users["ada@corp.example"]?.isEnabled == true)
    }

    /// An address under which somebody was here before, or has come by another way.
    @Test(arguments: [true, false]) func anAddressThatIsKnownIsNoWayInEither(_ isFromBefore: Bool) throws {
        var users: [String: User] = [:]
        let corp = directory()
        var renamed = roll(Array(six.dropFirst()))
        renamed.entries["king@corp.example"] = .init(key: "key-ada", email: "king@corp.example", tags: ["VPN"])
        if isFromBefore {
            _ = carryOut(corp, renamed, &users)
        } else {
            users["king@corp.example"] = User(email: "king@corp.example", source: "okta", createdAt: now)
        }
        _ = carryOut(corp, roll(six), &users)
        #expect(users["king@corp.example"]?.isEnabled == !isFromBefore)
        _ = users["ada@corp.example"]?.setEnabled(false)
        _ = carryOut(corp, renamed, &users)
        #expect(users["king@corp.example"]?.isEnabled == false)
    }

    /// What an administrator says of the new address counts from then on, whatever stands at the old one.
    @Test func whoWasLetInUnderTheNewAddressComesBackAfterLeave() throws {
        var users: [String: User] = [:]
        let corp = directory()
        _ = carryOut(corp, roll(six), &users)
        _ = users["ada@corp.example"]?.setEnabled(false)
        var renamed = roll(Array(six.dropFirst()))
        renamed.entries["king@corp.example"] = .init(key: "key-ada", email: "king@corp.example", tags: ["VPN"])
        _ = carryOut(corp, renamed, &users)
        _ = users["king@corp.example"]?.setEnabled(true)
        let gone = carryOut(corp, roll(Array(six.dropFirst())), &users)
        #expect(gone.leavers == 1 && users["king@corp.example"]?.isEnabled == false)
        _ = carryOut(corp, renamed, &users)
        #expect(users["king@corp.example"]?.isEnabled == true)
    }

    @Test func whoHadLeftWhenAnAdministratorDisabledThemStaysSo() throws {
        var users: [String: User] = [:]
        let corp = directory()
        _ = carryOut(corp, roll(six), &users)
        _ = carryOut(corp, roll(Array(six.dropFirst())), &users)
        #expect(users["ada@corp.example"]?.origins.map(\.hasDisabled) == [true])
        let words = users["ada@corp.example"]?.setEnabled(false)
        #expect(words?.count == 1, "it is told, though the user was disabled before")
        let again = users["ada@corp.example"]?.setEnabled(false)
        #expect(again == [])
        _ = carryOut(corp, roll(six), &users)
        #expect(users["ada@corp.example"]?.isEnabled == false)
    }

    @Test func whomADirectoryDisabledAndAnAdministratorEnabledIsHisToDisable() throws {
        var users: [String: User] = [:]
        let corp = directory()
        _ = carryOut(corp, roll(six), &users)
        _ = carryOut(corp, roll(Array(six.dropFirst())), &users)
        let enabled = users["ada@corp.example"]?.setEnabled(true)
        let disabled = users["ada@corp.example"]?.setEnabled(false)
        #expect(enabled == ["enabled"] && disabled == ["disabled"])
        _ = carryOut(corp, roll(six), &users)
        #expect(users["ada@corp.example"]?.isEnabled == false)
    }

    @Test func whoWasHereAlreadyIsTakenUpAndLeavesWithTheDirectory() throws {
        var local = User(email: "ada@corp.example", firstName: "A.", source: "local", tags: ["vip"], createdAt: now)
        local.sites = .only(["office"])
        var users = [local.email: local]
        let corp = directory(sites: ["aws"])
        _ = carryOut(corp, roll(six), &users)
        let ada = try #require(users["ada@corp.example"])
        #expect(ada.source == "local" && ada.sites == .only(["office"]) && ada.firstName == "A." && ada.tags == ["vip", "VPN"])
        _ = carryOut(corp, roll(Array(six.dropFirst())), &users)
        #expect(users["ada@corp.example"]?.isEnabled == false)
    }

    @Test func aNewAddressTakesWhatWasGivenAlong() throws {
        var users: [String: User] = [:]
        let corp = directory()
        _ = carryOut(corp, roll(six), &users)
        users["ada@corp.example"]?.sites = .only(["office"])
        users["ada@corp.example"]?.tags.append("vip")
        var renamed = roll(Array(six.dropFirst()))
        renamed.entries["ada.king@corp.example"] = .init(key: "key-ada", email: "ada.king@corp.example", tags: ["VPN"])
        let plan = carryOut(corp, renamed, &users)
        #expect(plan.question == nil && plan.leavers == 0 && plan.count(.disable) == 1 && plan.count(.add) == 1)
        #expect(users["ada@corp.example"]?.isEnabled == false)
        let king = try #require(users["ada.king@corp.example"])
        #expect(king.isEnabled && king.sites == .only(["office"]) && king.tags == ["VPN", "vip"])
    }

    @Test func aSignInKeepsTheTeamsOfDirectories() throws {
        var scene = Scene()
        var user = User(email: "ada@example.org", source: "corp", groups: ["Corp Users"], createdAt: scene.now.wall)
        user.origins = [.init(directory: "corp", key: "1", team: "Corp Users", tags: [])]
        _ = scene.receive(.user(user))
        _ = try scene.signIn("ada@example.org", groups: ["Admins"])
        #expect(scene.engine.users["ada@example.org"]?.groups == ["Admins", "Corp Users"])
        user.isEnabled = false
        #expect(scene.receive(.userDisabled(user, by: "directory corp")).ends == [.userDisabled(by: "directory corp")])
    }

    @Test func aRemovedDirectoryTakesItsUsersAlongUnlessTheyAreToStay() throws {
        var users: [String: User] = [:]
        let corp = directory()
        _ = carryOut(corp, roll(six), &users)
        let gone = try #require(
            DirectoryStep.go(email: "ada@corp.example", .directoryRemoved).result(
                for: users["ada@corp.example"], of: corp, now: now))
        #expect(!gone.user.isEnabled && gone.user.origins.isEmpty && gone.user.groups.isEmpty)
        let kept = try #require(
            DirectoryStep.go(email: "ben@corp.example", .directoryForgotten).result(
                for: users["ben@corp.example"], of: corp, now: now))
        #expect(kept.user.isEnabled && kept.user.origins.isEmpty && kept.user.tags == ["VPN"])
    }
}
