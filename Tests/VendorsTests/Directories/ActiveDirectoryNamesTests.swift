import Base
import Testing

@testable import Identity
@testable import Vendors

/// Distinguished names are given anew, and a group says nothing of it when a member of it is deleted.
@Suite struct ActiveDirectoryNamesTests {
    /// A domain of one chosen group, read in full and then change by change.
    private struct Domain {
        var directory = Directory(id: "corp", kind: .activeDirectory)
        var mirror = DirectoryMirror()
        var cursor: [String: String]?
        var usn = 100

        init() { directory.groups = [.init(id: Self.key(Self.chosen), name: "VPN")] }

        static let chosen: UInt8 = 9

        static func key(_ number: UInt8) -> String { ActiveDirectoryReader.guid([UInt8](repeating: number, count: 16)) }

        /// - Parameters:
        ///   - people, groups: what is new or has changed.
        ///   - present: the numbers of all that are there; asked for from the second time on.
        mutating func read(_ people: [LDAPEntry], _ groups: [LDAPEntry] = [], present: [UInt8] = []) throws {
            var reader = try directory.reader(since: cursor)
            usn += 50
            let root = [
                "defaultnamingcontext": "DC=corp", "dsservicename": "CN=NTDS", "dnshostname": "dc1",
                "highestcommittedusn": "\(usn)",
            ]
            let own = [
                [LDAPEntry(dn: "", attributes: root.mapValues { [Array($0.utf8)] })],
                [LDAPEntry(dn: "CN=NTDS", attributes: ["invocationid": [[1, 2, 3]]])],
            ]
            let all = present.map { LDAPEntry(dn: "CN=x", attributes: ["objectguid": [[UInt8](repeating: $0, count: 16)]]) }
            for entries in own + (cursor == nil ? [people, groups] : [people, [], groups, all]) {
                try reader.receive(
                    .search(LDAPResult(entries: entries)), into: &mirror, now: WallTime(nanoseconds: 1_795_521_600_000_000_000))
            }
            #expect(reader.question == nil)
            cursor = reader.cursor
        }

        var addresses: [String] { DirectoryRoll(directory, mirror) { $0.contains("@") }.entries.values.map(\.email) }
    }

    private func person(_ number: UInt8, _ mail: String, named name: String, primary: Int = 513) -> LDAPEntry {
        entry(
            number, name, [
                "mail": ["\(mail)@corp.example"], "useraccountcontrol": ["512"], "primarygroupid": ["\(primary)"],
            ])
    }

    private func group(_ number: UInt8, _ name: String, _ members: [String], relative: UInt8 = 0) -> LDAPEntry {
        var entry = entry(number, name, ["cn": [name], "member": members.map { "CN=\($0),DC=corp" }])
        entry.attributes["objectsid"] = [[1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, relative, 4, 0, 0]]
        return entry
    }

    private func entry(_ number: UInt8, _ name: String, _ texts: [String: [String]]) -> LDAPEntry {
        var attributes = texts.mapValues { $0.map { Array($0.utf8) } }
        attributes["objectguid"] = [[UInt8](repeating: number, count: 16)]
        return LDAPEntry(dn: "CN=\(name),DC=corp", attributes: attributes)
    }

    @Test func whoGetsTheNameOfOneWhoWasDeletedGetsNoGroup() throws {
        var domain = Domain()
        try domain.read([person(1, "ada", named: "ada"), person(2, "ben", named: "ben")], [group(9, "VPN", ["ada", "ben"])])
        #expect(domain.addresses == ["ada@corp.example", "ben@corp.example"])
        try domain.read([person(3, "eve", named: "ADA")], present: [2, 3, 9])
        #expect(domain.addresses == ["ben@corp.example"])
        // Nor later, when only others change.
        try domain.read([person(2, "ben", named: "ben")], present: [2, 3, 9])
        #expect(domain.addresses == ["ben@corp.example"])
        // Whom the group lists, by whatever name, is in it.
        try domain.read([], [group(9, "VPN", ["ada", "ben"])], present: [2, 3, 9])
        #expect(domain.addresses == ["ben@corp.example", "eve@corp.example"])
    }

    @Test func whoIsPutIntoTheGroupInTheSameMomentIsInIt() throws {
        var domain = Domain()
        try domain.read([person(1, "ada", named: "ada")], [group(9, "VPN", ["ada"])])
        try domain.read([person(3, "eve", named: "ada")], [group(9, "VPN", ["ada"])], present: [3, 9])
        #expect(domain.addresses == ["eve@corp.example"])
    }

    @Test func whoIsRenamedStaysWhenSomebodyTakesTheOldName() throws {
        var domain = Domain()
        try domain.read([person(1, "ada", named: "ada")], [group(9, "VPN", ["ada"])])
        try domain.read([person(1, "ada", named: "ada king")], present: [1, 9])
        #expect(domain.addresses == ["ada@corp.example"])
        try domain.read([person(3, "eve", named: "ada")], present: [1, 3, 9])
        #expect(domain.addresses == ["ada@corp.example"])
    }

    /// A contact or a computer may be a member, of which nothing is read; or somebody who was renamed between the people and
    /// the groups of one reading. Which of them it is, a full reading tells.
    @Test func aNameThatWasNobodysHasEverythingReadAnew() throws {
        var domain = Domain()
        try domain.read([], [group(9, "VPN", ["printer"])])
        let fault = #expect(throws: DirectoryFault.self) {
            try domain.read([person(3, "eve", named: "printer")], present: [3, 9])
        }
        #expect(fault?.kind == .outdated)
        var anew = Domain()
        try anew.read([person(3, "eve", named: "printer")], [group(9, "VPN", ["printer"])])
        #expect(anew.addresses == ["eve@corp.example"])
        try anew.read([person(3, "eve", named: "eve")], present: [3, 9])
        #expect(anew.addresses == ["eve@corp.example"])
    }

    @Test(arguments: [true, false]) func aGroupThatIsMadeAnewIsInAnotherOnlyWhenItIsPutThere(_ isPutThere: Bool) throws {
        var domain = Domain()
        try domain.read(
            [person(1, "ada", named: "ada"), person(3, "eve", named: "eve")],
            [group(9, "VPN", ["inner"]), group(8, "inner", ["ada"])])
        #expect(domain.addresses == ["ada@corp.example"])
        let changed = (isPutThere ? [group(9, "VPN", ["inner"])] : []) + [group(7, "inner", ["eve"])]
        try domain.read([], changed, present: [1, 3, 7, 9])
        #expect(domain.addresses == (isPutThere ? ["eve@corp.example"] : []))
    }

    @Test func anotherPrimaryGroupIsInThePlaceOfTheOldOne() throws {
        var domain = Domain()
        // 0x0402 is 1026.
        try domain.read([person(1, "ada", named: "ada", primary: 1026)], [group(9, "VPN", [], relative: 2)])
        #expect(domain.addresses == ["ada@corp.example"])
        try domain.read([person(1, "ada", named: "ada", primary: 513)], present: [1, 9])
        #expect(domain.addresses.isEmpty)
        try domain.read([person(1, "ada", named: "ada", primary: 1026)], present: [1, 9])
        #expect(domain.addresses == ["ada@corp.example"])
    }
}
