internal import Foundation
internal import Testing

/// Directories, from the administrator's first word to a connection that is cut: simulators of what Microsoft Graph, Okta and
/// Google are on the wire.
@Suite(.tags(.endToEnd), .timeLimit(.minutes(15)))
struct DirectoryTests {
    private static let everyone = ["ada", "ben", "cam", "dan", "eve", "fay"]

    /// The whole promise: people come by themselves, and who leaves loses an open connection within one interval.
    @Test func aLeaversTransferIsCutWithinOneInterval() async throws {
        try await DirectoryLab.with { company in
            try await company.simulate("entra")
            try await company.addEntra(["--group", "VPN Users", "--interval", "10"])
            try await eventually("everyone of the group has come") { try await company.enabled() == Self.everyone }
            let ada = try #require(try await company.users()["ada"])
            #expect(ada.groups == ["Entra Users"] && ada.tags == ["VPN Users"])
            #expect(try await company.status("entra").secretEndsAt != nil)

            let (lab, gateway) = (company.lab, company.gateway)
            try await gateway.mustCLI(["session", "admit", Topology.client, "--user", "ada@corp.example"])
            let receiver = try lab.start(
                "socat", ["-u", "TCP4-LISTEN:5998,reuseaddr", "CREATE:/dev/null"], on: .vpc, log: "receiver.log")
            let sender = try lab.start(
                "socat", ["-u", "FILE:/dev/zero", "TCP:\(Topology.vpc):5998,retry=50,interval=0.1"], on: .client,
                log: "sender.log")
            try await eventually("the transfer runs") { try await gateway.sessions()[0].bytesOut > 1_000_000 }

            // Two synchronisations begin after the change, and the second one at the latest has it.
            try await company.control(#"{"set": {"ada": {"active": false}}}"#)
            let before = try await company.asked("/v1.0/users/delta")
            try await eventually("the transfer ends", within: 40) { await sender.wait(seconds: 0.1) != nil }
            let after = try await company.asked("/v1.0/users/delta")
            #expect(after - before <= 2, "it took \(after - before) synchronisations")
            #expect(try await lab.ping(count: 1).answered == 0)
            #expect(try await gateway.sessions().isEmpty)
            try await gateway.waitForAudit("session-ended", "disabled by directory entra", "suspended")
            let again = try await gateway.cli(["session", "admit", Topology.client, "--user", "ada@corp.example"])
            #expect(again.status == 1 && again.text.contains("is disabled"), "\(again.text)")
            receiver.signal(SIGTERM)

            // It stays so when nothing changes any more.
            #expect(try await company.sync("entra").isDone)
            #expect(try await company.users()["ada"]?.isEnabled == false)

            // And back.
            try await company.control(#"{"set": {"ada": {"active": true}}}"#)
            try await eventually("ada is back", within: 40) { try await company.enabled() == Self.everyone }
            try await gateway.mustCLI(["session", "admit", Topology.client, "--user", "ada@corp.example"])
            #expect(try await lab.ping(count: 3).answered > 0)
        }
    }

    /// Previews, changes, groups within groups, names that are no tags, new names of groups, and questions.
    @Test func entraFromTheFirstLookToTheLastLeaver() async throws {
        try await DirectoryLab.with { company in
            try await company.simulate("entra")
            try await company.addEntra(["--interval", "3600"])
            let groups = try await company.gateway.mustCLI(["directory", "groups", "entra"])
            #expect(groups.contains("Engineering") && groups.contains("too long a name for a tag"), "\(groups)")
            #expect(try await company.gateway.cli(["directory", "sync", "entra"]).text.contains("No group"))
            let unknown = try await company.gateway.cli(["directory", "edit", "entra", "--group", "Nobody's"])
            #expect(unknown.status == 1 && unknown.text.contains("has no group 'Nobody's'"), "\(unknown.text)")
            #expect(try await company.users().isEmpty)

            try await company.gateway.mustCLI([
                "directory", "edit", "entra", "--group", "Staff", "--group", "A department with quite a long name", "--group",
                "VPN Users",
            ])
            try await eventually("everyone has come") {
                try await company.enabled() == Self.everyone + ["gus", "hal"]
            }
            let users = try await company.users()
            #expect(users["ada"]?.tags == ["Staff", "VPN Users"] && users["gus"]?.tags == ["Staff"])
            #expect(users["hal"]?.tags == [] && users["hal"]?.groups == ["Entra Users"])
            #expect(try await company.status("entra").warnings.contains { $0.contains("gives no tag") })

            // Changes alone are asked for: two requests.
            try await company.control(
                #"{"add": [{"id": "ivy"}], "join": ["ivy", "eng"], "rename_group": ["staff", "People"]}"#)
            let preview = try await company.gateway.mustCLI(["directory", "preview", "entra"])
            #expect(preview.contains("+ ivy@corp.example") && preview.contains("Nothing was stored"), "\(preview)")
            #expect(try await company.users()["ivy"] == nil)
            #expect(try await company.sync("entra").isDone)
            #expect(try await company.status("entra").requests == 2)
            #expect(try await company.users()["ivy"]?.tags == ["People"])
            #expect(try await company.users()["ada"]?.tags == ["VPN Users", "People"])

            // Deleted and restored, and out of a group.
            try await company.control(#"{"delete": ["ivy"]}"#)
            #expect(try await company.sync("entra").isDone)
            #expect(try await company.users()["ivy"]?.isEnabled == false)
            try await company.control(#"{"restore": ["ivy"], "leave": ["gus", "staff"]}"#)
            #expect(try await company.sync("entra").isDone)
            #expect(try await company.users()["ivy"]?.isEnabled == true)
            #expect(try await company.users()["gus"]?.isEnabled == false)

            // Too many at once: it asks, and does as it is told.
            let here = try await company.enabled()
            try await company.control(#"{"set": {"ada": {"active": false}, "ben": {"active": false}}}"#)
            let asked = try await company.sync("entra")
            #expect(!asked.isDone && asked.text.contains("2 of 8 users"), "\(asked.text)")
            #expect(try await company.enabled() == here)
            #expect(try await company.status("entra").question != nil)
            #expect(try await company.sync("entra", ["--confirm"]).isDone)
            #expect(try await company.enabled() == here.filter { $0 != "ada" && $0 != "ben" })
            try await company.gateway.waitForAudit("directory-confirmed", "directory-asks")

            // The end of the secret, as Graph says it, is warned of in time.
            #expect(try await company.status("entra").warnings.allSatisfy { !$0.contains("The secret") })
            try await company.control(#"{"secret_days": 5}"#)
            #expect(try await company.sync("entra", ["--full"]).isDone)
            #expect(try await company.status("entra").warnings.contains { $0.contains("The secret ends on") })
            #expect(try await company.gateway.cli(["doctor"]).text.contains("The secret of entra ends on"))
            try await eventually("an event warns of it") {
                try await company.gateway.mustCLI(["events"]).contains("The secret of the directory entra ends on")
            }

            // A restart forgets nothing: the next reading is of changes.
            #expect(await company.gateway.stop() == 0)
            try await company.gateway.start()
            #expect(try await company.sync("entra").isDone)
            #expect(try await company.status("entra").requests == 2)
            // A removal takes its users along.
            try await company.gateway.mustCLI(["directory", "remove", "entra", "--yes"])
            #expect(try await company.enabled().isEmpty)
        }
    }

    /// Okta without an API token: the key of a service app.
    @Test func oktaWithTheKeyOfAServiceApp() async throws {
        try await DirectoryLab.with { company in
            let key = company.folder + "/service.pem"
            try await must("openssl", ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key])
            try await company.simulate("okta", ["--service-key", key])
            let words = [
                "directory", "add", "okta", "--domain", DirectoryLab.address, "--client-id", "0oa1", "--key-id", "k1", "--group",
                "vpn users", "--interval", "3600",
            ]
            let other = company.folder + "/other.pem"
            try await must("openssl", ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", other])
            let refused = try await company.gateway.cli(words + ["--secret-file", other])
            #expect(refused.status == 1 && refused.text.contains("invalid_client"), "\(refused.text)")
            try await company.gateway.mustCLI(words + ["--secret-file", key])
            try await eventually("everyone has come") { try await company.enabled() == Self.everyone }
        }
    }

    /// Whatever goes wrong on the way disables nobody, and the next synchronisation is as it should be.
    @Test(arguments: ["entra", "okta", "google"])
    func nothingThatGoesWrongDisablesAnyone(_ vendor: String) async throws {
        try await DirectoryLab.with { company in
            try await start(company, vendor)
            try await eventually("everyone has come") { try await company.enabled() == Self.everyone }
            // Pages of two, so that a fault meets a directory that is read half-way.
            try await company.control(#"{"page": 2}"#)
            let path = vendor == "google" ? "users" : "groups"
            for kind in ["garbage", "cut", "redirect", "forbidden", "empty", "short", "html", "error", "reset"] {
                // As often as it is tried.
                let count = ["html", "error", "reset", "cut", "short"].contains(kind) ? 5 : 1
                try await company.control(#"{"fault": {"kind": "\#(kind)", "path": "\#(path)", "after": 1, "count": \#(count)}}"#)
                let result = try await company.sync(vendor, ["--full"])
                #expect(try await company.enabled() == Self.everyone, "\(kind): \(result.text)")
                try await company.control(#"{"reset": true, "page": 2}"#)
                // Another reading is right again: the host may be left alone for a moment, and then is not.
                try await eventually("after '\(kind)' it is read again", within: 90) {
                    try await company.sync(vendor, ["--full"]).isDone
                }
                #expect(try await company.enabled() == Self.everyone, "\(kind)")
            }
            // A pause is kept, and the reading goes on where it was.
            let wait = vendor == "google" ? "quota" : "throttle"
            try await company.control(#"{"fault": {"kind": "\#(wait)", "path": "\#(path)", "after": 1, "count": 1, "seconds": "1.5"}}"#)
            try await eventually("a pause passes", within: 60) { try await company.sync(vendor).isDone }
            if vendor != "okta" {
                // A token that ends in the middle is replaced.
                try await company.control(#"{"revoke": true}"#)
                #expect(try await company.sync(vendor, ["--full"]).isDone)
            }
            if vendor == "entra" {
                // A reading that was stopped goes on where it was: the users are not asked for again.
                try await company.control(#"{"fault": {"kind": "error", "path": "groups", "after": 1, "count": 5}}"#)
                #expect(try await !company.sync(vendor, ["--full"]).isDone)
                let users = try await company.asked("/v1.0/users/delta")
                try await eventually("it goes on", within: 90) { try await company.sync(vendor).isDone }
                #expect(try await company.asked("/v1.0/users/delta") == users)
                // Changes that cannot be told any more: everything anew.
                try await company.control(#"{"gone": true}"#)
                #expect(try await company.sync(vendor).isDone)
            }
            try await company.control(#"{"set": {"fay": {"active": false}}}"#)
            #expect(try await company.sync(vendor).isDone)
            #expect(try await company.enabled() == Self.everyone.filter { $0 != "fay" })
        }
    }

    /// A gateway that is started anew while a directory has a bad moment does not begin from the first page.
    @Test(arguments: [
        ("entra", "/v1.0/users/delta", "groups"), ("okta", "/api/v1/groups", "users"),
        ("google", "/admin/directory/v1/users", "members"),
    ])
    func aReadingThatWasStoppedGoesOnAfterARestart(_ vendor: String, _ first: String, _ later: String) async throws {
        try await DirectoryLab.with { company in
            try await start(company, vendor)
            try await eventually("everyone has come") { try await company.enabled() == Self.everyone }
            try await company.control(#"{"page": 2}"#)
            try await company.control(#"{"set": {"eve": {"active": false}}}"#)
            try await company.control(#"{"fault": {"kind": "error", "path": "\#(later)", "after": 1, "count": 5}}"#)
            let stopped = try await company.sync(vendor, ["--full"])
            #expect(!stopped.isDone && stopped.text.contains("503"), "\(stopped.text)")
            let asked = try await company.asked(first)
            #expect(await company.gateway.stop() == 0)
            try await company.gateway.start()
            // By itself: its interval is an hour.
            try await eventually("it goes on", within: 90) {
                try await company.enabled() == Self.everyone.filter { $0 != "eve" }
            }
            #expect(try await company.asked(first) == asked)
            // And the next one is whole again.
            #expect(try await company.sync(vendor, ["--full"]).isDone)
            #expect(try await company.asked(first) > asked)
        }
    }

    /// A real domain controller with more people than fit on a page, asked by the gateway itself and by an agent.
    @Test func activeDirectoryByItselfAndByAnAgent() async throws {
        try await DirectoryLab.with { company in
            let gateway = company.gateway
            try await company.startSamba(people: 1200)
            let place = ["--host", DirectoryLab.controller, "--user", "svc-gate@corp.example", "--group", "VPN"]
            let password = try company.secretFile("svc-Read-0nly!")
            func add(_ name: String, _ more: [String]) async throws -> Output {
                try await gateway.cli(["directory", "add", "active-directory", name] + place + more)
            }
            // Neither a wrong password nor a certificate that nobody vouches for, nor one for another name.
            let wrong = try company.lab.write("wrong\n", to: "wrong")
            let refused = try await add("x", ["--secret-file", wrong, "--ca", company.authority])
            #expect(refused.status == 1 && refused.text.contains("name or password are wrong"), "\(refused.text)")
            let untrusted = try await add("x", ["--secret-file", password])
            #expect(untrusted.status == 1 && untrusted.text.contains("TLS handshake failed"), "\(untrusted.text)")

            #expect(
                try await add(
                    "ad", ["--secret-file", password, "--ca", company.authority, "--group", "Everybody", "--interval", "3600"]
                ).status == 0)
            try await eventually("everyone has come", within: 60) { try await company.enabled().count == 1202 }
            let users = try await company.users()
            // Ben by a group within a group; cam is disabled there.
            #expect(users["ada"]?.tags == ["VPN"] && users["ben"]?.tags == ["VPN"] && users["cam"] == nil)
            #expect(users["p1200"]?.tags == ["Everybody"] && users["svc-gate"] == nil)

            try await company.setControl("ada", 514)
            try await company.setControl("cam", 512)
            try await company.ldap("ldapdelete", ["CN=p0001,CN=Users,DC=corp,DC=example"])
            #expect(try await company.sync("ad").isDone)
            let after = try await company.users()
            #expect(after["ada"]?.isEnabled == false && after["p0001"]?.isEnabled == false && after["cam"]?.isEnabled == true)
            #expect(try await company.status("ad").requests <= 10)
            try await company.ldap(
                "ldapmodify", [],
                "dn: CN=VPN,CN=Users,DC=corp,DC=example\nchangetype: modify\ndelete: member\n"
                    + "member: CN=Engineering,CN=Users,DC=corp,DC=example\n\n")
            #expect(try await company.sync("ad").isDone)
            #expect(try await company.users()["ben"]?.isEnabled == false)

            // The same domain again, brought by an agent: one user, two origins.
            let grant = try await gateway.mustCLI(["api-access", "add", "hq", "--json"])
            let access = try #require(grant.firstMatch(of: /"clientID": "([0-9a-f]+)"/)?.output.1)
            let secret = try #require(grant.firstMatch(of: /"clientSecret": "([A-Za-z0-9_-]+)"/)?.output.1)
            try await gateway.mustCLI([
                "directory", "add", "agent", "hq", "--access", "hq", "--title", "Head office", "--group", "Engineering", "--group",
                "VPN",
            ])
            func agent(_ secret: String) async throws -> Output {
                let file = try company.lab.write(secret, to: "access-secret")
                return try await company.lab.run(
                    Gatehoused.binary("gatehouse-directory-agent"),
                    [
                        "--gateway", DirectoryLab.origin, "--client-id", String(access), "--secret-file", file, "--gateway-ca",
                        gateway.stateFolder + "/portal.crt", "--host", DirectoryLab.controller, "--user", "svc-gate@corp.example",
                        "--password-file", password, "--ca", company.authority, "--once", "--log",
                        company.folder + "/agent.log",
                    ], on: .internet, seconds: 120)
            }
            let intruder = try await agent("not the secret")
            #expect(intruder.status == 1 && intruder.text.contains("client ID or the secret is wrong"), "\(intruder.text)")
            let brought = try await agent(String(secret))
            #expect(brought.status == 0, "\(brought.text)")
            let ben = try #require(try await company.users()["ben"])
            #expect(ben.isEnabled && ben.tags == ["Engineering"] && ben.groups == ["Head office Users"])
            #expect(try await company.users()["cam"]?.groups == ["Active Directory Users", "Head office Users"])
            let log = try await gateway.mustCLI(["api-access", "log", "hq"])
            #expect(log.contains("signed-in") && log.contains("push-taken") && log.contains("sign-in-refused"), "\(log)")
            let own = try String(contentsOfFile: company.folder + "/agent.log", encoding: .utf8)
            #expect(own.contains("brought") && own.contains("failed") && !own.contains(secret))
            let shown = try await gateway.mustCLI(["api-access", "list", "--json"]) + gateway.mustCLI(["audit", "--json"])
            #expect(!shown.contains(secret))

            // Who leaves the one stays by the other. What an agent's delivery asks is agreed to here, and its next does it.
            try await gateway.mustCLI(["directory", "edit", "hq", "--removal-limit", "0"])
            try await company.setControl("cam", 514)
            #expect(try await company.sync("ad").isDone)
            let early = try await gateway.cli(["directory", "sync", "hq", "--confirm"])
            #expect(early.status == 1 && early.text.contains("asks nothing"), "\(early.text)")
            let asks = try await agent(String(secret))
            #expect(asks.status == 1 && asks.text.contains("directory sync hq --confirm"), "\(asks.text)")
            #expect(try await company.users()["cam"]?.isEnabled == true)
            #expect(try await gateway.mustCLI(["directory", "sync", "hq", "--confirm"]).contains("next delivery"))
            #expect(try await agent(String(secret)).status == 0)
            #expect(try await company.users()["cam"]?.isEnabled == false)
            // An outage disables nobody.
            let here = try await company.enabled().count
            try await company.stopSamba()
            #expect(try await !company.sync("ad").isDone)
            #expect(try await company.enabled().count == here)
            #expect(try await company.status("ad").lastError?.contains("cannot be reached") == true)
        }
    }

    private func start(_ company: DirectoryLab, _ vendor: String) async throws {
        let host = "https://" + DirectoryLab.address
        switch vendor {
        case "entra":
            try await company.simulate("entra")
            try await company.addEntra(["--group", "VPN Users", "--interval", "3600"])
        case "okta":
            try await company.simulate("okta")
            try await company.gateway.mustCLI([
                "directory", "add", "okta", "--domain", DirectoryLab.address, "--secret-file",
                company.secretFile(DirectoryLab.apiToken), "--group", "VPN Users", "--interval", "3600",
            ])
        default:
            let key = company.folder + "/service.pem"
            try await must("openssl", ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key])
            try await company.simulate("google", ["--service-key", key])
            let file = [
                "type": "service_account", "private_key_id": "k1", "private_key": try String(contentsOfFile: key, encoding: .utf8),
                "client_email": "gatehouse@acme-gatehouse.iam.gserviceaccount.com",
                "token_uri": "https://oauth2.googleapis.com/token",
            ]
            let path = try company.lab.write(
                String(decoding: try JSONEncoder().encode(file), as: UTF8.self), to: "service.json")
            try await company.gateway.mustCLI([
                "directory", "add", "google", "--customer", "C01234567", "--key-file", path, "--api-url", host, "--login-url",
                host + "/token", "--group", "VPN Users", "--interval", "3600",
            ])
        }
    }
}
