import ArgumentParser
import Base
import Cryptography
import Identity

/// Files that describe an identity provider.
enum IdPInput {
    @Sendable static func requirement(_ word: String) throws -> SignatureRequirement {
        guard let requirement = SignatureRequirement(rawValue: word) else {
            let all = SignatureRequirement.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("'\(word)' is none of \(all).")
        }
        return requirement
    }

    @Sendable static func binding(_ word: String) throws -> IdentityProvider.Binding {
        guard let binding = IdentityProvider.Binding(rawValue: word) else {
            throw ValidationError("'\(word)' is neither redirect nor post.")
        }
        return binding
    }

    /// A provider's metadata from a file or an address.
    static func metadata(_ place: String) async throws -> ProviderMetadata {
        let bytes = place.contains("://") ? try await WebFetch.document(place) : try read(place)
        do throws(ProviderMetadata.Fault) {
            return try ProviderMetadata(bytes)
        } catch {
            throw CommandFailure("\(place): \(error.description)", isUsage: true)
        }
    }

    static func certificates(_ path: String) throws -> [PinnedCertificate] {
        let bytes = try read(path)
        do throws(CertificateText.Fault) {
            return try CertificateText.read(bytes)
        } catch {
            throw CommandFailure("\(path): \(error.description)", isUsage: true)
        }
    }

    static func privateKey(_ path: String) throws -> RSAPrivateKey {
        let bytes = Secret(try read(path))
        guard let key = try? RSAPrivateKey(bytes) else {
            throw CommandFailure(
                "\(path): it holds no RSA private key in PEM or DER that opens without a passphrase", isUsage: true)
        }
        return key
    }

    private static func read(_ path: String) throws -> [UInt8] {
        do {
            return try InputFile.read(path)
        } catch let failure as CommandFailure {
            throw CommandFailure(failure.message, isUsage: true)
        }
    }
}
