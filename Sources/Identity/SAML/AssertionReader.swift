internal import Base
internal import XML

/// Reads a verified assertion and checks all that a signature says nothing of: for whom it is, when, and in answer to
/// what.
struct AssertionReader {
    let response: XMLNode
    let assertion: XMLNode
    let isResponseSigned: Bool
    let trust: SAMLTrust
    let expecting: SAMLExpectation
    let now: WallTime

    private var skew: Tick.Span { .seconds(trust.clockSkewSeconds) }

    func read(_ signed: SignedParts, _ warnings: [String]) throws(SAMLRefusal) -> VerifiedResponse {
        guard assertion.attribute("Version") == "2.0" else {
            throw SAMLRefusal(
                .version, "The Assertion is of version \((assertion.attribute("Version") ?? "").quoted), not 2.0.")
        }
        guard let id = assertion.attribute("ID"), !id.isEmpty else {
            throw SAMLRefusal(.structure, "The Assertion has no ID.")
        }
        try checkIssuers()
        let subject = try one("Subject", in: assertion, .nameID, "The Assertion names no Subject.")
        let confirmedUntil = try checkConfirmation(subject)
        try checkDestination()
        let conditionsEnd = try checkConditions()
        let statement = try authnStatement()
        let name = try nameID(subject)
        let attributes = try attributes()
        var warnings = warnings
        let addresses = ([name.value] + ClaimNames.values(trust.claims.email, in: attributes))
        let email = addresses.first(where: EmailAddress.isPlausible)
        if email == nil {
            warnings.append(
                "Neither the NameID nor an attribute is an e-mail address, without which nobody is let in.")
        }
        var groups: [String] = []
        for group in ClaimNames.values(trust.claims.groups, in: attributes) where !groups.contains(group) {
            groups.append(group)
        }
        let verified = VerifiedSubject(
            provider: trust.provider, nameID: name.value, nameIDFormat: name.format, email: email,
            firstName: ClaimNames.values(trust.claims.firstName, in: attributes).first,
            lastName: ClaimNames.values(trust.claims.lastName, in: attributes).first, groups: groups,
            attributes: attributes, sessionIndex: statement.sessionIndex,
            sessionNotOnOrAfter: statement.sessionEnd, authenticatedAt: statement.instant,
            isIdPInitiated: expecting == .unsolicited)
        var answered: String?
        if case .answer(let request) = expecting { answered = request }
        return VerifiedResponse(
            subject: verified, issuer: trust.issuer, assertionID: id, signed: signed,
            notOnOrAfter: conditionsEnd.map { min($0, confirmedUntil) } ?? confirmedUntil, inResponseTo: answered,
            warnings: warnings)
    }

    // MARK: For whom

    private func checkIssuers() throws(SAMLRefusal) {
        let inResponse = response.children("Issuer", Names.assertion)
        let inAssertion = assertion.children("Issuer", Names.assertion)
        guard inResponse.count <= 1, inAssertion.count == 1 else {
            throw SAMLRefusal(.issuer, "The Assertion must name its Issuer once, and the Response at most once.")
        }
        for issuer in inResponse + inAssertion {
            let format = issuer.attribute("Format") ?? Names.entityFormat
            guard format == Names.entityFormat else {
                throw SAMLRefusal(.issuer, "The Issuer is of the format \(format.quoted), and an entity is wanted.")
            }
            guard issuer.onlyText?.collapsed == trust.issuer else {
                throw SAMLRefusal(
                    .issuer, "The Issuer is \(issuer.text.collapsed.quoted), and \(trust.issuer.quoted) is expected.")
            }
        }
    }

    private func checkDestination() throws(SAMLRefusal) {
        guard let destination = response.attribute("Destination") else {
            guard !isResponseSigned else {
                throw SAMLRefusal(
                    .destination, "The Response is signed and names no Destination (SAML bindings §3.5.5.2).")
            }
            return
        }
        guard destination.collapsed == trust.acsURL else {
            throw SAMLRefusal(
                .destination, "The Response was meant for \(destination.quoted), and this service is "
                    + "\(trust.acsURL.quoted).")
        }
    }

    /// Finds a bearer confirmation that holds. Gives the end of its time.
    private func checkConfirmation(_ subject: XMLNode) throws(SAMLRefusal) -> WallTime {
        if let answered = response.attribute("InResponseTo") { try checkAnswer(answered) }
        var fault = SAMLRefusal(.subjectConfirmation, "The Subject has no bearer SubjectConfirmation.")
        for confirmation in subject.children("SubjectConfirmation", Names.assertion)
        where confirmation.attribute("Method") == Names.bearer {
            do throws(SAMLRefusal) {
                return try checkBearer(confirmation)
            } catch {
                fault = error
            }
        }
        throw fault
    }

    private func checkBearer(_ confirmation: XMLNode) throws(SAMLRefusal) -> WallTime {
        let data = try one(
            "SubjectConfirmationData", in: confirmation, .subjectConfirmation,
            "The bearer SubjectConfirmation has no SubjectConfirmationData.")
        guard let recipient = data.attribute("Recipient")?.collapsed, recipient == trust.acsURL else {
            throw SAMLRefusal(
                .recipient, "The assertion is for \((data.attribute("Recipient") ?? "no service").quoted), and this "
                    + "service is \(trust.acsURL.quoted). Both must be the same, letter by letter.")
        }
        guard data.attribute("NotBefore") == nil else {
            throw SAMLRefusal(
                .subjectConfirmation, "A bearer SubjectConfirmationData has a NotBefore, which SAML does not allow.")
        }
        switch (expecting, data.attribute("InResponseTo")) {
        case (_, let answered?): try checkAnswer(answered)
        case (.unsolicited, nil): break
        case (.answer(let request), nil):
            throw SAMLRefusal(
                .inResponseTo, "The request \(request.quoted) was sent, and the assertion does not say that it answers it.")
        }
        guard let end = try time(data, "NotOnOrAfter") else {
            throw SAMLRefusal(.subjectConfirmation, "SubjectConfirmationData does not say until when it holds.")
        }
        try checkNotOver(end, "The assertion could be delivered")
        return end
    }

    private func checkAnswer(_ answered: String) throws(SAMLRefusal) {
        switch expecting {
        case .unsolicited:
            throw SAMLRefusal(
                .inResponseTo, "The response answers the request \(answered.quoted), which is not pending here: it was "
                    + "answered before, has expired, or was never sent from this browser.")
        case .answer(let request):
            guard answered == request else {
                throw SAMLRefusal(
                    .inResponseTo, "The response answers the request \(answered.quoted), and \(request.quoted) was sent.")
            }
        }
    }

    // MARK: When

    /// Checks `Conditions` (SAML core §2.5). Gives the end of their time, where they have one.
    private func checkConditions() throws(SAMLRefusal) -> WallTime? {
        let conditions = try one("Conditions", in: assertion, .audience, "The Assertion has no Conditions.")
        if let start = try time(conditions, "NotBefore"), now + skew < start {
            throw SAMLRefusal(
                .notYetValid, "The assertion is valid from \(start.rfc3339) only, and it is \(now.rfc3339). Do the "
                    + "clocks differ?")
        }
        let end = try time(conditions, "NotOnOrAfter")
        if let end { try checkNotOver(end, "The assertion was valid") }
        var restrictions = 0
        for condition in conditions.children {
            switch condition.name {
            case "AudienceRestriction" where condition.namespace == Names.assertion:
                restrictions += 1
                try checkAudience(condition)
            // Used once it is in any case, and we issue no assertions to others.
            case "OneTimeUse" where condition.namespace == Names.assertion,
                "ProxyRestriction" where condition.namespace == Names.assertion:
                break
            default:
                throw SAMLRefusal(
                    .condition, "The assertion is bound to a condition that is not known here: \(condition.name.quoted).")
            }
        }
        guard restrictions > 0 else {
            throw SAMLRefusal(.audience, "The assertion does not say for which audience it is.")
        }
        return end
    }

    /// Each restriction must be met, and any of its audiences meets it (SAML core §2.5.1.4).
    private func checkAudience(_ restriction: XMLNode) throws(SAMLRefusal) {
        let audiences = restriction.children("Audience", Names.assertion).map { $0.onlyText?.collapsed ?? "" }
        guard !audiences.contains(where: trust.audiences.contains) else { return }
        throw SAMLRefusal(
            .audience, "The assertion is for the audience \(audiences.map(\.quoted).joined(separator: ", ")), and this "
                + "service is \(trust.audiences.map(\.quoted).joined(separator: " or ")).")
    }

    private func checkNotOver(_ end: WallTime, _ what: String) throws(SAMLRefusal) {
        guard now < end + skew else {
            throw SAMLRefusal(
                .expired, "\(what) until \(end.rfc3339), and it is \(now.rfc3339). Do the clocks differ, or was it kept?")
        }
    }

    /// An `xs:dateTime`; one without a zone is in UTC (SAML core §1.3.3).
    private func time(_ element: XMLNode, _ name: String) throws(SAMLRefusal) -> WallTime? {
        guard let text = element.attribute(name)?.collapsed else { return nil }
        guard let time = WallTime(rfc3339: text) ?? WallTime(rfc3339: text + "Z") else {
            throw SAMLRefusal(.condition, "\(name) of \(element.name) is \(text.quoted), which is no time.")
        }
        return time
    }

    // MARK: Who

    private struct Statement {
        var instant: WallTime?
        var sessionIndex: String?
        var sessionEnd: WallTime?
    }

    private func authnStatement() throws(SAMLRefusal) -> Statement {
        let statements = assertion.children("AuthnStatement", Names.assertion)
        guard let first = statements.first else {
            throw SAMLRefusal(.authnStatement, "The assertion has no AuthnStatement: it does not say that anyone signed in.")
        }
        var statement = Statement()
        statement.instant = try time(first, "AuthnInstant")
        statement.sessionIndex = statements.lazy.compactMap { $0.attribute("SessionIndex") }.first
        for one in statements {
            guard let end = try time(one, "SessionNotOnOrAfter") else { continue }
            try checkNotOver(end, "The provider's own session lasted")
            statement.sessionEnd = statement.sessionEnd.map { min($0, end) } ?? end
        }
        return statement
    }

    private func nameID(_ subject: XMLNode) throws(SAMLRefusal) -> (value: String, format: String?) {
        let name = try one(
            "NameID", in: subject, .nameID, "The Subject must hold one NameID; an encrypted one is not accepted.")
        guard let value = name.onlyText?.collapsed, !value.isEmpty, value.utf8.count <= 1024 else {
            throw SAMLRefusal(.nameID, "The NameID must hold a name of at most 1024 bytes and nothing else.")
        }
        let format = name.attribute("Format")
        switch format {
        case nil, "", "urn:oasis:names:tc:SAML:1.0:nameid-format:unspecified", Names.unspecifiedFormat,
            "urn:oasis:names:tc:SAML:2.0:nameid-format:unspecified",
            "urn:oasis:names:tc:SAML:1.0:nameid-format:emailAddress", Names.emailFormat,
            "urn:oasis:names:tc:SAML:2.0:nameid-format:emailAddress":
            return (value, format)
        case let format?:
            throw SAMLRefusal(
                .nameID, "The NameID is of the format \(format.quoted). Set the provider to send the e-mail address, in "
                    + "the format emailAddress or unspecified.")
        }
    }

    private func attributes() throws(SAMLRefusal) -> [String: [String]] {
        var attributes: [String: [String]] = [:]
        for statement in assertion.children("AttributeStatement", Names.assertion) {
            for attribute in statement.children("Attribute", Names.assertion) {
                guard let name = attribute.attribute("Name"), !name.isEmpty else {
                    throw SAMLRefusal(.structure, "An Attribute has no Name.")
                }
                let values = attribute.children("AttributeValue", Names.assertion)
                    .filter { !["true", "1"].contains($0.attribute("nil", Names.schemaInstance) ?? "") }
                attributes[name, default: []] += values.map(\.text)
            }
        }
        return attributes
    }

    private func one(
        _ name: String, in parent: XMLNode, _ reason: SAMLRefusal.Reason, _ detail: String
    ) throws(SAMLRefusal) -> XMLNode {
        let found = parent.children(name, Names.assertion)
        guard found.count == 1, let only = found.first else { throw SAMLRefusal(reason, detail) }
        return only
    }
}
