import Base
import Cryptography
import HTTP
import Testing

@testable import Identity
@testable import Vendors

/// Readers with answers made by hand: what a simulator never says, and what it says in an order that is hard to provoke.
@Suite struct DirectoryReaderTests {
    private let now = WallTime(nanoseconds: 1_795_521_600_000_000_000)

    private func directory(_ kind: Directory.Kind, groups: [String] = ["g"]) -> Directory {
        var directory = Directory(id: "corp", kind: kind)
        directory.host = "acme.okta.com"
        directory.tenant = "contoso.example"
        directory.customer = "C01234567"
        directory.clientID = kind == .entra ? "22222222-2222-2222-2222-222222222222" : nil
        directory.secret = Secret(Array("abcdef".utf8))
        directory.groups = groups.map { .init(id: $0, name: $0) }
        return directory
    }

    private func web(_ body: String, status: Int = 200, _ headers: [(String, String)] = []) -> DirectoryAnswer {
        .web(HTTPResponse(status: status, headers: headers.map { .init($0.0, $0.1) }, body: Array(body.utf8)))
    }

    private func url(_ reader: any DirectoryReader) -> String? {
        guard case .web(let request) = reader.question else { return nil }
        #expect(request.authorization == nil)
        return request.url.description
    }

    private func addresses(_ directory: Directory, _ mirror: DirectoryMirror) -> [String] {
        DirectoryRoll(directory, mirror) { $0.contains("@") }.entries.values.map(\.email)
    }

    /// The reader as after a restart: one that was made from its bookmark and asks the same.
    private func restarted(_ reader: any DirectoryReader, _ directory: Directory) throws -> any DirectoryReader {
        let bookmark = try #require(reader.bookmark)
        guard reader.question != nil, let again = directory.reader(at: bookmark) else {
            #expect(reader.question == nil, "it cannot go on: \(bookmark)")
            return reader
        }
        #expect(url(again) == url(reader) && again.cursor == reader.cursor && again.bookmark == bookmark)
        return again
    }

    private func fault(_ reader: any DirectoryReader, _ answer: DirectoryAnswer) -> DirectoryFault? {
        var (reader, mirror) = (reader, DirectoryMirror())
        do throws(DirectoryFault) {
            try reader.receive(answer, into: &mirror, now: now)
            return nil
        } catch {
            return error
        }
    }

    @Test func entraReadsEverythingThenChanges() throws {
        let corp = directory(.entra)
        var mirror = DirectoryMirror()
        var reader = try corp.reader(since: nil)
        let base = "https://graph.microsoft.com/v1.0"
        #expect(try #require(url(reader)).hasPrefix(base + "/users/delta?%24select=id%2CdisplayName"))
        func take(_ body: String) throws {
            try reader.receive(web(body), into: &mirror, now: now)
            reader = try restarted(reader, corp)
        }
        // An empty page is not the end.
        try take(#"{"value": [], "@odata.nextLink": "\#(base)/users/delta?$skiptoken=1"}"#)
        #expect(url(reader) == base + "/users/delta?$skiptoken=1")
        try take(
            #"""
            {"value": [
              {"id": "1", "mail": "ada@contoso.example", "userPrincipalName": "ada@contoso.example", "accountEnabled": true},
              {"id": "2", "mail": null, "userPrincipalName": "grady_partner.example#EXT#@contoso.example", "accountEnabled": true},
              {"id": "3", "mail": null, "userPrincipalName": "cam@contoso.example", "accountEnabled": true},
              {"id": "4", "mail": "dan@contoso.example"}
            ], "@odata.deltaLink": "\#(base)/users/delta?$deltatoken=u1"}
            """#)
        try take(
            #"""
            {"value": [
              {"id": "g", "displayName": "VPN", "members@delta": [{"@odata.type": "#microsoft.graph.user", "id": "1"}]},
              {"id": "n", "displayName": "Nested", "members@delta": [{"@odata.type": "#microsoft.graph.user", "id": "3"}]},
              {"id": "g", "members@delta": [
                {"@odata.type": "#microsoft.graph.group", "id": "n"}, {"@odata.type": "#microsoft.graph.user", "id": "2"},
                {"@odata.type": "#microsoft.graph.user", "id": "4"}, {"@odata.type": "#microsoft.graph.device", "id": "d"}]}
            ], "@odata.deltaLink": "\#(base)/groups/delta?$deltatoken=g1"}
            """#)
        #expect(try #require(url(reader)).contains("/applications(appId='22222222-2222-2222-2222-222222222222')"))
        try take(
            #"""
            {"passwordCredentials": [{"hint": "zzz", "endDateTime": "2030-01-01T00:00:00Z"},
              {"hint": "abc", "endDateTime": "2026-12-31T23:00:00Z"}, {"hint": "abc", "endDateTime": null}]}
            """#)
        #expect(reader.question == nil && reader.secretEndsAt?.day == "2026-12-31")
        // A guest without an address and an account of which nothing is said do not come.
        #expect(addresses(corp, mirror) == ["ada@contoso.example", "cam@contoso.example"])

        var later = try corp.reader(since: reader.cursor)
        #expect(url(later) == base + "/users/delta?$deltatoken=u1")
        // The same user twice: the last one counts. What is not said stays.
        try later.receive(
            web(
                #"""
                {"value": [{"id": "1", "displayName": "Ada", "accountEnabled": true}, {"id": "3", "@removed": {"reason": "changed"}},
                  {"id": "4", "accountEnabled": true}, {"id": "1", "accountEnabled": false}],
                  "@odata.deltaLink": "\#(base)/users/delta?$deltatoken=u2"}
                """#), into: &mirror, now: now)
        later = try restarted(later, corp)
        #expect(url(later) == base + "/groups/delta?$deltatoken=g1")
        try later.receive(
            web(
                #"""
                {"value": [{"id": "g", "displayName": "VPN", "members@delta": [{"id": "2", "@removed": {"reason": "deleted"}}]}],
                  "@odata.deltaLink": "\#(base)/groups/delta?$deltatoken=g2"}
                """#), into: &mirror, now: now)
        #expect(later.question == nil && later.cursor["users"] == base + "/users/delta?$deltatoken=u2")
        #expect(addresses(corp, mirror) == ["dan@contoso.example"])
    }

    @Test func entraRefusesHalvesAndOtherHosts() throws {
        let reader = try directory(.entra).reader(since: nil)
        #expect(fault(reader, web(#"{"value": []}"#))?.kind == .malformed)
        #expect(fault(reader, web(#"{"value": [], "@odata.nextLink": "https://evil.example/users"}"#))?.kind == .malformed)
        #expect(fault(reader, web(#"{"error": {}}"#))?.kind == .malformed)
        #expect(fault(reader, web("<html>"))?.kind == .malformed)
        #expect(fault(reader, web(#"{"value": [{"displayName": "x"}], "@odata.deltaLink": "https://graph.microsoft.com/x"}"#))?.kind == .malformed)
        #expect(fault(reader, web("{}", status: 410))?.kind == .outdated)
        #expect(fault(reader, web("{}", status: 401))?.kind == .unauthorised)
        #expect(fault(reader, web("{}", status: 503))?.kind == .transient)
        #expect(
            fault(reader, web("{}", status: 429, [("Retry-After", "2.128")]))?.kind == .throttled(Tick.Span(nanoseconds: 2_128_000_000)))
        let forbidden = fault(reader, web(#"{"error": {"code": "Authorization_RequestDenied"}}"#, status: 403))
        #expect(forbidden?.kind == .refused && forbidden?.description.contains("User.Read.All") == true)
    }

    private func oktaUser(_ id: String, _ status: String, _ stamp: String = "2024-05-01T00:00:00.000Z") -> String {
        #"{"id": "\#(id)", "status": "\#(status)", "lastUpdated": "\#(stamp)", "profile": {"login": "\#(id)@acme.example", "email": "\#(id)@acme.example", "firstName": null}}"#
    }

    @Test func oktaReadsChosenGroupsThenOnlyThoseThatChanged() throws {
        let corp = directory(.okta, groups: ["g1", "g2"])
        var mirror = DirectoryMirror()
        var reader = try corp.reader(since: nil)
        let base = "https://acme.okta.com/api/v1"
        #expect(url(reader) == base + "/groups?limit=200")
        func group(_ id: String, _ stamp: String) -> String {
            #"{"id": "\#(id)", "lastUpdated": "2020-01-01T00:00:00.000Z", "lastMembershipUpdated": "\#(stamp)", "profile": {"name": "Group \#(id)"}}"#
        }
        let groups = ["g1", "g2", "other"].map { group($0, "2024-05-02T10:00:00.000Z") }.joined(separator: ",")
        try reader.receive(web("[\(groups)]", 200, [("Link", "<\(base)/groups?limit=200>; rel=\"self\"")]), into: &mirror, now: now)
        #expect(url(reader) == base + "/groups/g1/users?limit=1000")
        reader = try restarted(reader, corp)
        // Two header lines, the second of which leads on.
        try reader.receive(
            web(
                "[\(oktaUser("ada", "ACTIVE")),\(oktaUser("ben", "SUSPENDED"))]", 200,
                [("Link", "<\(base)/groups/g1/users?limit=1000>; rel=\"self\""),
                    ("Link", "<\(base)/groups/g1/users?after=x&limit=1000>; rel=\"next\"")]), into: &mirror, now: now)
        #expect(url(reader) == base + "/groups/g1/users?after=x&limit=1000")
        reader = try restarted(reader, corp)
        try reader.receive(web("[\(oktaUser("cam", "PASSWORD_EXPIRED"))]"), into: &mirror, now: now)
        #expect(url(reader) == base + "/groups/g2/users?limit=1000")
        // Deleted since the list was read.
        try reader.receive(web(#"{"errorCode": "E0000007"}"#, 404), into: &mirror, now: now)
        #expect(reader.question == nil && reader.cursor == ["since": "2024-05-02T10:00:00.000Z"])
        #expect(addresses(corp, mirror) == ["ada@acme.example", "cam@acme.example"])

        var later = try corp.reader(since: reader.cursor)
        // Five minutes before the newest stamp in the data.
        #expect(try #require(url(later)).contains("lastMembershipUpdated%20gt%20%222024-05-02T09%3A55%3A00.000Z%22"))
        try later.receive(web("[\(group("g1", "2024-05-02T11:00:00.000Z"))]"), into: &mirror, now: now)
        #expect(url(later) == base + "/groups/g1/users?limit=1000")
        later = try restarted(later, corp)
        try later.receive(web("[\(oktaUser("ada", "ACTIVE"))]"), into: &mirror, now: now)
        later = try restarted(later, corp)
        #expect(try #require(url(later)).hasPrefix(base + "/users?limit=200&filter=lastUpdated"))
        try later.receive(
            web("[\(oktaUser("ada", "DEPROVISIONED", "2024-05-02T12:00:00.000Z")),\(oktaUser("new", "ACTIVE"))]"), into: &mirror,
            now: now)
        #expect(later.question == nil && later.cursor["since"] == "2024-05-02T12:00:00.000Z")
        #expect(addresses(corp, mirror).isEmpty && mirror.person("new") == nil)
    }

    private func web(_ body: String, _ status: Int, _ headers: [(String, String)] = []) -> DirectoryAnswer {
        web(body, status: status, headers)
    }

    @Test func oktaWaitsAsItsHeadersSay() throws {
        let reader = try directory(.okta).reader(since: nil)
        let limits = [
            ("Date", "Wed, 14 Apr 2021 16:35:10 GMT"), ("x-rate-limit-limit", "600"), ("x-rate-limit-remaining", "0"),
            ("x-rate-limit-reset", "1618418152"),
        ]
        #expect(fault(reader, web("{}", 429, limits))?.kind == .throttled(.seconds(42)))
        // The limit of calls at one time has no end that is told.
        let atOnce = [("x-rate-limit-limit", "0"), ("x-rate-limit-remaining", "0"), ("x-rate-limit-reset", "1618418152")]
        #expect(fault(reader, web("{}", 429, atOnce))?.kind == .throttled(.seconds(2)))
        let refused = fault(reader, web(#"{"errorCode": "E0000011"}"#, 401))
        #expect(refused?.kind == .refused && refused?.description.contains("E0000011") == true)
        #expect(fault(reader, web("[]", 200, [("Link", "<https://evil.example/x>; rel=\"next\"")]))?.kind == .malformed)
        #expect(fault(reader, web("{}", 200))?.kind == .malformed)
    }

    @Test func googleJoinsMembersAndTellsItsForbiddensApart() throws {
        let corp = directory(.google, groups: ["g", "all"])
        var mirror = DirectoryMirror()
        var reader = try corp.reader(since: nil)
        func take(_ body: String) throws {
            try reader.receive(web(body), into: &mirror, now: now)
            reader = try restarted(reader, corp)
        }
        #expect(try #require(url(reader)).contains("/groups?customer=C01234567&maxResults=200"))
        try take(#"{"groups": [{"id": "g", "name": "VPN", "directMembersCount": "3"}, {"id": "all", "name": "All"}]}"#)
        try take(
            #"""
            {"users": [{"id": "1", "primaryEmail": "ada@acme.example", "suspended": false, "archived": false}],
             "nextPageToken": "p2"}
            """#)
        #expect(try #require(url(reader)).contains("maxResults=500") && url(reader)?.hasSuffix("&pageToken=p2") == true)
        // Not said is not "no".
        try take(
            #"""
            {"users": [{"id": "2", "primaryEmail": "ben@acme.example", "suspended": true},
             {"id": "3", "primaryEmail": "cam@acme.example"},
             {"id": "4", "primaryEmail": "dan@acme.example", "suspended": false, "archived": true},
             {"id": "5", "primaryEmail": "eve@acme.example", "suspended": false}]}
            """#)
        try take(
            #"{"members": [{"id": "1", "type": "USER"}, {"id": "2", "type": "USER"}, {"id": "n", "type": "GROUP"}, {"id": "x", "type": "EXTERNAL"}]}"#)
        #expect(try #require(url(reader)).contains("/groups/n/members"))
        try take("{}")
        #expect(addresses(corp, mirror) == ["ada@acme.example"])
        // Everybody of the customer.
        try take(#"{"members": [{"id": "C01234567", "type": "CUSTOMER"}]}"#)
        #expect(reader.question == nil)
        #expect(addresses(corp, mirror) == ["ada@acme.example", "eve@acme.example"])

        let fresh = try corp.reader(since: nil)
        func forbidden(_ reason: String) -> DirectoryFault.Kind? {
            fault(fresh, web(#"{"error": {"code": 403, "errors": [{"reason": "\#(reason)"}]}}"#, 403))?.kind
        }
        #expect(forbidden("quotaExceeded") == .throttled(.seconds(10)))
        #expect(forbidden("accessNotConfigured") == .refused && forbidden("forbidden") == .refused)
    }

    @Test func activeDirectoryReadsRangesPrimaryGroupsAndWhatChanged() throws {
        let corp = directory(.activeDirectory)
        var mirror = DirectoryMirror()
        let groupKey = "b6c829c9-3eef-4a61-adb4-d71136a65d9a"
        let guid: [UInt8] = [0xC9, 0x29, 0xC8, 0xB6, 0xEF, 0x3E, 0x61, 0x4A, 0xAD, 0xB4, 0xD7, 0x11, 0x36, 0xA6, 0x5D, 0x9A]
        #expect(ActiveDirectoryReader.guid(guid) == groupKey)
        var chosen = corp
        chosen.groups = [.init(id: groupKey, name: "VPN")]
        func person(_ number: UInt8, _ name: String, _ control: Int, _ more: [String: String] = [:]) -> LDAPEntry {
            var attributes = ["useraccountcontrol": [Array("\(control)".utf8)], "mail": [Array("\(name)@corp.example".utf8)]]
            attributes["objectguid"] = [[UInt8](repeating: number, count: 16)]
            for (name, value) in more { attributes[name] = [Array(value.utf8)] }
            return LDAPEntry(dn: "CN=\(name),DC=corp", attributes: attributes)
        }
        func root(_ usn: Int) -> LDAPResult {
            let texts = [
                "defaultnamingcontext": "DC=corp", "dsservicename": "CN=NTDS", "dnshostname": "dc1", "highestcommittedusn": "\(usn)",
            ]
            return LDAPResult(entries: [LDAPEntry(dn: "", attributes: texts.mapValues { [Array($0.utf8)] })])
        }
        let invocation = LDAPResult(entries: [LDAPEntry(dn: "CN=NTDS", attributes: ["invocationid": [[1, 2, 3]]])])
        var reader = try chosen.reader(since: nil)
        func search() -> LDAPSearch? { if case .search(let search) = reader.question { search } else { nil } }
        func take(_ entries: [LDAPEntry], _ cookie: [UInt8] = []) throws {
            try reader.receive(.search(LDAPResult(entries: entries, cookie: cookie)), into: &mirror, now: now)
        }
        try reader.receive(.search(root(100)), into: &mirror, now: now)
        try reader.receive(.search(invocation), into: &mirror, now: now)
        #expect(search()?.filter == "(&(objectCategory=person)(objectClass=user))" && search()?.pageSize == 500)
        try take([person(1, "ada", 512), person(2, "ben", 514)], [7])
        // The same cookie again is no end.
        #expect(search()?.cookie == [7])
        try take([person(3, "cam", 512, ["accountexpires": "130000000000000000"])], [7])
        try take([
            person(4, "dan", 512, ["accountexpires": "9223372036854775807"]), person(5, "eve", 512, ["primarygroupid": "1234"]),
            person(6, "fay", 66048),
        ])
        #expect(search()?.filter == "(objectCategory=group)")
        let ranged = LDAPEntry(
            dn: "CN=VPN,DC=corp",
            attributes: [
                "objectguid": [guid], "cn": [Array("VPN".utf8)], "member": [],
                "objectsid": [[1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0] + [0xD2, 4, 0, 0]],
                "member;range=0-2": ["CN=ADA,DC=corp", "CN=ben,DC=corp", "CN=cam,DC=corp"].map { Array($0.utf8) },
            ])
        try take([ranged])
        #expect(search()?.base == "CN=VPN,DC=corp" && search()?.attributes == ["member;range=3-*"])
        try take([LDAPEntry(dn: "CN=VPN,DC=corp", attributes: ["member;range=3-*": [Array("CN=dan,DC=corp".utf8)]])])
        #expect(reader.question == nil && reader.cursor["usn"] == "100")
        // Disabled and expired accounts do not come; who has it as the primary group does.
        #expect(addresses(chosen, mirror) == ["ada@corp.example", "dan@corp.example", "eve@corp.example"])

        reader = try chosen.reader(since: reader.cursor)
        try reader.receive(.search(root(150)), into: &mirror, now: now)
        try reader.receive(.search(invocation), into: &mirror, now: now)
        #expect(search()?.filter == "(&(&(objectCategory=person)(objectClass=user))(uSNChanged>=101))")
        try take([person(1, "ada", 514)])
        #expect(search()?.filter.contains("accountExpires>=") == true)
        try take([])
        #expect(search()?.filter == "(&(objectCategory=group)(uSNChanged>=101))")
        try take([])
        // Dan was deleted: an ordinary account sees that he is not there.
        #expect(search()?.attributes == ["objectGUID"])
        let present = [1, 2, 3, 5, 6].map { person(UInt8($0), "x", 512) }
            + [LDAPEntry(dn: "CN=VPN", attributes: ["objectguid": [guid]])]
        try take(present)
        #expect(reader.question == nil && reader.cursor["usn"] == "150")
        #expect(addresses(chosen, mirror) == ["eve@corp.example"])

        // Another domain controller counts differently.
        reader = try chosen.reader(since: ["dc": "dc2", "usn": "5", "invocation": "010203"])
        #expect(fault(reader, .search(root(100)))?.kind == .outdated)
    }

    @Test func aBookmarkThatDoesNotFitIsNone() throws {
        for kind in [Directory.Kind.entra, .okta, .google] {
            let corp = directory(kind)
            let good = try #require(try corp.reader(since: nil).bookmark)
            #expect(corp.reader(at: good) != nil)
            var elsewhere = good
            elsewhere["next"] = ["https://evil.example/api/v1/groups"]
            var lost = good
            lost["phase"] = ["members"]
            for bookmark in [elsewhere, lost, [:], ["next": []]] { #expect(corp.reader(at: bookmark) == nil, "\(kind) \(bookmark)") }
        }
        #expect(try directory(.activeDirectory).reader(since: nil).bookmark == nil)
    }

    @Test func aKeyFileIsCheckedBeforeItIsBelieved() throws {
        func refusal(_ text: String) -> String {
            do throws(DirectoryFault) {
                _ = try ServiceAccountKey(Secret(Array(text.utf8)))
                return ""
            } catch {
                return error.description
            }
        }
        func file(_ key: String, uri: String = ServiceAccountKey.tokenURI, type: String = "service_account") -> String {
            #"{"type": "\#(type)", "private_key_id": "k", "private_key": "\#(key)", "client_email": "a@b.iam", "token_uri": "\#(uri)"}"#
        }
        #expect(refusal(String(repeating: " ", count: 10_241)).contains("10241 bytes"))
        #expect(refusal("{").contains("no JSON object"))
        #expect(refusal(file("x", type: "authorized_user")).contains("type"))
        #expect(refusal(file("x", uri: "https://evil.example/token")).contains("token_uri"))
        #expect(refusal(file("x")).contains("no RSA key") && !refusal(file("hush")).contains("hush"))
    }
}
