import Base
import Cryptography
import IKE
import Tunnels

/// The parts of a connector's file that say how both sides prove themselves.
enum AuthenticationSection {
    /// A pre-shared key, or what stands under `certificate`.
    static func authentication(_ entry: FileEntry, _ map: FileMap) throws -> Authentication {
        let hasCertificate = map["certificate"] != nil
        let method = try map["authentication"]?.choice(Authentication.Method.self)
        switch method ?? (hasCertificate ? .certificate : .psk) {
        case .psk:
            if let other = map["certificate"] { throw other.fault("and psk are both there: one of them is enough") }
            return .psk(try secret(entry, "psk", map))
        case .certificate:
            if let other = map["psk"] ?? map["pskHexadecimal"] {
                throw other.fault("and certificate are both there: one of them is enough")
            }
            guard let section = map["certificate"] else {
                throw entry.fault("needs certificate, with the certificate, its key and the CAs")
            }
            return .certificate(try credential(section))
        }
    }

    static func ppk(_ entry: FileEntry) throws -> PostquantumKey {
        let map = try entry.map(["identity", "key", "keyHexadecimal", "isRequired"])
        return PostquantumKey(
            identity: try map.need("identity").word(), key: try secret(entry, "key", map),
            isRequired: try map["isRequired"]?.bool() ?? true)
    }

    /// A key as text under its name, or in hexadecimal under `…Hexadecimal`.
    private static func secret(_ entry: FileEntry, _ name: String, _ map: FileMap) throws -> Secret {
        let text = map[name]
        if let hexadecimal = map[name + "Hexadecimal"] {
            guard text == nil else { throw hexadecimal.fault("and \(name) are both there: one of them is enough") }
            guard let bytes = [UInt8](hexadecimal: try hexadecimal.word()), !bytes.isEmpty else {
                throw hexadecimal.fault("must be pairs of hexadecimal digits")
            }
            return Secret(bytes)
        }
        guard let text else { throw entry.fault("needs \(name), the pre-shared key as text") }
        return try hidden(text) ?? Secret(Array(text.word().utf8))
    }

    /// An empty secret for one that stays hidden; nil for one that is written out.
    private static func hidden(_ entry: FileEntry) throws -> Secret? {
        guard try entry.word() == "(hidden)" else { return nil }
        guard entry.keepsHidden else { throw entry.fault("is hidden: write the key itself") }
        return Secret([])
    }

    private static func credential(_ entry: FileEntry) throws -> CertificateCredential {
        let map = try entry.map([
            "certificates", "certificateFile", "privateKey", "privateKeyFile", "authorities", "authorityFiles",
            "revocationLists", "revocationListFiles", "revocation", "rsaPadding", "allowSHA1",
        ])
        func refusing<Value>(_ key: FileEntry, _ body: () throws(CertificateFault) -> Value) throws -> Value {
            do {
                return try body()
            } catch {
                throw key.fault("cannot be used: \(error)")
            }
        }
        func all<Value>(
            _ inline: String, _ files: String, _ read: ([UInt8]) throws(CertificateFault) -> [Value]
        ) throws -> [Value] {
            var values: [Value] = []
            if let entry = map[inline] {
                let text = try entry.items().map { try $0.word() }.joined(separator: "\n")
                values += try refusing(entry) { () throws(CertificateFault) in try read(Array(text.utf8)) }
            }
            for file in try map[files]?.items() ?? [] {
                let content = try file.fileContent()
                values += try refusing(file) { () throws(CertificateFault) in try read(content) }
            }
            return values
        }
        let key: Secret
        if let file = map["privateKeyFile"] {
            if let other = map["privateKey"] {
                throw other.fault("and privateKeyFile are both there: one of them is enough")
            }
            let content = Secret(try file.fileContent())
            key = try refusing(file) { () throws(CertificateFault) in try PrivateKey(content).pkcs8 }
        } else {
            let text = try map.need("privateKey")
            let word = try text.word()
            key =
                try hidden(text)
                ?? refusing(text) { () throws(CertificateFault) in try PrivateKey(Secret(Array(word.utf8))).pkcs8 }
        }
        let certificates = try all("certificates", "certificateFile", Certificate.list)
        let lists: [RevocationList] = try all("revocationLists", "revocationListFiles", RevocationList.list)
        return CertificateCredential(
            certificates: certificates.ours(first: key), privateKey: key,
            authorities: try all("authorities", "authorityFiles", Certificate.list), revocationLists: lists,
            revocation: try map["revocation"]?.choice(RevocationPolicy.self) ?? .relaxed,
            rsaPadding: try map["rsaPadding"]?.choice(CertificateCredential.RSAPadding.self) ?? .pkcs1,
            allowsSHA1: try map["allowSHA1"]?.bool() ?? false)
    }
}

extension [Certificate] {
    /// The certificate that the key belongs to in front, whatever the order of the file.
    func ours(first key: Secret) -> [Certificate] {
        guard key.count > 0, let key = try? PrivateKey(key),
            let place = firstIndex(where: { (try? $0.require(key)) != nil })
        else { return self }
        var ordered = self
        ordered.insert(ordered.remove(at: place), at: 0)
        return ordered
    }
}
