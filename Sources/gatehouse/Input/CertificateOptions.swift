import ArgumentParser
import Cryptography
import IKE
import Tunnels

/// The options that make a connector authenticate with certificates, and those of a post-quantum pre-shared key.
struct CertificateOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Our certificate in PEM, with intermediates behind it.", valueName: "file"),
        completion: .file())
    var certificateFile: String?
    @Option(
        help: ArgumentHelp(
            "Its private key in PEM (PKCS#8, PKCS#1 or EC), without a passphrase (default: in the same file).",
            valueName: "file"),
        completion: .file())
    var keyFile: String?
    @Option(
        help: ArgumentHelp("CA certificates that may have issued the peer's; may be repeated.", valueName: "file"),
        completion: .file())
    var caFile: [String] = []
    @Option(
        help: ArgumentHelp(
            "A CRL of such a CA; may be repeated. '' takes those away that are there.", valueName: "file"),
        completion: .file())
    var crlFile: [String] = []
    @Option(
        help: ArgumentHelp(
            "relaxed: what a CRL revokes is refused. strict: every certificate needs a current CRL.",
            valueName: "policy"),
        transform: { try OptionValue.word($0) })
    var revocation: RevocationPolicy?
    @Option(
        help: ArgumentHelp("How an RSA key signs: pkcs1 or pss.", valueName: "padding"),
        transform: { try OptionValue.word($0) })
    var rsaPadding: CertificateCredential.RSAPadding?
    @Option(
        name: [.customLong("allow-sha1")],
        help: ArgumentHelp("SHA-1 signatures for peers without RFC 7427: yes or no.", valueName: "yes-or-no"),
        transform: OptionValue.yesOrNo)
    var allowSHA1: Bool?
    @Option(
        help: ArgumentHelp("The name of a post-quantum pre-shared key (RFC 8784); '' for none.", valueName: "id"))
    var ppkID: String?
    @Option(
        help: ArgumentHelp("Read that key from a file; - is standard input.", valueName: "file"), completion: .file())
    var ppkFile: String?
    @Option(
        help: ArgumentHelp("Refuse a peer that does not have it: yes or no.", valueName: "yes-or-no"),
        transform: OptionValue.yesOrNo)
    var ppkRequired: Bool?

    var isEmpty: Bool { !namesCertificates && ppkID == nil && ppkFile == nil && ppkRequired == nil }

    /// Whether one of the options is about certificates.
    var namesCertificates: Bool {
        certificateFile != nil || keyFile != nil || !caFile.isEmpty || !crlFile.isEmpty || revocation != nil
            || rsaPadding != nil || allowSHA1 != nil
    }

    /// Puts what was given into a phase 1.
    func apply(to phase1: inout Phase1) throws {
        if namesCertificates { phase1.authentication = .certificate(try credential(phase1.authentication.credential)) }
        try applyPPK(to: &phase1)
    }

    private func credential(_ stored: CertificateCredential?) throws -> CertificateCredential {
        var credential = stored ?? CertificateCredential(certificates: [], privateKey: Secret([]), authorities: [])
        if let path = keyFile ?? certificateFile {
            let content = Secret(try InputFile.read(path))
            do throws(CertificateFault) {
                credential.privateKey = try PrivateKey(content).pkcs8
            } catch {
                guard keyFile == nil else { throw CommandFailure("--key-file \(path): \(error)") }
                throw CommandFailure(
                    "--certificate-file \(path) holds no private key, so that --key-file must name it: \(error)",
                    isUsage: true)
            }
        }
        if let path = certificateFile {
            credential.certificates = try Self.read(path, "--certificate-file", Certificate.list)
                .ours(first: credential.privateKey)
        }
        if !caFile.isEmpty {
            credential.authorities = try caFile.flatMap { try Self.read($0, "--ca-file", Certificate.list) }
        }
        if !crlFile.isEmpty {
            credential.revocationLists = try crlFile.filter { !$0.isEmpty }.flatMap {
                try Self.read($0, "--crl-file", RevocationList.list)
            }
        }
        if let revocation { credential.revocation = revocation }
        if let rsaPadding { credential.rsaPadding = rsaPadding }
        if let allowSHA1 { credential.allowsSHA1 = allowSHA1 }
        guard !credential.certificates.isEmpty else {
            throw CommandFailure("--certificate-file is missing: our own certificate", isUsage: true)
        }
        guard !credential.authorities.isEmpty else {
            throw CommandFailure(
                "--ca-file is missing: the CA that has issued the peer's certificate", isUsage: true)
        }
        return credential
    }

    private static func read<Value>(
        _ path: String, _ option: String, _ body: ([UInt8]) throws(CertificateFault) -> [Value]
    ) throws -> [Value] {
        let content = try InputFile.read(path)
        do throws(CertificateFault) {
            return try body(content)
        } catch {
            throw CommandFailure("\(option) \(path): \(error)")
        }
    }

    private func applyPPK(to phase1: inout Phase1) throws {
        if ppkID == "" {
            guard ppkFile == nil, ppkRequired == nil else {
                throw CommandFailure("--ppk-id '' takes the PPK away, and other options speak of it", isUsage: true)
            }
            phase1.ppk = nil
            return
        }
        guard ppkID != nil || ppkFile != nil || ppkRequired != nil else { return }
        guard let identity = ppkID ?? phase1.ppk?.identity else {
            throw CommandFailure("--ppk-id is missing: the name of the PPK, which both ends must agree on", isUsage: true)
        }
        var key = phase1.ppk?.key
        if let ppkFile { key = try KeyOptions.secret(InputFile.read(ppkFile), from: "--ppk-file \(ppkFile)", "PPK") }
        guard let key else { throw CommandFailure("--ppk-file is missing: the key itself", isUsage: true) }
        phase1.ppk = PostquantumKey(
            identity: identity, key: key, isRequired: ppkRequired ?? phase1.ppk?.isRequired ?? true)
    }
}
