import Base
import Cryptography

/// PPK_IDENTITY (RFC 8784 §5.1).
extension PostquantumKey {
    /// A name that both sides know by agreement.
    private static let fixed: UInt8 = 2

    var notify: Notify { Notify(.ppkIdentity, data: [Self.fixed] + Array(identity.utf8)) }

    /// Whether the data of the peer's notify names this key.
    func isNamed(by data: [UInt8]) -> Bool { data.first == Self.fixed && data.dropFirst() == Array(identity.utf8)[...] }

    /// The name in a notify, as far as it can be shown.
    static func text(_ data: [UInt8]) -> String {
        let name = data.dropFirst()
        let isText = !name.isEmpty && name.count <= 64 && name.allSatisfy { (0x20...0x7E).contains($0) }
        return isText ? String(decoding: name, as: UTF8.self) : name.prefix(32).hexadecimal
    }
}
