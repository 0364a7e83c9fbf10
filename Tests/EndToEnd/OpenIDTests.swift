internal import Foundation
internal import Testing

/// Sign-ins with OpenID providers, through to packets in a real tunnel: simulators of what Okta, Entra ID and Google are on
/// the wire, and glewlwyd, which is one.
@Suite(.tags(.endToEnd), .timeLimit(.minutes(15)))
struct OpenIDTests {
    private struct Examination: Decodable {
        struct Finding: Decodable {
            var id: String
            var state: String
            var detail: String
        }
        var issuer: String?
        var findings: [Finding]

        func state(_ id: String) -> String? { findings.first { $0.id == id }?.state }
    }

    private func examine(_ openID: OpenIDLab, _ name: String) async throws -> Examination {
        let output = try await openID.gateway.cli(["idp", "test", name, "--json"])
        return try JSONDecoder().decode(Examination.self, from: Data(output.text.utf8))
    }

    private func add(_ openID: OpenIDLab, _ words: [String]) async throws {
        try await openID.gateway.mustCLI(
            ["idp", "add"] + words + ["--client-id", OpenIDLab.clientID, "--secret-file", openID.secretFile()])
    }

    @Test func oktaFromTheConsoleToThePacketAndOutAgain() async throws {
        try await OpenIDLab.with { openID in
            try await openID.simulate("okta")
            try await add(openID, ["okta", "--domain", OpenIDLab.address])
            let shown = try await openID.gateway.mustCLI(["idp", "show", "okta"])
            #expect(shown.contains(OpenIDLab.redirect) && !shown.contains(OpenIDLab.secret))
            #expect(try await openID.gateway.mustCLI(["idp", "list"]).contains("OpenID"))
            let all = try await examine(openID, "okta")
            #expect(all.findings.allSatisfy { $0.state == "ok" }, "\(all)")

            // Nobody whom a directory or an administrator did not bring.
            try await openID.expectRefusal(openID.signIn("okta", as: "ada"), reason: "ada@corp.example")
            try await openID.gateway.mustCLI(["idp", "edit", "okta", "--create-users"])
            try await openID.expectAdmission(
                openID.signIn("okta", as: "ada"), "Ada Lovelace", user: "ada@corp.example")
            try await openID.lab.transfer(megabytes: 2)

            // Okta ends the session, by itself and once.
            #expect(try await openID.control(#"{"logout": "ada", "session": true}"#).contains("200"))
            #expect(try await openID.gateway.sessions().isEmpty)
            #expect(try await openID.isRefused())
            #expect(try await openID.control(#"{"replay": true}"#).contains("400"))

            // Who declines at the provider, or is not assigned there.
            try await openID.expectRefusal(openID.signIn("okta", as: "nobody"), reason: "access_denied")
            // An account that took over the address of another.
            try await openID.control(#"{"claims": {"sub": "00uAnother"}, "user_info": {"sub": "00uAnother"}}"#)
            try await openID.expectRefusal(openID.signIn("okta", as: "ada"), reason: "another account")
            try await openID.control(#"{"reset": true}"#)
            try await openID.expectAdmission(
                openID.signIn("okta", as: "ada"), "Ada Lovelace", user: "ada@corp.example")
            #expect(try await openID.gateway.get("/metrics").contains("gatehouse_outgoing_calls_total{host=\"203.0.113.81\"}"))

            let wrong = try openID.secretFile("wrong")
            try await openID.gateway.mustCLI(["idp", "edit", "okta", "--secret-file", wrong])
            let after = try await examine(openID, "okta")
            #expect(after.state("client") == "failed" && after.state("keys") == "ok", "\(after)")

            // A provider that goes takes along who came by it.
            #expect(try await openID.gateway.sessions().count == 1)
            try await openID.gateway.mustCLI(["idp", "remove", "okta", "--yes"])
            #expect(try await openID.gateway.sessions().isEmpty)
            #expect(try await openID.isRefused())
        }
    }

    @Test func oktaCustomServerWithAKeyOfOurs() async throws {
        try await OpenIDLab.with { openID in
            try await openID.simulate("okta-custom")
            try await openID.gateway.mustCLI([
                "idp", "add", "okta", "corp", "--domain", OpenIDLab.address, "--authorization-server", "default",
                "--create-users", "--client-id", OpenIDLab.clientID, "--generate-client-key",
            ])
            let shown = try await openID.gateway.mustCLI(["idp", "show", "corp"])
            let first = try #require(shown.firstRange(of: "-----BEGIN CERTIFICATE-----"))
            let last = try #require(shown.firstRange(of: "-----END CERTIFICATE-----"))
            let order = try JSONEncoder().encode(["certificate": String(shown[first.lowerBound..<last.upperBound]) + "\n"])
            try await openID.control(String(decoding: order, as: UTF8.self))
            #expect(try await examine(openID, "corp").state("client") == "ok")
            try await openID.expectAdmission(
                openID.signIn("corp", as: "grace"), "Grace Hopper", user: "grace@corp.example")
        }
    }

    @Test func entraByDomainNameAndWithSeveralTenants() async throws {
        try await OpenIDLab.with { openID in
            let (tenant, other) = ("5c4a1b1e-3a52-4d4b-9a3e-2f0d6d2f9a10", "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9")
            let host = "https://" + OpenIDLab.address
            try await openID.simulate("entra")
            let said = try await openID.gateway.mustCLI([
                "idp", "add", "entra", "--tenant", "contoso.example", "--issuer", host + "/contoso.example/v2.0",
                "--create-users", "--client-id", OpenIDLab.clientID, "--secret-file", openID.secretFile(),
            ])
            #expect(said.contains("\(host)/\(tenant)/v2.0"), "\(said)")
            try await openID.expectAdmission(
                openID.signIn("entra", as: "ada"), "Ada Lovelace", user: "ada@corp.example")
            try await openID.gateway.mustCLI(["session", "revoke", "--all"])
            try await openID.expectRefusal(openID.signIn("entra", as: "eve"), reason: "issuer-mismatch")
            try await openID.gateway.mustCLI(["idp", "remove", "entra", "--yes"])

            try await openID.gateway.mustCLI([
                "idp", "add", "entra", "--tenant", "organizations", "--issuer", host + "/{tenantid}/v2.0",
                "--allowed-tenant", tenant, "--create-users", "--client-id", OpenIDLab.clientID, "--secret-file",
                openID.secretFile(),
            ])
            try await openID.expectRefusal(openID.signIn("entra", as: "eve"), reason: "tenant-not-allowed")
            try await openID.gateway.mustCLI([
                "idp", "edit", "entra", "--allowed-tenant", tenant, "--allowed-tenant", other,
            ])
            try await openID.expectAdmission(
                openID.signIn("entra", as: "eve"), "Eve Moneypenny", user: "eve@other.example")

            // Whatever eve's administrator writes on her, she is not ada.
            try await openID.gateway.mustCLI(["session", "revoke", "--all"])
            try await openID.expectAdmission(
                openID.signIn("entra", as: "ada"), "Ada Lovelace", user: "ada@corp.example")
            try await openID.gateway.mustCLI(["session", "revoke", "--all"])
            try await openID.control(#"{"claims": {"email": "ada@corp.example", "preferred_username": "eve@other.example"}}"#)
            try await openID.expectAdmission(
                openID.signIn("entra", as: "eve"), "Eve Moneypenny", user: "eve@other.example")
            try await openID.gateway.mustCLI(["session", "revoke", "--all"])
            try await openID.control(#"{"claims": {"preferred_username": "ada@corp.example"}}"#)
            try await openID.expectRefusal(openID.signIn("entra", as: "eve"), reason: "another account")
        }
    }

    @Test func googleLetsInItsWorkspaceAlone() async throws {
        try await OpenIDLab.with { openID in
            try await openID.simulate("google")
            try await add(
                openID,
                [
                    "google", "--issuer", "https://" + OpenIDLab.address, "--hosted-domain", "corp.example",
                    "--create-users",
                ])
            try await openID.expectRefusal(openID.signIn("google", as: "eve"), reason: "hosted-domain-mismatch")
            // An address in the domain proves nothing.
            try await openID.expectRefusal(openID.signIn("google", as: "gmail"), reason: "hosted-domain-mismatch")
            try await openID.control(#"{"claims": {"email_verified": false}}"#)
            try await openID.expectRefusal(openID.signIn("google", as: "ada"), reason: "email-unverified")
            try await openID.control(#"{"reset": true}"#)
            try await openID.expectAdmission(
                openID.signIn("google", as: "ada"), "Ada Lovelace", user: "ada@corp.example")
        }
    }

    /// Whatever goes wrong, nobody is let in, the audit trail has the reason, and the next sign-in works.
    @Test func nothingThatAProviderSendsDoesHarm() async throws {
        try await OpenIDLab.with { openID in
            try await openID.simulate("okta")
            try await add(openID, ["okta", "--domain", OpenIDLab.address, "--create-users"])
            let attacks = [
                (#"{"signature": "forged"}"#, "signature-invalid"), (#"{"signature": "none"}"#, "algorithm-not-allowed"),
                (#"{"claims": {"aud": "another"}}"#, "audience-mismatch"), (#"{"claims": {"nonce": "x"}}"#, "nonce-mismatch"),
                (#"{"claims": {"iss": "https://evil.example"}}"#, "issuer-mismatch"),
                (#"{"claims": {"exp": -120}}"#, "expired"), (#"{"claims": {"at_hash": "AAAA"}}"#, "access-token-mismatch"),
                (#"{"user_info": {"sub": "another"}}"#, "user-info-mismatch"),
                (#"{"user_info": {"email": ""}}"#, "email-missing"), (#"{"answer": {"iss": "https://evil.example"}}"#, "mix-up"),
                (#"{"answer": {"code": "made-up"}}"#, "invalid_grant"), (#"{"answer": {"state": "x"}}"#, "state:"),
                (#"{"token": "garbage"}"#, "token:"), (#"{"token": "redirect"}"#, "token:"), (#"{"token": "huge"}"#, "more than"),
                (#"{"token": "cut-always"}"#, "before its answer was whole"), (#"{"token": "throttle"}"#, "token:"),
            ]
            for (index, (order, reason)) in attacks.enumerated() {
                // From an address each: one that comes too often is made to wait.
                let address = "10.1.0.\(100 + index)"
                _ = try await openID.lab.ip(["addr", "add", address + "/24", "dev", "eth0"], on: .client)
                try await openID.control(order)
                try await openID.expectRefusal(
                    openID.signIn("okta", as: "ada", ["--address", address]), reason: reason)
                try await openID.control(#"{"reset": true}"#)
                // The pause that a throttle asks for.
                if order.contains("throttle") { try await Task.sleep(for: .seconds(2)) }
            }
            // A key set is had anew when a token names a key that is not in it, once in a while.
            let before = try await openID.asked("/oauth2/v1/keys")
            try await openID.control(#"{"rotate": true}"#)
            try await openID.expectAdmission(
                openID.signIn("okta", as: "ada"), "Ada Lovelace", user: "ada@corp.example")
            try await openID.gateway.mustCLI(["session", "revoke", "--all"])
            try await openID.control(#"{"rotate": true}"#)
            try await openID.expectRefusal(openID.signIn("okta", as: "ada"), reason: "key-unknown")
            #expect(try await openID.asked("/oauth2/v1/keys") == before + 1)
        }
    }

    /// Documents lead away from the provider only where no private network is.
    @Test func aDiscoveryDocumentLeadsNowhereElse() async throws {
        try await OpenIDLab.with { openID in
            try await openID.simulate("okta")
            try await openID.control(#"{"document": {"jwks_uri": "https://10.1.0.1/keys"}}"#)
            try await add(openID, ["okta", "--domain", OpenIDLab.address, "--create-users"])
            let examination = try await examine(openID, "okta")
            #expect(examination.state("keys") == "failed", "\(examination)")
            #expect(examination.findings.contains { $0.detail.contains("not a public one") }, "\(examination)")
            try await openID.expectRefusal(openID.signIn("okta", as: "ada"), reason: "not a public one")
        }
    }

    @Test func aRealProvider() async throws {
        try await OpenIDLab.with { openID in
            try await openID.startGlewlwyd()
            try await openID.gateway.mustCLI([
                "idp", "add", "oidc", "corp", "--issuer", "https://\(OpenIDLab.address)/api/oidc", "--client-id", "gatehouse",
                "--create-users", "--secret-file", openID.secretFile("gatehouse-secret"),
            ])
            let examination = try await examine(openID, "corp")
            #expect(!examination.findings.contains { $0.state == "failed" }, "\(examination)")
            let words = ["--glewlwyd", "--client", "gatehouse"]
            try await openID.expectAdmission(
                openID.signIn("corp", as: "carol", password: "carol-pw-1", words), "Carol Danvers",
                user: "carol@corp.example")
            try await openID.gateway.mustCLI(["session", "revoke", "--all"])
            #expect(try await openID.isRefused())
            try await openID.gateway.mustCLI([
                "idp", "edit", "corp", "--secret-file", openID.secretFile("not-the-secret"),
            ])
            try await openID.expectRefusal(
                openID.signIn("corp", as: "carol", password: "carol-pw-1", words), reason: "token:")
        }
    }
}
