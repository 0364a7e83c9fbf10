public import Base
internal import Cryptography
internal import IKE

extension Tunnel {
    /// What makes the tunnel's authentication impossible, in words that follow `Tunnel NAME`; nil when it can work.
    ///
    /// A private key that is hidden, which stands there with no bytes, is not looked at.
    public var authenticationFault: String? {
        if let ppk = phase1.ppk, ppk.identity.isEmpty { return "has a PPK without an identity" }
        guard let credential = phase1.authentication.credential else { return nil }
        if credential.certificates.isEmpty { return "has no certificate of its own" }
        if credential.authorities.isEmpty { return "has no CA to verify the peer's certificate with" }
        guard credential.privateKey.count > 0 else { return nil }
        do {
            try credential.check(localID: phase1.localID)
            return nil
        } catch {
            return "cannot authenticate: \(error)"
        }
    }

    /// What a person should know of the tunnel's certificates before they cause trouble.
    public func certificateWarnings(at time: WallTime) -> [CertificateWarning] {
        guard let credential = phase1.authentication.credential else { return [] }
        var warnings: [CertificateWarning] = []
        func look(_ what: String, _ certificate: Certificate) {
            let left = certificate.notAfter.nanoseconds.subtractingReportingOverflow(time.nanoseconds)
            guard !left.overflow, left.partialValue < Self.notice.nanoseconds else { return }
            let name = "\(what) '\(certificate.subject)'"
            if left.partialValue < 0 {
                warnings.append(CertificateWarning(about: name, text: "\(name) expired on \(certificate.notAfter.day)."))
            } else {
                let days = left.partialValue / Tick.Span.seconds(86_400).nanoseconds
                let inDays = days == 0 ? "today" : days == 1 ? "tomorrow" : "in \(days) days"
                warnings.append(
                    CertificateWarning(about: name, text: "\(name) expires \(inDays), on \(certificate.notAfter.day)."))
            }
        }
        for (index, certificate) in credential.certificates.enumerated() {
            look(index == 0 ? "Our certificate" : "Our intermediate certificate", certificate)
        }
        for certificate in credential.authorities { look("The CA", certificate) }
        for list in credential.revocationLists {
            guard let next = list.nextUpdate, next < time else { continue }
            let name = "The CRL of '\(list.issuer)'"
            warnings.append(CertificateWarning(about: name, text: "\(name) is past its next update of \(next.day)."))
        }
        return warnings
    }

    /// How long before its end a certificate is spoken of.
    private static let notice = Tick.Span.seconds(30 * 86_400)
}

/// A certificate that expires soon, or a CRL that is old.
public struct CertificateWarning: Hashable, Sendable {
    /// What it is about, the same from day to day.
    public var about: String
    /// One sentence.
    public var text: String
}
