import Base
import Identity
import JSONText

/// What `gatehouse idp check-response` says.
enum ResponseVerdict {
    static func json(_ response: VerifiedResponse) -> String {
        let attributes = response.subject.attributes.sorted { $0.key < $1.key }.map {
            JSON.Member($0.key, .array($0.value.map(JSON.string)))
        }
        return json(
            "accept", reason: nil, detail: detail(response), signed: response.signed.rawValue,
            nameID: response.subject.nameID, attributes: .object(attributes),
            notOnOrAfter: response.notOnOrAfter.rfc3339)
    }

    static func json(_ refusal: SAMLRefusal) -> String {
        json(
            "reject", reason: refusal.reason.rawValue, detail: refusal.detail, signed: nil, nameID: nil,
            attributes: .null, notOnOrAfter: nil)
    }

    static func text(_ refusal: SAMLRefusal) -> String {
        "refused (\(refusal.reason.rawValue))\n  " + refusal.detail.printable
    }

    static func text(_ response: VerifiedResponse) -> String {
        let subject = response.subject
        var lines = ["accepted: " + detail(response)]
        func line(_ name: String, _ value: String?) {
            guard let value, !value.isEmpty else { return }
            lines.append("  " + name + String(repeating: " ", count: max(1, 14 - name.count)) + value.printable)
        }
        line("NameID", subject.nameID)
        line("e-mail", subject.email)
        line("name", [subject.firstName, subject.lastName].compactMap { $0 }.joined(separator: " "))
        line("groups", subject.groups.joined(separator: ", "))
        line("signed", response.signed == .both ? "response and assertion" : response.signed.rawValue)
        line("usable until", response.notOnOrAfter.rfc3339)
        line("session until", subject.sessionNotOnOrAfter?.rfc3339)
        if !subject.attributes.isEmpty { lines.append("  attributes") }
        for (name, values) in subject.attributes.sorted(by: { $0.key < $1.key }) {
            lines.append("    \(name.printable): \(values.joined(separator: ", ").printable)")
        }
        return lines.joined(separator: "\n")
    }

    private static func detail(_ response: VerifiedResponse) -> String {
        let began = response.inResponseTo.map { "in answer to \($0)" } ?? "begun at the provider"
        return (["A sign-in of \(response.subject.nameID), \(began)."] + response.warnings).joined(separator: " ")
    }

    private static func json(
        _ verdict: String, reason: String?, detail: String, signed: String?, nameID: String?, attributes: JSON,
        notOnOrAfter: String?
    ) -> String {
        func optional(_ text: String?) -> JSON { text.map(JSON.string) ?? .null }
        return JSON.object([
            .init("verdict", .string(verdict)), .init("reason", optional(reason)), .init("detail", .string(detail)),
            .init("signed", optional(signed)), .init("nameID", optional(nameID)), .init("attributes", attributes),
            .init("notOnOrAfter", optional(notOnOrAfter)),
        ]).text(isPretty: true)
    }
}
