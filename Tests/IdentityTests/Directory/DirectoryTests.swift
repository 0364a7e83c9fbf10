import Base
import Cryptography
import Testing

@testable import Identity

@Suite struct DirectoryMirrorTests {
    private func company() -> DirectoryMirror {
        var mirror = DirectoryMirror()
        mirror.put(.init(mail: "Ada@Corp.Example", firstName: "Ada", lastName: "Lovelace", isActive: true), "1")
        mirror.put(.init(login: "ben@corp.example", displayName: "Ben B", isActive: true), "2")
        mirror.put(.init(mail: "cam@corp.example", isActive: true), "3")
        mirror.put(.init(mail: "dan@corp.example", isActive: false), "4")
        mirror.put(.init(displayName: "Eve", isActive: true), "5")
        mirror.putGroup("g", name: "VPN Users")
        mirror.putGroup("n", name: "Nested")
        mirror.putGroup("m", name: "Nested deeper")
        for member in ["1", "4", "5", "n", "unknown"] { mirror.add(member, toGroup: "g") }
        for member in ["2", "m"] { mirror.add(member, toGroup: "n") }
        // A circle.
        for member in ["3", "g"] { mirror.add(member, toGroup: "m") }
        return mirror
    }

    private func directory(_ kind: Directory.Kind = .entra, _ groups: [String] = ["g"]) -> Directory {
        var directory = Directory(id: "corp", kind: kind)
        directory.groups = groups.map { .init(id: $0, name: $0) }
        return directory
    }

    private func roll(_ directory: Directory, _ mirror: DirectoryMirror) -> DirectoryRoll {
        DirectoryRoll(directory, mirror) { $0.contains("@") }
    }

    @Test func groupsWithinGroupsCountAndCirclesEnd() {
        let roll = roll(directory(), company())
        #expect(roll.entries.values.map(\.email) == ["ada@corp.example", "ben@corp.example", "cam@corp.example"])
        #expect(roll.suspended == ["4"])
        #expect(roll.entries["ada@corp.example"]?.tags == ["VPN Users"])
        #expect(roll.warnings.count == 1 && roll.warnings[0].contains("One person has no e-mail address"), "\(roll.warnings)")
    }

    @Test func aPersonIsCalledAsTheDirectorySaysOrByTheAddress() {
        let roll = roll(directory(), company())
        #expect(roll.entries["ada@corp.example"].map { [$0.firstName, $0.lastName] } == ["Ada", "Lovelace"])
        #expect(roll.entries["ben@corp.example"].map { [$0.firstName, $0.lastName] } == ["Ben B", nil])
        #expect(roll.entries["cam@corp.example"].map { [$0.firstName, $0.lastName] } == ["cam", nil])
    }

    @Test func anEntraNameOverTwentyNineCharactersIsNoTagAndItsMembersCome() {
        var mirror = company()
        mirror.putGroup("g", name: "A department with quite a long")
        let entra = roll(directory(), mirror)
        #expect(entra.entries.count == 3 && entra.entries.values.allSatisfy { $0.tags.isEmpty })
        #expect(entra.warnings.contains { $0.contains("gives no tag") && $0.contains("30 characters") }, "\(entra.warnings)")
        // Twenty-nine as people count them, and other vendors' names, are tags.
        mirror.putGroup("g", name: " " + String(repeating: "é", count: 29) + " ")
        #expect(roll(directory(), mirror).entries["cam@corp.example"]?.tags == [String(repeating: "é", count: 29)])
        mirror.putGroup("g", name: "A department with quite a long")
        #expect(roll(directory(.okta), mirror).entries["cam@corp.example"]?.tags == ["A department with quite a long"])
    }

    @Test func twoWithOneAddressAreOneUser() {
        var mirror = company()
        mirror.put(.init(mail: "ADA@corp.example", isActive: true), "6")
        mirror.putGroup("o", name: "Other")
        mirror.add("6", toGroup: "o")
        let roll = roll(directory(.okta, ["g", "o"]), mirror)
        #expect(roll.entries["ada@corp.example"]?.key == "1")
        #expect(roll.entries["ada@corp.example"]?.tags == ["Other", "VPN Users"])
        #expect(roll.warnings.contains { $0.contains("one user here") })
    }

    @Test func whoIsDeletedAndRestoredIsBackInTheGroups() {
        var mirror = company()
        mirror.removePerson("1")
        #expect(roll(directory(), mirror).entries["ada@corp.example"] == nil)
        mirror.put(.init(mail: "ada@corp.example", isActive: true), "1")
        #expect(roll(directory(), mirror).entries["ada@corp.example"] != nil)
        mirror.remove("1", fromGroup: "g")
        #expect(roll(directory(), mirror).entries["ada@corp.example"] == nil)
    }

    @Test func membersMayGoByAnotherName() {
        var mirror = DirectoryMirror()
        mirror.putGroup("g", name: "G")
        mirror.putAlias("cn=ada", for: "1")
        mirror.add("cn=ada", toGroup: "g")
        #expect(mirror.people(inGroup: "g").isEmpty)
        mirror.put(.init(mail: "ada@corp.example", isActive: true), "1")
        #expect(mirror.people(inGroup: "g").count == 1)
    }

    private func mails(_ mirror: DirectoryMirror, _ group: String) -> [String] {
        mirror.people(inGroup: group).compactMap { mirror.people[$0]?.mail }.sorted()
    }

    @Test func aNameThatIsGivenAnewTakesNoPlacesAlong() throws {
        var mirror = DirectoryMirror()
        mirror.put(.init(mail: "ada@x", isActive: true), "1")
        mirror.putAlias("cn=ada", for: "1")
        for group in ["g", "h"] {
            mirror.putGroup(group, name: group)
            mirror.add("cn=ada", toGroup: group)
            mirror.add("cn=nobody", toGroup: group)
        }
        mirror.put(.init(mail: "eve@x", isActive: true), "2")
        mirror.put(.init(mail: "mia@x", isActive: true), "3")
        // One group was read a moment ago, and means them.
        mirror.putAlias("cn=ada", for: "2", meantIn: ["h"])
        mirror.putAlias("cn=nobody", for: "3", meantIn: ["h"])
        #expect(mails(mirror, "g") == ["ada@x"] && mails(mirror, "h") == ["eve@x", "mia@x"])
        let again = try #require(DirectoryMirror(bytes: mirror.bytes))
        #expect(mails(again, "g") == ["ada@x"] && mails(again, "h") == ["eve@x", "mia@x"])
        // Whoever bore the name is gone, and back.
        mirror.removePerson("1")
        #expect(mails(mirror, "g").isEmpty)
        mirror.put(.init(mail: "ada@x", isActive: true), "1")
        #expect(mails(mirror, "g") == ["ada@x"])
        // Read anew, the group means who is called so.
        mirror.clearMembers(ofGroup: "g")
        mirror.add("cn=ada", toGroup: "g")
        #expect(mails(mirror, "g") == ["eve@x"])
    }

    @Test func namesThatAreExchangedLeaveEveryoneInPlace() {
        var mirror = DirectoryMirror()
        for (key, name) in [("1", "ada"), ("2", "eve")] {
            mirror.put(.init(mail: name + "@x", isActive: true), key)
            mirror.putAlias("cn=" + name, for: key)
            mirror.putGroup("g" + key, name: name)
            mirror.add("cn=" + name, toGroup: "g" + key)
        }
        mirror.putAlias("cn=eve", for: "1")
        mirror.putAlias("cn=ada", for: "2")
        #expect(mails(mirror, "g1") == ["ada@x"] && mails(mirror, "g2") == ["eve@x"])
    }

    @Test func ofGroupsThatExcludeEachOtherOneHasTheMember() {
        var mirror = DirectoryMirror()
        mirror.put(.init(mail: "ada@x", isActive: true), "1")
        mirror.putGroup("g", name: "G")
        mirror.add("1", toGroup: "g")
        func groups() -> [String] { ["g", "rid:1", "rid:2"].filter { mails(mirror, $0) == ["ada@x"] } }
        mirror.put("1", inGroup: "rid:1", aloneAmong: "rid:")
        #expect(groups() == ["g", "rid:1"])
        mirror.put("1", inGroup: "rid:2", aloneAmong: "rid:")
        #expect(groups() == ["g", "rid:2"])
        let changes = mirror.changes
        mirror.put("1", inGroup: "rid:2", aloneAmong: "rid:")
        #expect(mirror.changes == changes)
        mirror.put("1", inGroup: nil, aloneAmong: "rid:")
        #expect(groups() == ["g"] && mirror.changes == changes + 1)
    }

    @Test func aNameThatTwoGroupsHaveLetsNobodyIn() {
        var mirror = company()
        func agent(_ group: String) -> DirectoryRoll { roll(directory(.agent, [group]), mirror) }
        #expect(agent("VPN Users").entries.count == 3)
        mirror.putGroup("0", name: "VPN Users")
        mirror.add("2", toGroup: "0")
        let both = agent("VPN Users")
        #expect(both.entries.count == 0 && both.warnings.count == 1)
        #expect(both.warnings.contains { $0.contains("2 groups are called 'VPN Users'") && $0.contains("0 or g") })
        // By its key it is found, whatever others are called.
        mirror.putGroup("x", name: "g")
        #expect(agent("g").entries.count == 3)
        mirror.removeGroup("0")
        #expect(agent("VPN Users").entries.count == 3)
    }

    @Test func itIsStoredWholeAndADamagedOneIsNone() throws {
        var mirror = company()
        mirror.putAlias("cn=ada", for: "1")
        let bytes = mirror.bytes
        let again = try #require(DirectoryMirror(bytes: bytes))
        #expect(["1", "2", "3", "4", "5"].allSatisfy { again.person($0) == mirror.person($0) && again.person($0) != nil })
        #expect(again.groups == mirror.groups && again.peopleCount == mirror.peopleCount)
        #expect(roll(directory(), again).entries == roll(directory(), mirror).entries)
        for end in stride(from: 0, to: bytes.count, by: 3) { #expect(DirectoryMirror(bytes: Array(bytes[..<end])) == nil) }
        #expect(DirectoryMirror(bytes: bytes + [0]) == nil)
        for place in bytes.indices {
            var damaged = bytes
            damaged[place] ^= 0xFF
            // Whatever it becomes, nothing traps.
            _ = DirectoryMirror(bytes: damaged).map { roll(directory(), $0) }
        }
    }

    @Test func whatChangesItIsCountedAndWhatDoesNotIsNot() {
        var mirror = company()
        func expect(_ isChange: Bool, _ body: (inout DirectoryMirror) -> Void) {
            let before = mirror.changes
            body(&mirror)
            #expect((mirror.changes != before) == isChange)
        }
        expect(false) { $0.put(.init(mail: "cam@corp.example", isActive: true), "3") }
        expect(true) { $0.put(.init(mail: "cam@corp.example", isActive: false), "3") }
        expect(false) { $0.putGroup("g", name: "VPN Users") }
        expect(true) { $0.putGroup("g", name: "VPN") }
        expect(false) { $0.add("1", toGroup: "g") }
        expect(true) { $0.remove("1", fromGroup: "g") }
        expect(false) { $0.remove("1", fromGroup: "g") }
        expect(true) { $0.removePerson("2") }
        expect(false) { $0.removePerson("2") }
        expect(true) { $0.keepOnly(["3", "g"]) }
        expect(true) { $0.clearMembers(ofGroup: "g") }
        expect(false) { $0.clearMembers(ofGroup: "g") }
        expect(true) { $0.removeGroup("g") }
    }

    @Test func partsOfAnAgentMakeTheSameWhole() throws {
        var mirror = company()
        mirror.putAlias("cn=dan", for: "4")
        mirror.add("cn=dan", toGroup: "n")
        // A group without a name of its own stands for its members.
        mirror.add("rid:513", toGroup: "n")
        mirror.add("5", toGroup: "rid:513")
        let parts = mirror.pushes(run: "r", size: 2)
        #expect(parts.count > 5 && parts.map(\.part) == Array(parts.indices) && parts.filter(\.isLast).count == 1)
        var again = DirectoryMirror()
        for part in parts { again.take(part) }
        #expect(again.peopleCount == 5 && again.groupList == mirror.groupList)
        #expect(roll(directory(), again).entries == roll(directory(), mirror).entries)
        #expect(again.people(inGroup: again.groupList[1].id).count == mirror.people(inGroup: mirror.groupList[1].id).count)
    }

    @Test func aVanishedGroupIsToldOf() {
        let roll = roll(directory(.okta, ["g", "gone"]), company())
        #expect(roll.entries.count == 3 && roll.warnings.contains { $0.contains("'gone' is not in the directory any more") })
    }

    @Test func aDefinitionSaysWhatItLacks() {
        #expect(Directory(id: "x", kind: .entra).faults.count == 3)
        var google = Directory(id: "google", kind: .google)
        google.customer = "C01234567"
        google.secret = Secret([UInt8](repeating: 65, count: Directory.keyFileLimit))
        #expect(google.faults.isEmpty)
        google.secret = Secret([UInt8](repeating: 65, count: Directory.keyFileLimit + 1))
        #expect(google.faults.count == 1)
        #expect(Directory(id: "local", kind: .agent).faults.count == 2)
        var ldap = Directory(id: "ad", kind: .activeDirectory)
        ldap.host = "dc1"
        ldap.bindName = "svc@corp.example"
        ldap.secret = Secret([])
        #expect(ldap.faults == ["The password is missing."])
    }
}

@Suite struct SecretWatchTests {
    private func days(_ days: Int, _ hours: Int = 0) -> WallTime {
        WallTime(nanoseconds: Int64(days * 24 + hours) * 3_600_000_000_000)
    }

    @Test func itWarnsAtThirtySevenAndOneDayAndAtTheEnd() {
        var watch = SecretWatch()
        let told = (0...50).flatMap { day in
            [0, 12].compactMap { watch.due("entra", endsAt: days(45), now: days(day, $0)).map { left in "\(day):\(left)" } }
        }
        // Within 30 days, within 7, within one, and when it is over.
        #expect(told == ["14:30", "37:7", "43:1", "45:-1"], "\(told)")
        // A new secret begins anew.
        #expect(watch.due("entra", endsAt: days(600), now: days(51)) == nil)
        #expect(watch.due("entra", endsAt: days(600), now: days(595)) == 5)
    }

    @Test func theSentenceSaysWhen() {
        #expect(SecretWatch.sentence("The secret", endsAt: days(45), now: days(10)) == nil)
        #expect(SecretWatch.sentence("The secret", endsAt: days(45), now: days(40)) == "The secret ends on 1970-02-15, in 5 days.")
        #expect(SecretWatch.sentence("The secret", endsAt: days(45), now: days(46)) == "The secret ended on 1970-02-15.")
    }
}
