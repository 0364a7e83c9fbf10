import Base
import Cryptography
import Identity
import Portal

/// How identity providers are shown.
enum IdPText {
    static func list(_ all: IdentityProviders, width: Int?, style: Style) -> String {
        guard !all.providers.isEmpty else {
            return "There are no identity providers. 'gatehouse idp add' adds one." + warnings(all)
        }
        let rows = all.providers.map { provider in
            [
                Table.Cell(provider.id, .bold), Table.Cell(provider.title.printable),
                Table.Cell(provider.isEnabled ? "enabled" : "disabled", provider.isEnabled ? .green : .dim),
                Table.Cell(provider.requirement.rawValue), Table.Cell(provider.issuer.printable),
            ]
        }
        let columns = [
            Table.Column(title: "NAME"), Table.Column(title: "TITLE", rank: 1), Table.Column(title: "STATE"),
            Table.Column(title: "SIGNED", rank: 0), Table.Column(title: "IDENTIFIER"),
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

    private static func warnings(_ all: IdentityProviders) -> String {
        all.warnings.isEmpty ? "" : "\n" + all.warnings.map { "\n! " + $0.printable }.joined()
    }
}
