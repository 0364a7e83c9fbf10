internal import Foundation
internal import Glibc
internal import Testing

/// Sign-ins that must not be, and sessions that must end: with a real browser and a real identity provider.
@Suite(.tags(.endToEnd), .timeLimit(.minutes(15)))
struct SignInRefusalTests {
    @Test func whatIsForAnotherServiceIsRefused() async throws {
        try await SignInLab.with { signIn in
            let other = SignInService(entityID: "urn:another:service", consumer: SignInLab.service.consumer)
            try signIn.provider.configure(services: [SignInLab.service, other])
            let browser = try await signIn.browser()
            try await browser.open(SimpleSAMLphp.tile(other))
            try await browser.signInAtProvider("ada", Person.ada.password)
            try await signIn.expectRefusal(browser, "The sign-in could not be checked", reason: "audience:")
        }
    }

    /// An answer is good for once, also when the daemon was killed in between; sessions outlive that.
    @Test func aRestartKeepsSessionsAndKnowsWhatWasUsed() async throws {
        try await SignInLab.with { signIn in
            let browser = try await signIn.browser()
            try await browser.allowScripts(false)
            try await browser.open(SimpleSAMLphp.tile(SignInLab.service))
            try await browser.signInAtProvider("ada", Person.ada.password)
            let answer = try await browser.answerOfProvider()
            try await browser.click("Submit")
            try await browser.waitFor("You are connected, Ada")
            #expect(try await signIn.isAdmitted())
            let session = try #require(try await signIn.gateway.sessions().first)

            await signIn.gateway.kill()
            try await signIn.gateway.start()
            #expect(try await signIn.gateway.sessions().map(\.id) == [session.id])
            try await signIn.gateway.waitForOnline(within: 60)
            try await signIn.lab.waitForPing()
            try await eventually("the pages are served again") {
                try await browser.open(SignInLab.origin)
                return try await browser.text().contains("You are connected, Ada")
            }
            try await signIn.gateway.mustCLI(["session", "revoke", "--all"])
            try await browser.open(SignInLab.origin)
            try await browser.post(answer)
            try await signIn.expectRefusal(browser, "Please sign in once more", reason: "replay:")
            try await browser.examine("stale")
        }
    }

    @Test func aSessionEndsWhenTheProviderSaysSo() async throws {
        try await SignInLab.with { signIn in
            try signIn.provider.configure(services: [SignInLab.service], sessionSeconds: 20)
            let browser = try await signIn.browserOfAda()
            #expect(try await browser.text().contains("less than a minute"))
            #expect(try await signIn.isAdmitted())
            try await eventually("the session has expired", within: 40) {
                try await signIn.gateway.sessions().isEmpty
            }
            #expect(try await signIn.isRefused())
            try await signIn.gateway.waitForAudit("session-ended", "its time was up")
            try await browser.open(SignInLab.origin)
            try await browser.waitFor("Sign in with your company account")
        }
    }

    @Test func whoIsRevokedOrDisabledIsOutAtOnce() async throws {
        try await SignInLab.with { signIn in
            let (lab, gateway) = (signIn.lab, signIn.gateway)
            let browser = try await signIn.browserOfAda()
            _ = try lab.start(
                "socat", ["-u", "TCP4-LISTEN:5998,reuseaddr,fork", "CREATE:/dev/null"], on: .vpc, log: "receiver.log")
            for deed in [["session", "revoke", "--user", Person.ada.email], ["user", "disable", Person.ada.email]] {
                try await browser.open(SimpleSAMLphp.tile(SignInLab.service))
                try await browser.waitFor("You are connected, Ada")
                let sender = try lab.start(
                    "socat", ["-u", "FILE:/dev/zero", "TCP:\(Topology.vpc):5998,retry=50,interval=0.1"], on: .client,
                    log: "sender.log")
                try await eventually("the transfer runs") {
                    (try await gateway.sessions().first?.bytesOut ?? 0) > 1_000_000
                }
                try await gateway.mustCLI(deed)
                #expect(await sender.wait(seconds: 10) != nil, "the connection hangs instead of being reset")
                #expect(try await signIn.isRefused())
                #expect(try await gateway.sessions().isEmpty)
                try await browser.open(SignInLab.origin)
                try await browser.waitFor("Sign in with your company account")
            }
            try await browser.open(SimpleSAMLphp.tile(SignInLab.service))
            try await signIn.expectRefusal(browser, "Your access is switched off", reason: "is disabled")
            try await browser.examine("disabled")
            try await gateway.mustCLI(["user", "enable", Person.ada.email])
            try await gateway.mustCLI(["user", "edit", Person.ada.email, "--sites", "none"])
            try await browser.open(SimpleSAMLphp.tile(SignInLab.service))
            try await signIn.expectRefusal(browser, "Nothing is open to you", reason: "may reach none")
            try await browser.examine("nothing-allowed")
        }
    }

    @Test func whoSignsOutAtTheProviderIsOutHere() async throws {
        try await SignInLab.with { signIn in
            let browser = try await signIn.browserOfAda()
            #expect(try await signIn.isAdmitted())
            try await browser.open(SimpleSAMLphp.signOut(returningTo: SignInLab.origin + "/user/signed-out"))
            try await browser.waitFor("You are signed out")
            #expect(try await signIn.isRefused())
            #expect(try await signIn.gateway.sessions().isEmpty)
            try await signIn.gateway.waitForAudit("session-ended", "the user signed out at the identity provider")
            // Nobody else can end a session by asking for it.
            _ = try await signIn.browserOfAda()
            let address = SignInLab.service.logout ?? ""
            let forged = """
                <samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_forged" Version="2.0" \
                IssueInstant="2026-11-24T09:30:00Z" Destination="\(address)"><saml:Issuer \
                xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">\(SimpleSAMLphp.entityID)</saml:Issuer>\
                <saml:NameID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">\(Person.ada.email)</saml:NameID>\
                </samlp:LogoutRequest>
                """
            let stranger = try await signIn.browser()
            try await stranger.open(address + "?SAMLRequest=" + Self.redirectEncoded(forged))
            let text = try await stranger.waitFor("reference:")
            let reference = try #require(text.firstMatch(of: /[0-9A-Z]{4}-[0-9A-Z]{4}/)?.output, "\(text)")
            try await signIn.gateway.waitForAudit("log-out-refused", String(reference))
            #expect(try await signIn.isAdmitted())
        }
    }

    /// The redirect binding's encoding, with a deflate stream of one stored block (RFC 1951 §3.2.4).
    private static func redirectEncoded(_ text: String) -> String {
        let bytes = Array(text.utf8)
        let length = UInt16(bytes.count)
        let header = [1, UInt8(length & 0xff), UInt8(length >> 8), UInt8(~length & 0xff), UInt8(~length >> 8)]
        return Data(header + bytes).base64EncodedString()
            .addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
    }
}

extension Browser {
    /// Posts an answer of the provider's once more.
    fileprivate func post(_ answer: String) async throws {
        let _: Bool? = try await evaluate(
            """
            const form = document.createElement("form")
            form.method = "post"
            form.action = "\(SignInLab.service.consumer)"
            const field = document.createElement("input")
            field.name = "SAMLResponse"
            field.value = "\(answer)"
            form.append(field)
            document.body.append(form)
            form.submit()
            """)
    }
}
