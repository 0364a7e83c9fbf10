import Base
import Identity
import Portal
import Store
import Tunnels

/// What the doctor says of signing in.
struct SignInExamination {
    /// Where the pages are; nil when the boot file asks for none.
    var origin: String?
    /// What keeps them from being served.
    var problem: String?
    var certificateEnd: WallTime?
    var hasOwnCertificate = false
    var isGateEnabled = false
    /// The providers that people can choose from, by name.
    var providers: [String] = []
    /// What an administrator should know of them, in sentences.
    var warnings: [String] = []

    /// Days before the end of a certificate from which on it is worth a warning.
    static let warningDays = 30

    func findings(now: WallTime) -> [Finding] { [pages(now)] + (origin == nil ? [] : [identityProviders()]) }

    private func pages(_ now: WallTime) -> Finding {
        func finding(_ state: Finding.State, _ detail: String, _ remedy: String? = nil) -> Finding {
            Finding(id: "sign-in-pages", title: "Sign-in pages", state: state, detail: detail, remedy: remedy)
        }
        guard let origin else {
            guard isGateEnabled else { return finding(.ok, "none are asked for, and the gate is off") }
            return finding(
                .warning,
                "the gate is closed and there are none: only addresses that an administrator admits cross",
                "put a section portal with the address of the pages into /etc/gatehouse/gatehoused.yaml, then restart "
                    + "gatehoused")
        }
        if let problem { return finding(.failed, problem) }
        if hasOwnCertificate {
            return finding(
                .warning, "\(origin), with a certificate that this gateway made itself: browsers warn of it",
                "give portal.certificate and portal.key in the boot file: a certificate for that name, from a CA that "
                    + "browsers know")
        }
        guard let certificateEnd else { return finding(.ok, origin) }
        let end = "\(origin), certificate until \(certificateEnd.day)"
        guard certificateEnd > now + .seconds(Self.warningDays * 86_400) else {
            return finding(
                .warning, end + ": nobody can sign in after that", "renew it; new files are taken up within a minute")
        }
        return finding(.ok, end)
    }

    private func identityProviders() -> Finding {
        let title = "Identity providers"
        if providers.isEmpty {
            return Finding(
                id: "identity-providers", title: title, state: .warning,
                detail: "there is none that is switched on, so nobody can sign in", remedy: "gatehouse idp add --help")
        }
        return Finding(
            id: "identity-providers", title: title, state: warnings.isEmpty ? .ok : .warning,
            detail: ([providers.joined(separator: ", ")] + warnings).joined(separator: ". "),
            remedy: warnings.isEmpty ? nil : "gatehouse idp show NAME")
    }
}

extension SignInExamination {
    /// As it is at this moment.
    init(_ webPages: WebPages?, _ store: Store, isGateEnabled: Bool) {
        self.init(isGateEnabled: isGateEnabled)
        guard let webPages else { return }
        origin = webPages.pages.address.origin
        problem = webPages.problem
        certificateEnd = webPages.certificate.notAfter
        hasOwnCertificate = webPages.certificate.isOwn
        do {
            let (stored, broken) = try store.identityProviders()
            let enabled = stored.filter(\.isEnabled)
            let (openID, brokenToo) = try store.openIDProviders()
            let enabledToo = openID.filter(\.isEnabled)
            providers = enabled.map(\.id) + enabledToo.map(\.id)
            warnings = (broken + brokenToo).map(\.description) + enabled.flatMap { $0.warnings(now: store.wall()) }
                + enabledToo.flatMap { $0.warnings(now: store.wall()) }
        } catch {
            warnings = [error.description]
        }
    }
}
