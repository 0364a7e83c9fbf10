internal import Foundation
internal import Testing

/// People with a real browser and a real identity provider, before a gate with a real tunnel behind it.
@Suite(.tags(.endToEnd), .timeLimit(.minutes(15)))
struct SignInTests {
    @Test func firstSignInBeginsAtTheProviderAndLaterOnesAnywhere() async throws {
        try await SignInLab.with { signIn in
            let browser = try await signIn.browser()
            // Somebody wants something in the VPC, and is led to the pages.
            try await browser.open("http://\(Topology.vpc)/")
            try await browser.waitFor("Sign in with your company account")
            #expect(try await browser.address() == SignInLab.origin + "/")
            try await browser.examine("sign-in")
            try await browser.click("Sign in with Corp")
            try await browser.signInAtProvider("ada", Person.ada.password)
            try await signIn.expectRefusal(browser, "Your first visit starts elsewhere", reason: "first sign-in must begin")
            try await browser.examine("unknown-user")
            #expect(try await !signIn.gateway.mustCLI(["user", "list"]).contains(Person.ada.email))

            try await browser.open(SimpleSAMLphp.tile(SignInLab.service))
            try await browser.waitFor("You are connected, Ada O'Lovelace & Sons")
            #expect(try await browser.address() == SignInLab.origin + "/")
            #expect(try await browser.text().contains(Topology.remoteNetwork))
            #expect(try await signIn.isAdmitted())
            try await signIn.lab.transfer(megabytes: 2)
            try await browser.examine("connected")
            let session = try #require(try await signIn.gateway.sessions().first)
            #expect(session.user == Person.ada.email && session.sites == ["lab"] && session.reason.contains("corp"))
            try await signIn.gateway.waitForAudit("user-added", "brought by corp, by a sign-in that began there")

            // Out, at the provider as well.
            try await browser.click("Sign out")
            try await browser.waitFor("You are signed out")
            #expect(try await signIn.isRefused())
            #expect(try await signIn.gateway.sessions().isEmpty)
            try await browser.examine("signed-out")
            try await browser.click("Sign in again")
            try await browser.click("Sign in with Corp")
            try await browser.signInAtProvider("ada", Person.ada.password)
            try await browser.waitFor("You are connected, Ada")
            #expect(try await signIn.isAdmitted())
        }
    }

    /// By keyboard alone, without scripts, and with a provider that wants its requests posted.
    @Test func signInNeedsNoMouseAndNoScripts() async throws {
        try await SignInLab.with { signIn in
            try await signIn.gateway.mustCLI(["user", "add", Person.grace.email])
            try await signIn.gateway.mustCLI(["idp", "edit", "corp", "--binding", "post"])
            let browser = try await signIn.browser()
            try await browser.allowScripts(false)
            try await browser.open(SignInLab.origin)
            try await browser.pressEnter(on: "Sign in with Corp")
            try await browser.waitFor("Continue to Corp")
            try await browser.examine("hand-over")
            try await browser.pressEnter(on: "Continue")
            try await browser.fill("Username", with: "grace")
            try await browser.fill("Password", with: Person.grace.password)
            try await browser.pressEnter(on: "Login")
            _ = try await browser.answerOfProvider()
            try await browser.pressEnter(on: "Submit")
            try await browser.waitFor("You are connected, Grace Hopper")
            #expect(try await signIn.isAdmitted())
            try await browser.pressEnter(on: "Sign out")
            try await browser.waitFor("You are signed out")
            #expect(try await signIn.isRefused())
        }
    }

    @Test func assertionsMayBeEncrypted() async throws {
        try await SignInLab.with { signIn in
            try await signIn.gateway.mustCLI(["idp", "edit", "corp", "--generate-key"])
            let metadata = try await signIn.gateway.mustCLI(["idp", "metadata", "corp"])
            let certificate = try #require(
                metadata.firstMatch(of: /<ds:X509Certificate>([^<]+)</).map { String($0.output.1) })
            var service = SignInLab.service
            service.encryptFor = certificate
            try signIn.provider.configure(services: [service])

            let browser = try await signIn.browser()
            try await browser.allowScripts(false)
            try await browser.open(SimpleSAMLphp.tile(service))
            try await browser.signInAtProvider("ada", Person.ada.password)
            let answer = try #require(Data(base64Encoded: try await browser.answerOfProvider()))
            let text = String(decoding: answer, as: UTF8.self)
            #expect(text.contains("EncryptedAssertion") && !text.contains(Person.ada.email))
            try await browser.click("Submit")
            try await browser.waitFor("You are connected, Ada")
            #expect(try await signIn.isAdmitted())
        }
    }

    @Test func theProviderMayRollItsCertificateOver() async throws {
        try await SignInLab.with { signIn in
            try await signIn.provider.makeKey("second")
            // Announced first: its administrator and ours have time.
            try signIn.provider.configure(services: [SignInLab.service], next: "second")
            try await signIn.gateway.mustCLI(["idp", "edit", "corp", "--metadata", signIn.metadataFile()])
            _ = try await signIn.browserOfAda()
            try await signIn.gateway.mustCLI(["session", "revoke", "--all"])
            try signIn.provider.configure(services: [SignInLab.service], key: "second")
            _ = try await signIn.browserOfAda()
            try await signIn.gateway.mustCLI(["session", "revoke", "--all"])

            // One that was not announced, or that is no longer there, signs in vain.
            try await signIn.gateway.mustCLI(["idp", "edit", "corp", "--metadata", signIn.metadataFile()])
            try signIn.provider.configure(services: [SignInLab.service])
            let browser = try await signIn.browser()
            try await browser.open(SimpleSAMLphp.tile(SignInLab.service))
            try await browser.signInAtProvider("ada", Person.ada.password)
            try await signIn.expectRefusal(browser, "The sign-in could not be checked", reason: "signature:")
            try await browser.examine("not-acceptable")
        }
    }
}
