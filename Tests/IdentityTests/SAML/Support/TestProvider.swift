import Base
import Cryptography
import Foundation
import Testing
import XML

@testable import Identity

/// An identity provider of our own, to make what no recording shows.
struct TestProvider {
    /// Made once by openssl; openssl also writes the certificate.
    struct KeyPair: Sendable {
        let key: RSAPrivateKey
        let certificate: PinnedCertificate
        let keyFile: String
        let certificateFile: String

        init(_ name: String, bits: Int = 2048) throws {
            let folder = FileManager.default.temporaryDirectory.path + "/gatehouse-saml-\(getpid())-\(name)-\(bits)"
            keyFile = folder + ".key"
            certificateFile = folder + ".crt"
            try Command.run([
                "openssl", "req", "-x509", "-newkey", "rsa:\(bits)", "-sha256", "-nodes", "-days", "3650", "-subj",
                "/CN=\(name)", "-keyout", keyFile, "-out", certificateFile,
            ])
            key = try RSAPrivateKey(Secret([UInt8](Data(contentsOf: URL(filePath: keyFile)))))
            certificate = try CertificateText.read([UInt8](Data(contentsOf: URL(filePath: certificateFile))))[0]
        }
    }

    static let idp = try! KeyPair("idp")
    static let next = try! KeyPair("next")
    static let sp = try! KeyPair("sp")

    static let now = WallTime(rfc3339: "2026-11-24T10:00:00Z")!
    static let issuer = "https://idp.example/entity"
    static let acs = "https://gw.example/user/external/saml"

    static func trust(_ certificates: [PinnedCertificate] = [idp.certificate]) -> SAMLTrust {
        SAMLTrust(
            provider: "test", issuer: issuer, certificates: certificates, audiences: [issuer], acsURL: acs,
            decryptionKeys: [sp.key])
    }

    /// The parts of a response, each of which a test may replace.
    struct Parts {
        var namespaces = "xmlns:p=\"\(Names.protocolMessages)\" xmlns:a=\"\(Names.assertion)\""
        var assertionNamespaces = ""
        var responseAttributes = "Destination=\"\(TestProvider.acs)\""
        var responseIssuer = "<a:Issuer>\(TestProvider.issuer)</a:Issuer>"
        var assertionIssuer = "<a:Issuer>\(TestProvider.issuer)</a:Issuer>"
        var status = "<p:Status><p:StatusCode Value=\"\(Names.success)\"/></p:Status>"
        var nameID = "<a:NameID>alice@corp.example</a:NameID>"
        var confirmation = Parts.bearer()
        var conditions =
            "<a:Conditions NotBefore=\"2026-11-24T09:59:00Z\" NotOnOrAfter=\"2026-11-24T10:05:00Z\">"
            + "<a:AudienceRestriction><a:Audience>\(TestProvider.issuer)</a:Audience></a:AudienceRestriction></a:Conditions>"
        var statement = "<a:AuthnStatement AuthnInstant=\"2026-11-24T09:58:00Z\" SessionIndex=\"s1\"/>"
        var attributes =
            "<a:AttributeStatement><a:Attribute Name=\"firstname\"><a:AttributeValue>Alice</a:AttributeValue>"
            + "</a:Attribute></a:AttributeStatement>"

        static func bearer(_ attributes: String = "", recipient: String = TestProvider.acs) -> String {
            "<a:SubjectConfirmation Method=\"\(Names.bearer)\"><a:SubjectConfirmationData Recipient=\"\(recipient)\" "
                + "NotOnOrAfter=\"2026-11-24T10:05:00Z\" \(attributes)/></a:SubjectConfirmation>"
        }

        var assertion: String {
            "<a:Assertion \(assertionNamespaces) ID=\"_a1\" Version=\"2.0\" IssueInstant=\"2026-11-24T10:00:00Z\">"
                + assertionIssuer + "<a:Subject>" + nameID + confirmation + "</a:Subject>" + conditions + statement
                + attributes + "</a:Assertion>"
        }

        func response(_ content: String) -> String {
            "<p:Response \(namespaces) ID=\"_r1\" Version=\"2.0\" IssueInstant=\"2026-11-24T10:00:00Z\" "
                + "\(responseAttributes)>" + responseIssuer + status + content + "</p:Response>"
        }

        /// The document, signed where wanted. The assertion is signed where it stands, so that namespaces of the
        /// response are in scope.
        func document(
            sign: SignedParts? = .both, by pair: KeyPair = TestProvider.idp, _ options: SigningOptions = .init(),
            encrypt: ((String) throws -> String)? = nil
        ) throws -> [UInt8] {
            var text = response(assertion)
            if sign == .assertion || sign == .both { text = try TestProvider.sign(text, "_a1", pair, options) }
            if let encrypt {
                let begin = try #require(text.firstRange(of: "<a:Assertion"))
                let end = try #require(text.firstRange(of: "</a:Assertion>"))
                let range = begin.lowerBound..<end.upperBound
                text.replaceSubrange(range, with: try encrypt(String(text[range])))
            }
            if sign == .response || sign == .both { text = try TestProvider.sign(text, "_r1", pair, options) }
            return Array(text.utf8)
        }
    }

    struct SigningOptions {
        var hash = HashAlgorithm.sha256
        var digestHash = HashAlgorithm.sha256
        /// `InclusiveNamespaces` of the transform, and of SignedInfo's own canonical form.
        var prefixList: String?
        var signedInfoPrefixList: String?
        var reference: String?
        var extraInSignature = ""
    }

    /// Puts a signature behind the Issuer of the element with that ID.
    static func sign(
        _ document: String, _ id: String, _ pair: KeyPair, _ options: SigningOptions = .init()
    ) throws -> String {
        let element = try find(id, in: document)
        let canonical = try element.canonical(inclusivePrefixes: words(options.prefixList))
        let digest = Hash.digest(options.digestHash, [canonical]).base64
        let info = """
            <ds:SignedInfo xmlns:ds="\(Names.signature)"><ds:CanonicalizationMethod \
            Algorithm="\(Names.exclusiveCanonicalization)">\(inclusive(options.signedInfoPrefixList))\
            </ds:CanonicalizationMethod><ds:SignatureMethod Algorithm="\(signatureName(options.hash))">\
            </ds:SignatureMethod><ds:Reference URI="\(options.reference ?? "#" + id)"><ds:Transforms><ds:Transform \
            Algorithm="\(Names.envelopedSignature)"></ds:Transform><ds:Transform \
            Algorithm="\(Names.exclusiveCanonicalization)">\(inclusive(options.prefixList))</ds:Transform>\
            </ds:Transforms><ds:DigestMethod Algorithm="\(digestName(options.digestHash))"></ds:DigestMethod>\
            <ds:DigestValue>\(digest)</ds:DigestValue></ds:Reference></ds:SignedInfo>
            """
        let start = try #require(document.firstRange(of: "ID=\"\(id)\""))
        let rest = document[start.upperBound...]
        // Behind the Issuer of the element itself, where it has one.
        let content = document.index(after: try #require(rest.firstIndex(of: ">")))
        let place =
            document[content...].hasPrefix("<a:Issuer")
            ? try #require(document[content...].firstRange(of: "</a:Issuer>")).upperBound : content
        func signed(_ value: String) -> String {
            let signature =
                "<ds:Signature xmlns:ds=\"\(Names.signature)\">\(info)<ds:SignatureValue>\(value)</ds:SignatureValue>"
                + "\(options.extraInSignature)</ds:Signature>"
            return document[..<place] + signature + document[place...]
        }
        // SignedInfo where it stands, for what is declared around it may count.
        let signatures = try find(id, in: signed("")).children("Signature", Names.signature)
        let signedInfo = try #require(signatures.first?.children("SignedInfo", Names.signature).first)
        let bytes = try signedInfo.canonical(inclusivePrefixes: words(options.signedInfoPrefixList))
        return signed(try pair.key.signPKCS1(bytes, hash: options.hash).base64)
    }

    private static func find(_ id: String, in document: String) throws -> XMLNode {
        var found: XMLNode?
        try XMLTree(Array(document.utf8)).root.walk { if $0.attribute("ID") == id { found = $0 } }
        return try #require(found)
    }

    private static func words(_ list: String?) -> [String] { list?.split(separator: " ").map(String.init) ?? [] }

    private static func inclusive(_ list: String?) -> String {
        guard let list else { return "" }
        return "<ec:InclusiveNamespaces xmlns:ec=\"\(Names.exclusiveCanonicalization)\" PrefixList=\"\(list)\"/>"
    }

    private static func signatureName(_ hash: HashAlgorithm) -> String {
        hash == .sha1
            ? "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
            : "http://www.w3.org/2001/04/xmldsig-more#rsa-\(hash.rawValue)"
    }

    private static func digestName(_ hash: HashAlgorithm) -> String {
        switch hash {
        case .sha1: "http://www.w3.org/2000/09/xmldsig#sha1"
        case .sha256: "http://www.w3.org/2001/04/xmlenc#sha256"
        case .sha384: "http://www.w3.org/2001/04/xmldsig-more#sha384"
        case .sha512: "http://www.w3.org/2001/04/xmlenc#sha512"
        }
    }

    static func verdict(
        _ document: [UInt8], _ trust: SAMLTrust = trust(), expecting: SAMLExpectation = .unsolicited,
        at time: WallTime = now
    ) -> Result<VerifiedResponse, SAMLRefusal> {
        do throws(SAMLRefusal) {
            return .success(try ResponseVerifier.verify(document, trust: trust, expecting: expecting, now: time))
        } catch {
            return .failure(error)
        }
    }

    /// Why the document is refused; nil when it is accepted.
    static func refusal(
        _ document: [UInt8], _ trust: SAMLTrust = trust(), expecting: SAMLExpectation = .unsolicited,
        at time: WallTime = now
    ) -> SAMLRefusal.Reason? {
        guard case .failure(let refusal) = verdict(document, trust, expecting: expecting, at: time) else { return nil }
        return refusal.reason
    }
}

/// A program that is run to its end.
enum Command {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    @discardableResult
    static func run(_ words: [String]) throws -> String {
        let outcome = try outcome(words)
        guard outcome.status == 0 else { throw Failure(description: "\(words.joined(separator: " ")): \(outcome.output)") }
        return outcome.output
    }

    static func outcome(_ words: [String]) throws -> (status: Int32, output: String) {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = words
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }
}
