import Synchronization

extension Secret {
    /// Set to a ``Vault`` in the `userInfo` of an encoder, to have secrets taken out of what is written, and of a
    /// decoder, to have them put back.
    public static let vault = CodingUserInfoKey(rawValue: "gatehouse.secretVault")!

    /// Secrets by the place where they stood in an encoded value, such as `tunnels.0.phase1.psk`.
    ///
    /// A store writes the value without them and keeps them sealed elsewhere.
    public final class Vault: Sendable {
        private let contents: Mutex<[String: Secret]>
        private let standIn: Secret?

        /// - Parameter standIn: read in the place of every hidden secret that is not in `secrets`.
        public init(_ secrets: [String: Secret] = [:], standIn: Secret? = nil) {
            contents = Mutex(secrets)
            self.standIn = standIn
        }

        public var secrets: [String: Secret] { contents.withLock { $0 } }

        func put(_ secret: Secret, at path: [any CodingKey]) {
            contents.withLock { $0[Self.place(path)] = secret }
        }

        func secret(at path: [any CodingKey]) -> Secret? {
            contents.withLock { $0[Self.place(path)] } ?? standIn
        }

        private static func place(_ path: [any CodingKey]) -> String {
            path.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".")
        }
    }
}
