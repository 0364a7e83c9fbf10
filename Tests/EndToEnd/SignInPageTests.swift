internal import Foundation
internal import Testing

/// The sign-in pages in a real browser, where no identity provider is needed: what they say, and whether everyone can read
/// it.
@Suite(.tags(.endToEnd), .timeLimit(.minutes(10)))
struct SignInPageTests {
    @Test func everyPageCanBeReadByEveryone() async throws {
        try await Lab.with { lab in
            try lab.setNames([SignInLab.name: "10.1.0.1"], on: .client)
            let gateway = try await Gatehoused(
                lab, boot: "portal: {address: \"\(SignInLab.origin)\", listen: [10.1.0.1]}\n")
            let browser = try await Browser(lab, trusting: [gateway.stateFolder + "/portal.crt"])
            /// Opens a page of the gateway's and examines it.
            func examine(_ path: String, _ heading: String, as name: String) async throws {
                try await browser.open(SignInLab.origin + path)
                try await browser.waitFor(heading)
                try await browser.examine(name)
            }
            try await examine("/", "Sign-in is not set up yet", as: "not-set-up")

            let certificate = lab.file("certificate")
            try await makeCertificate(certificate, name: "Provider")
            let titles = [
                ("corp", "Corp"), ("guests", "Corp’s contractors & guests (Microsoft Entra ID)"),
                ("other", "Wohnungsgenossenschaftsverwaltungsgesellschaft"),
            ]
            for (name, title) in titles {
                try await gateway.mustCLI([
                    "idp", "add", "saml", name, "--title", title, "--identifier", "urn:" + name, "--service-url",
                    "https://\(name).example/sign-in", "--certificate", certificate + ".crt",
                ])
            }
            try await examine("/", "Choose where your company account is", as: "choices")
            try await examine("/user/sign-in/unknown", "That sign-in is not offered", as: "no-such-provider")
            try await examine("/nothing/here", "No such page", as: "no-such-page")
            try await examine("/user/external/saml", "Nothing to see here", as: "nothing-to-see")
            try await examine(
                "/user/external/saml/logout?SAMLRequest=none", "The sign-out could not be checked",
                as: "log-out-not-acceptable")

            // Much to say: long names, many networks, more than a day.
            var connector = Pair.connector(lab.topology, .gcm)
            for (name, networks) in [
                ("production", (0..<12).map { "172.16.\($0 * 4).0/22" } + ["2001:db8:4f3c:1::/64"]),
                ("a-rather-long-name-of-a-staging-network-in-frankfurt", ["10.3.0.0/16"]),
            ] {
                connector.name = name
                connector.remoteNetworks = networks
                connector.inside = nil
                connector.initiation = "respond"
                try await gateway.add(connector)
            }
            let email = "adelheid.maximiliane.von-und-zu-hohenstein@subsidiary.corp.example"
            try await gateway.mustCLI([
                "user", "add", email, "--first-name", "Adelheid Maximiliane", "--last-name", "von und zu Hohenstein",
            ])
            try await gateway.mustCLI(["gate", "enable"])
            try await gateway.mustCLI(["session", "admit", Topology.client, "--user", email, "--for", "30h"])
            try await examine("/", "You are connected, Adelheid Maximiliane von und zu Hohenstein", as: "connected-long")
            #expect(try await browser.text().contains("1 day 5 hours"))
            try await browser.click("Sign out")
            try await browser.waitFor("You are signed out")
            #expect(try await gateway.sessions().isEmpty)

            // Too much from one address, all the while; the style sheet is not counted.
            let flood = try lab.start(
                "curl", ["-sk", "-o", "/dev/null", SignInLab.origin + "/?[1-1000000]"], on: .client, log: "flood.log")
            try await eventually("the address is asked to slow down") {
                try await browser.open(SignInLab.origin)
                return try await browser.text().contains("Slow down, please")
            }
            await flood.end(gracefully: false)
            try await browser.examine("slow-down")
        }
    }
}
