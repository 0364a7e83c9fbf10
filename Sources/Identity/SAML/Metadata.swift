public import Base
public import Cryptography
internal import XML

/// What an identity provider's metadata says (SAML metadata §2.4.3), as far as we use it.
public struct ProviderMetadata: Hashable, Sendable {
    public var entityID: String
    public var serviceURL: String
    public var serviceBinding: IdentityProvider.Binding
    public var logoutURL: String?
    public var certificates: [PinnedCertificate]
    public var wantsSignedRequests: Bool
    /// When it should be read anew; nil when it does not say.
    public var validUntil: WallTime?

    /// Why metadata cannot be used: a sentence for whoever gave it.
    public struct Fault: Error, Hashable, Sendable, CustomStringConvertible {
        public var description: String

        init(_ description: String) { self.description = description }
    }

    /// Reads an `EntityDescriptor`, or finds the one of `entityID` (or the only identity provider) in an
    /// `EntitiesDescriptor`.
    public init(_ document: [UInt8], entityID wanted: String? = nil) throws(Fault) {
        let root: XMLNode
        do throws(XMLError) {
            root = try XMLTree(document, limits: .metadata).root
        } catch {
            throw Fault("it is no XML that can be read: \(error.description)")
        }
        var providers: [(entity: XMLNode, role: XMLNode)] = []
        root.walk { node in
            guard node.matches("IDPSSODescriptor", Names.metadata), let entity = node.parent,
                entity.matches("EntityDescriptor", Names.metadata),
                wanted == nil || entity.attribute("entityID")?.collapsed == wanted
            else { return }
            providers.append((entity, node))
        }
        guard let (entity, role) = providers.first, let id = entity.attribute("entityID")?.collapsed, !id.isEmpty else {
            throw Fault(
                wanted.map { "it describes no identity provider \($0.quoted)" }
                    ?? "it describes no SAML 2.0 identity provider (IDPSSODescriptor)")
        }
        guard providers.count == 1 else {
            throw Fault("it describes \(providers.count) identity providers: say which, by its entity ID")
        }
        entityID = id
        func endpoint(_ name: String, _ binding: String) -> String? {
            role.children(name, Names.metadata).first { $0.attribute("Binding") == binding }?
                .attribute("Location")?.collapsed
        }
        if let url = endpoint("SingleSignOnService", Names.redirectBinding) {
            (serviceURL, serviceBinding) = (url, .redirect)
        } else if let url = endpoint("SingleSignOnService", Names.postBinding) {
            (serviceURL, serviceBinding) = (url, .post)
        } else {
            throw Fault("it names no SingleSignOnService with the redirect or POST binding")
        }
        logoutURL = endpoint("SingleLogoutService", Names.redirectBinding)
        var certificates: [PinnedCertificate] = []
        for key in role.children("KeyDescriptor", Names.metadata) where key.attribute("use") != "encryption" {
            var texts: [String] = []
            key.walk { if $0.matches("X509Certificate", Names.signature) { texts.append($0.text) } }
            for text in texts {
                do throws(CertificateText.Fault) {
                    for certificate in try CertificateText.read(Array(text.utf8))
                    where !certificates.contains(certificate) {
                        certificates.append(certificate)
                    }
                } catch {
                    throw Fault("a certificate in it cannot be used: \(error.description)")
                }
            }
        }
        guard !certificates.isEmpty else { throw Fault("it holds no certificate for signatures") }
        self.certificates = certificates
        wantsSignedRequests = ["true", "1"].contains(role.attribute("WantAuthnRequestsSigned") ?? "")
        validUntil = (role.attribute("validUntil") ?? entity.attribute("validUntil")).flatMap(WallTime.init(rfc3339:))
    }
}

/// Our own metadata (SAML metadata §2.4.4) for one provider.
public enum ServiceProviderMetadata {
    public static func document(
        for provider: IdentityProvider, acsURL: String, logoutURL: String
    ) -> String {
        var keys = ""
        if let certificate = provider.certificate {
            for use in provider.signsRequests ? ["signing", "encryption"] : ["encryption"] {
                keys += "<md:KeyDescriptor use=\"\(use)\"><ds:KeyInfo xmlns:ds=\"\(Names.signature)\"><ds:X509Data>"
                    + "<ds:X509Certificate>\(certificate.der.base64)</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
                if use == "encryption" {
                    for method in ["2009/xmlenc11#aes256-gcm", "2001/04/xmlenc#aes256-cbc", "2001/04/xmlenc#rsa-oaep-mgf1p"] {
                        keys += "<md:EncryptionMethod Algorithm=\"http://www.w3.org/\(method)\"/>"
                    }
                }
                keys += "</md:KeyDescriptor>"
            }
        }
        let logout =
            provider.logoutURL == nil
            ? ""
            : "<md:SingleLogoutService Binding=\"\(Names.redirectBinding)\" Location=\"\(logoutURL.xmlEscaped)\"/>"
        let formats = [Names.emailFormat, Names.unspecifiedFormat].map { "<md:NameIDFormat>\($0)</md:NameIDFormat>" }
        return """
            <?xml version="1.0" encoding="UTF-8"?>
            <md:EntityDescriptor xmlns:md="\(Names.metadata)" entityID="\(provider.entityID.xmlEscaped)">\
            <md:SPSSODescriptor AuthnRequestsSigned="\(provider.signsRequests)" \
            WantAssertionsSigned="\(provider.requirement == .assertion || provider.requirement == .both)" \
            protocolSupportEnumeration="\(Names.protocolMessages)">\(keys)\(logout)\(formats.joined())\
            <md:AssertionConsumerService Binding="\(Names.postBinding)" Location="\(acsURL.xmlEscaped)" index="0" \
            isDefault="true"/></md:SPSSODescriptor></md:EntityDescriptor>

            """
    }
}
