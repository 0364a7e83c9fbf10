internal import Foundation
internal import Testing

/// A closed gate before a tunnel that is online, the gateway's sign-in pages, and the company's identity provider, which
/// the gateway knows as `corp` and people as Corp.
struct SignInLab: Sendable {
    static let name = "gate.office.example"
    static let origin = "https://" + name
    /// Our side, as the provider knows it: with the provider's own entity ID, as customers set it.
    static let service = SignInService(
        entityID: SimpleSAMLphp.entityID, consumer: origin + "/user/external/saml",
        logout: origin + "/user/external/saml/logout")

    let lab: Lab
    let gateway: Gatehoused
    let provider: SimpleSAMLphp

    /// Runs `body` with all of it up and nobody signed in.
    static func with(_ body: @Sendable (SignInLab) async throws -> Void) async throws {
        try await Lab.with { lab in
            let names = [name: "10.1.0.1", SimpleSAMLphp.name: SimpleSAMLphp.address]
            try lab.setNames(names, on: .client)
            _ = try await StrongSwan(lab, on: .aws1, [Pair.endpoint(lab.topology, .gcm)])
            let gateway = try await Gatehoused(
                lab,
                boot: """
                    portal:
                      address: \(origin)
                      listen: [10.1.0.1]
                      redirectPort: 80

                    """)
            try await gateway.add(Pair.connector(lab.topology, .gcm))
            let provider = try await SimpleSAMLphp(lab, services: [service])
            let signIn = SignInLab(lab: lab, gateway: gateway, provider: provider)
            try await gateway.waitForOnline()
            try await lab.waitForPing()
            try await gateway.mustCLI(["gate", "enable"])
            try await gateway.mustCLI(
                ["idp", "add", "saml", "corp", "--title", "Corp", "--metadata", signIn.metadataFile()])
            #expect(try await signIn.isRefused(), "the gate lets someone through who has not signed in")
            try await body(signIn)
        }
    }

    /// The certificate that the gateway made for its pages.
    var pageCertificate: String { gateway.stateFolder + "/portal.crt" }

    /// What the provider says of itself at this moment, in a file.
    func metadataFile() async throws -> String { try lab.write(await provider.metadata(), to: "provider.xml") }

    /// A browser on the client that knows nothing yet.
    func browser() async throws -> Browser {
        try await Browser(lab, trusting: [provider.webCertificate, pageCertificate])
    }

    /// A browser in which Ada has signed in, beginning at the provider.
    func browserOfAda() async throws -> Browser {
        let browser = try await browser()
        try await browser.open(SimpleSAMLphp.tile(Self.service))
        try await browser.signInAtProvider("ada", Person.ada.password)
        try await browser.waitFor("You are connected, Ada")
        return browser
    }

    /// Whether nothing of the client's comes through.
    func isRefused() async throws -> Bool { try await lab.ping(count: 1).answered == 0 }

    /// Whether all of the client's comes through.
    func isAdmitted() async throws -> Bool { try await lab.ping(count: 3).lost == 0 }

    /// Waits for a page that refuses, and checks that it tells no more than it should, that the audit trail has the reason
    /// under the reference of the page, and that nobody was let in.
    func expectRefusal(_ browser: Browser, _ heading: String, reason: String) async throws {
        let text = try await browser.waitFor(heading)
        let reference = try #require(text.firstMatch(of: /reference: ([0-9A-Z]{4}-[0-9A-Z]{4})/)?.output.1, "\(text)")
        let entries = try await auditEntries().filter { $0.detail?.contains(reference) == true }
        #expect(entries.count == 1 && entries[0].detail?.contains(reason) == true, "\(reference): \(entries)")
        for word in ["SAML", "XML", "signature", "certificate", "audience"] {
            #expect(!text.contains(word), "the page speaks of \(word): \(text)")
        }
        #expect(try await gateway.sessions().isEmpty)
        #expect(try await isRefused())
    }

    struct AuditEntry: Decodable {
        var actor: String
        var action: String
        var subject: String
        var detail: String?
    }

    func auditEntries() async throws -> [AuditEntry] {
        let text = try await gateway.mustCLI(["audit", "--json"])
        return try JSONDecoder().decode([AuditEntry].self, from: Data(text.utf8))
    }
}

extension Browser {
    /// Without scripts the provider shows a page with the answer that it gives, and a button to send it: this is the answer,
    /// in base64 as it goes.
    func answerOfProvider() async throws -> String {
        try await waitFor("does not support JavaScript")
        return try await evaluate("return document.querySelector('[name=SAMLResponse]').value")
    }
}
