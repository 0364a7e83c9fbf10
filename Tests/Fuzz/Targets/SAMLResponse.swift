import Base
import Cryptography
@testable import Identity
import XML

/// A message posted to the assertion consumer service, whole: base64, XML, structure, signatures, decryption, and the
/// reading of an assertion as if its signature had been good.
func fuzzSAMLResponse(_ bytes: [UInt8]) {
    let document: [UInt8]
    do throws(SAMLRefusal) {
        document = try MessageText.document(bytes)
    } catch {
        return require(error)
    }
    for expecting in [SAMLExpectation.unsolicited, .answer(to: "_gh5f0a1c2d3e4b5a69788796a5b4c3d2e1")] {
        do throws(SAMLRefusal) {
            let response = try ResponseVerifier.verify(document, trust: trust, expecting: expecting, now: now)
            // Nobody has the provider's key: what it never signed cannot be accepted.
            precondition(
                ["alice@corp.example", "bob@corp.example", "admin@corp.example.evil.example"].contains(
                    response.subject.nameID), "a forgery is accepted")
        } catch {
            require(error)
        }
    }
    guard let tree = try? XMLTree(document) else { return }
    if let canonical = try? tree.root.canonical() {
        // A document that was read has a canonical form which reads as itself.
        guard let again = try? XMLTree(canonical, limits: XMLTree.Limits(size: .max, namespaces: .max)),
            let twice = try? again.root.canonical()
        else { preconditionFailure("a canonical form that is not read") }
        precondition(twice == canonical, "a canonical form with another canonical form")
    }
    _ = try? ResponseStructure(tree.root)
    if let assertion = tree.root.children.first(where: { $0.name == "Assertion" }) {
        let reader = AssertionReader(
            response: tree.root, assertion: assertion, isResponseSigned: false, trust: trust,
            expecting: .unsolicited, now: now)
        do throws(SAMLRefusal) { _ = try reader.read(.assertion, []) } catch { require(error) }
    }
}

private func require(_ refusal: SAMLRefusal) {
    precondition(!refusal.detail.isEmpty, "a refusal that says nothing")
    precondition(refusal.detail.utf8.count < 8192, "a refusal that no one can read")
}

private let now = WallTime(rfc3339: "2026-11-23T23:10:00Z")!

private let trust: SAMLTrust = {
    guard let der = [UInt8](base64: certificate.utf8), let keyBytes = [UInt8](base64: key.utf8),
        let pinned = try? PinnedCertificate(der: der), let decryption = try? RSAPrivateKey(Secret(keyBytes))
    else { preconditionFailure("the keys of this target cannot be read") }
    return SAMLTrust(
        provider: "fuzz", issuer: "https://idp.lab.example/idp", certificates: [pinned],
        audiences: ["https://idp.lab.example/idp", "urn:x:aonly", "urn:x:ronly", "urn:x:enc", "urn:x:none"],
        acsURL: "https://gw.lab.example/user/external/saml", decryptionKeys: [decryption])
}()

/// The certificate of the recorded lab provider, whose key no one has kept.
private let certificate = """
    MIIDBTCCAe2gAwIBAgIUbOhaqnc38q3XiOd7HUvXWkAVjkUwDQYJKoZIhvcNAQELBQAwEjEQMA4GA1UEAwwHbGFiLWlkcDAeFw0yNjExMjMyMz\
    A2NTNaFw0zNjExMjAyMzA2NTNaMBIxEDAOBgNVBAMMB2xhYi1pZHAwggEiMA0GCSqGSIb3DQEBAQUAA4IBDwAwggEKAoIBAQDr2D+8W6ZhPT0g\
    hmfp+sJdo9BD5vj+4FEMTGL3rdso84nCjLqFIV1Y7RZe81NvTVwzkvG9cCmQDrsZGsrW0iCxniqccaFeC7Nns58cwglcRuQuFM2uqLMQ/y48ev\
    kgWcGpg2esLr+zc/mOwUSzMmkO7EyVgP0frW6+txztL1buW3iNvbUgfdR8vLfCEKJ1XlQ1BxUq7Axh206GOpWIEQfsKJ2yibkRWwGtRN91vGWm\
    EJVZAjwNH4kkYuZWl9r3ka7lyrJs7V9vC1fZUHHTBCia172SURBXK8x5/6tbB2ue4C9nQb15tRReZWvZdhPNOrvwz0nx2+wlomWlPv0fUr+bAg\
    MBAAGjUzBRMB0GA1UdDgQWBBTiQXpC7G7o7t4QMSZ9PXgs+sf7zDAfBgNVHSMEGDAWgBTiQXpC7G7o7t4QMSZ9PXgs+sf7zDAPBgNVHRMBAf8E\
    BTADAQH/MA0GCSqGSIb3DQEBCwUAA4IBAQBQZI9T7gdEEduerxsMvsDmaSplacG8j8aj3vZ8ustKKQV2BuHRyCNwirS3viLgZftJeIqTCjHjjF\
    6Oa+qrH5CjPJtn9QDPPGLpqIJlNXM79LZlMJ2iWWSTDz6HZS9G3mA98bMj5oALLdUh9pC2raGaBpE6omvFig6foQp1Hsw7196YrbXwQYYZExLU\
    MIYDceFlRfHbbQK06gOUJtb0pm+ciukp5l/id9jduZFLuKT4X23kUDKAhVCcF8VuVsutu7aCweFV/LDy/G5Xi3F7SmgzLfckezDa6pGpEgWAuZ\
    ikjPmuh4BOa946EBNWoiel2kDL7lChmvqvoHWdxG9yODs1
    """

/// A throw-away key that the lab provider encrypted to.
private let key = """
    MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCszfs1YS3Utsmo13gD/t6mrOCLSW/rhPsssh53Gn6ZX17njgwcbXzHVAxP2s\
    qSyn4mDRCO1GFRozGhRw/nfsiFxAobtgsBNDZdiYi5KZuucTOVw2HXRYbO9+sAaiJ8HyQJSpGNMAga5XA2QPYX0gBaKwFDnOjw1tOtus1fDV9P\
    H0wKX0F2D/3W+4cwf+3mDEzVD6KRwXqUR1xJs8th6OmWFJQTIjEdy0Sjnl05ivG4CUTBFSVr0ujqMPl4rXuPFRfJb9S4DfA2V4kZo9K09ijb2I\
    foj1YBFTWgxGAx+wEhlsNMBE3e4ArxiCM3D1QYJtXaK2n5ZfWQbUKVjhJ7Xq+lAgMBAAECggEAPFXdQNmR+YPq7F9zQZ3jWrng2vFEuSyg0I3O\
    klJ3YpDIn7vaobBe0XAYrmcbtN4r5phIMD6aTjlXUlLwDCmZ1Q7KYruQoxZ6ZvVm/hO3jlRrKP7jshjOBYTNkkL8kG8FE5NsN6pOIin7II5U/q\
    MtyU3brqJiOPkhRrcDDw2pugOGFbMT+Tr9hzHwpufvpzVGTuevsT3JbqKPtcbSXxkoO7N+i02F9i6qXjbQNElq1V6ecSrjmRdlmdOl2E3qCihq\
    k7WoOy6yFFU3RLYni5N5Wz49rMt1fQDLOjispBvSmDo8ouREZEKrx14lsqY89S/83vPDsg40pAsTOsbVBs6HHwKBgQDTwC/SaAPO2XpZP++HL7\
    wk+YSg23unUwnS01x0ICpVYIiJxxVzQpEVwF+64I+AWGPs1BcFdPMiukWWozCs3O1YQmkLLpS4ff9Y45bAuFFRSg310kz2VJ8H2a6pLj6KSy1V\
    l6udgWjc0U5Jge6C1+3EmrB9w/lxLvOX7U8JnVNPrwKBgQDQ6lVz8L36ux+XgexlZs8vW1sMzLn6eUu9yGhJ07bVWyg7pdXDSo21iYjy2jP9O2\
    d6a2LnwKXe4wqKpT/UyWi+06oatdmSzEWZWOmWAOJAYjK9PLFXGrqcWC2BwL7M1gLOagXUmfTFiF3RWkki4cckvMeW7u0pN0X0XNo1bQyW6wKB\
    gC+CPziF/dS7FqhPn/5Ex4HEOe2dUPEJwHp80ZF8ZgMh1YCUGkvx83td3hyfpZK2QjUwoLmos6RnBpX1p0Yhi17yB39qxBNgsZnP9lLnB9elNd\
    yhgoMCGWw5euaaaY29sD4z+V0tW8mvbFExxcG1kLM7wb116tFqJ10+8SzHD5ohAoGAWke5z9WMM6rjlxSFNLi99egTq69Y+z2ploThVG4SR5cS\
    Bty+SJuSK44YyWG0L82ZBRUc86uTwoL4zjtlHy4+fqB3lP1a3Y460W7T2ofdPhdxd8efl1WsqN2OJNFHYrtlERBOHra9SROJ/2t1yYYqCd0unz\
    H2+OWy7Eun3IiYdSsCgYEAmzH4fxpzX+f8s4oqsja1umxAzbMcXkfI4m6bMGJp3uttmtQ/l6a2t1tJ3K4EVma8LkK5o1M9f0uVjeQebUPZhZzz\
    7O8wlWHI/v6p2X2FejBNpElKFiTplnrKkiZhZUumuZTZojPKvwMgmst0dRIEADGFEJgQ4+UenMRTPRokuX0=
    """

func samlResponseSeeds() -> [[UInt8]] {
    let acs = trust.acsURL
    let response = """
        <p:Response xmlns:p="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:a="urn:oasis:names:tc:SAML:2.0:assertion" \
        ID="_r" Version="2.0" Destination="\(acs)"><p:Status><p:StatusCode \
        Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></p:Status><a:Assertion ID="_a" Version="2.0">\
        <a:Issuer>\(trust.issuer)</a:Issuer><a:Subject><a:NameID>alice@corp.example</a:NameID>\
        <a:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><a:SubjectConfirmationData \
        Recipient="\(acs)" NotOnOrAfter="2026-11-23T23:11:00Z"/></a:SubjectConfirmation></a:Subject><a:Conditions>\
        <a:AudienceRestriction><a:Audience>\(trust.issuer)</a:Audience></a:AudienceRestriction></a:Conditions>\
        <a:AuthnStatement SessionNotOnOrAfter="2026-11-24T00:00:00+01:00"/><a:AttributeStatement>\
        <a:Attribute Name="groups"><a:AttributeValue><![CDATA[x]]>&amp;</a:AttributeValue></a:Attribute>\
        </a:AttributeStatement></a:Assertion></p:Response>
        """
    return [Array(response.utf8), Array("SAMLResponse=\(Array(response.utf8).base64)&RelayState=x".utf8)]
}
