import Base
import Cryptography
import Identity
import JSONText
import Portal

/// How identity providers are shown.
enum IdPText {
    static func list(_ all: IdentityProviders, width: Int?, style: Style) -> String {
        guard !all.providers.isEmpty || !all.openID.isEmpty else {
            return "There are no identity providers. 'gatehouse idp add' adds one." + warnings(all)
        }
        let rows = all.providers.map { provider in
            [
                Table.Cell(provider.id, .bold), Table.Cell(provider.title.printable),
                Table.Cell(provider.isEnabled ? "enabled" : "disabled", provider.isEnabled ? .green : .dim),
                Table.Cell("SAML"), Table.Cell(provider.issuer.printable),
            ]
        } + all.openID.map { provider in
            [
                Table.Cell(provider.id, .bold), Table.Cell(provider.title.printable),
                Table.Cell(provider.isEnabled ? "enabled" : "disabled", provider.isEnabled ? .green : .dim),
                Table.Cell("OpenID"), Table.Cell(provider.issuer.printable),
            ]
        }
        let columns = [
            Table.Column(title: "NAME"), Table.Column(title: "TITLE", rank: 1), Table.Column(title: "STATE"),
            Table.Column(title: "SPEAKS", rank: 0), Table.Column(title: "IDENTIFIER"),
        ]
        let lines = Table(columns: columns, rows: rows).lines(width: width, style: style)
        return ([lines.head] + lines.rows).joined(separator: "\n") + warnings(all)
    }

    static func details(_ provider: IdentityProvider, _ all: IdentityProviders) -> String {
        let names = provider.profile.flatMap(IdentityProfile.named)
        var lines: [String] = []
        func line(_ name: String, _ value: String?) {
            guard let value, !value.isEmpty else { return }
            lines.append("  " + name + String(repeating: " ", count: max(1, 18 - name.count)) + value.printable)
        }
        lines.append("\(provider.title.printable) (\(provider.id))" + (provider.isEnabled ? "" : ", disabled"))
        line("profile", provider.profile)
        line("Identifier", provider.issuer)
        line("Service URL", provider.serviceURL + (provider.serviceBinding == .post ? " (post)" : ""))
        line("log-out URL", provider.logoutURL)
        for certificate in provider.certificates {
            line(
                "certificate",
                "\(certificate.subject), until \(certificate.notAfter.rfc3339.prefix(10)), SHA-256 "
                    + "\(certificate.fingerprint)")
        }
        line("must be signed", provider.requirement.rawValue + (provider.allowsSHA1 ? ", SHA-1 allowed" : ""))
        line("clock skew", "\(provider.clockSkewSeconds) s")
        line("our requests", provider.signsRequests ? "signed" : "not signed")
        line(
            "new users",
            [
                provider.acceptsUnsolicited ? "by a sign-in that begins at the provider" : nil,
                provider.createsUsersOnRequest ? "by a sign-in that begins here" : nil,
            ].compactMap { $0 }.joined(separator: ", and "))
        line("sites", provider.sites?.joined(separator: ", ") ?? "all")
        lines.append("\nTo type into the provider's console:")
        line(names?.names.acs ?? "ACS URL", all.acsURL ?? "https://…/user/external/saml at this gateway")
        line(names?.names.audience ?? "SP entity ID", provider.entityID)
        if let certificate = provider.certificate {
            line("our certificate", "SHA-256 \(certificate.fingerprint); 'gatehouse idp metadata \(provider.id)' has it")
        }
        for note in names?.notes ?? [] { lines.append("  - " + note) }
        return lines.joined(separator: "\n") + warnings(all)
    }

    static func details(_ provider: OpenIDProvider, _ all: IdentityProviders) -> String {
        let profile = OpenIDProfile.of(provider.kind)
        var lines: [String] = []
        func line(_ name: String, _ value: String?) {
            guard let value, !value.isEmpty else { return }
            lines.append("  " + name + String(repeating: " ", count: max(1, 18 - name.count)) + value.printable)
        }
        lines.append("\(provider.title.printable) (\(provider.id))" + (provider.isEnabled ? "" : ", disabled"))
        line("speaks", "OpenID Connect (\(provider.kind.rawValue))")
        line("issuer", provider.issuer)
        line("client ID", provider.clientID)
        line("proof", provider.authentication.rawValue)
        line("secret until", provider.proofEnd?.end.day)
        line("scopes", (["openid"] + provider.scopes).joined(separator: " "))
        line("tenants", provider.tenants.joined(separator: ", "))
        line("domains", provider.hostedDomains.joined(separator: ", "))
        line("new users", provider.createsUsers ? "by their first sign-in" : "by a directory or 'gatehouse user add'")
        line("sign-out", provider.endsProviderSession ? "ends the provider's session too" : "ends the session here")
        line("sites", provider.sites?.joined(separator: ", ") ?? "all")
        lines.append("\nTo type into the provider's console:")
        line(profile.names.redirect, all.redirectURI ?? "https://…/user/external at this gateway")
        if provider.endsProviderSession {
            line(profile.names.afterLogout, all.portal.map { $0 + "/user/signed-out" })
        }
        line(profile.names.backChannel, all.backChannelLogoutURL)
        if provider.authentication == .privateKey {
            line("our public key", provider.publicKeySet?.text())
            if let certificate = provider.certificate { lines.append("\n" + certificate.pem) }
        }
        for note in profile.notes { lines.append("  - " + note) }
        return lines.joined(separator: "\n") + warnings(all)
    }

    private static func warnings(_ all: IdentityProviders) -> String {
        all.warnings.isEmpty ? "" : "\n" + all.warnings.map { "\n! " + $0.printable }.joined()
    }
}
