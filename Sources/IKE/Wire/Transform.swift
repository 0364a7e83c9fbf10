import Base
import Cryptography

/// One algorithm in an SA payload (RFC 7296 §3.3.2).
struct Transform: Hashable, Sendable, Codable {
    enum Kind {
        static let encryption: UInt8 = 1
        static let prf: UInt8 = 2
        static let integrity: UInt8 = 3
        static let group: UInt8 = 4
        static let sequenceNumbers: UInt8 = 5
    }

    var type: UInt8
    var id: UInt16
    /// Bits; the Key Length attribute.
    var keyLength: UInt16?
    /// An attribute that we do not know makes the transform unusable (RFC 7296 §3.3.6).
    var hasUnknownAttribute = false

    init(type: UInt8, id: UInt16, keyLength: UInt16? = nil) {
        self.type = type
        self.id = id
        self.keyLength = keyLength
    }

    init(_ encryption: EncryptionAlgorithm) {
        switch encryption {
        case .aes128, .aes192, .aes256:
            self.init(type: Kind.encryption, id: 12, keyLength: UInt16(encryption.keyLength * 8))
        case .aes128gcm16, .aes192gcm16, .aes256gcm16:
            self.init(type: Kind.encryption, id: 20, keyLength: UInt16(encryption.keyLength * 8))
        case .chacha20poly1305:
            self.init(type: Kind.encryption, id: 28)
        }
    }

    init(_ prf: PRFAlgorithm) {
        switch prf {
        case .sha1: self.init(type: Kind.prf, id: 2)
        case .sha256: self.init(type: Kind.prf, id: 5)
        case .sha384: self.init(type: Kind.prf, id: 6)
        case .sha512: self.init(type: Kind.prf, id: 7)
        }
    }

    init(_ integrity: IntegrityAlgorithm) {
        switch integrity {
        case .sha1: self.init(type: Kind.integrity, id: 2)
        case .sha256: self.init(type: Kind.integrity, id: 12)
        case .sha384: self.init(type: Kind.integrity, id: 13)
        case .sha512: self.init(type: Kind.integrity, id: 14)
        }
    }

    init(_ group: DHGroup) { self.init(type: Kind.group, id: group.rawValue) }

    init(extendedSequenceNumbers: Bool) {
        self.init(type: Kind.sequenceNumbers, id: extendedSequenceNumbers ? 1 : 0)
    }

    /// As engineers write it: `aes256gcm16`, `prfsha256`, `modp2048`, `esn`; the numbers where we have no name.
    var name: String {
        let keyed = keyLength.map { "\($0)" } ?? ""
        switch type {
        case Kind.encryption:
            return Self.ciphers[id].map { "\($0.head)\($0.isKeyed ? keyed : "")\($0.tail)" } ?? "encr#\(id)"
        case Kind.prf: return Self.prfs[id] ?? "prf#\(id)"
        case Kind.integrity: return Self.integrities[id] ?? "integ#\(id)"
        case Kind.group:
            return id == 0 ? "none" : DHGroup(rawValue: id)?.name ?? "group\(id)"
        case Kind.sequenceNumbers:
            return id == 0 ? "noesn" : id == 1 ? "esn" : "esn#\(id)"
        default:
            return "transform\(type)#\(id)"
        }
    }

    /// The name before and after the key length, which some have none of.
    private static let ciphers: [UInt16: (head: String, isKeyed: Bool, tail: String)] = [
        2: ("des", false, ""), 3: ("3des", false, ""), 11: ("null", false, ""), 12: ("aes", true, ""),
        13: ("aes", true, "ctr"), 14: ("aes", true, "ccm8"), 15: ("aes", true, "ccm12"), 16: ("aes", true, "ccm16"),
        18: ("aes", true, "gcm8"), 19: ("aes", true, "gcm12"), 20: ("aes", true, "gcm16"), 23: ("camellia", true, ""),
        28: ("chacha20poly1305", false, ""),
    ]
    private static let prfs: [UInt16: String] = [
        1: "prfmd5", 2: "prfsha1", 4: "prfaesxcbc", 5: "prfsha256", 6: "prfsha384", 7: "prfsha512", 8: "prfaescmac",
    ]
    private static let integrities: [UInt16: String] = [
        0: "none", 1: "md5", 2: "sha1", 5: "aesxcbc", 8: "aescmac", 12: "sha256", 13: "sha384", 14: "sha512",
    ]

    static func typeName(_ type: UInt8) -> String {
        switch type {
        case Kind.encryption: "encryption"
        case Kind.prf: "PRF"
        case Kind.integrity: "integrity"
        case Kind.group: "Diffie-Hellman group"
        case Kind.sequenceNumbers: "extended sequence numbers"
        default: "transform type \(type)"
        }
    }
}

/// One proposal of an SA payload: a choice within each transform type (RFC 7296 §3.3.1).
struct Proposal: Hashable, Sendable, Codable {
    var number: UInt8
    var protocolID: UInt8
    /// Empty in an initial IKE_SA_INIT, 8 bytes in an IKE rekey, 4 for ESP.
    var spi: [UInt8]
    var transforms: [Transform]

    /// Grouped by type, as in `aes128/aes256-sha1-prfsha1-modp1024`; plain sequence numbers go without saying.
    var summary: String {
        var parts: [String] = []
        for type in [1, 3, 2, 4, 5] as [UInt8] {
            let names = transforms.filter { $0.type == type }.map(\.name)
            if !names.isEmpty, names != ["noesn"] { parts.append(names.joined(separator: "/")) }
        }
        let others = transforms.filter { !(1...5).contains($0.type) }.map(\.name)
        return (parts + others).joined(separator: "-")
    }
}

extension Sequence where Element == Proposal {
    /// All proposals in words, separated by commas.
    var summary: String { map(\.summary).joined(separator: ", ") }

    /// As much of a peer's offer as a sentence bears: honest ones are shorter.
    var worthTelling: [Proposal] {
        prefix(8).map { proposal in
            var proposal = proposal
            proposal.transforms = Array(proposal.transforms.prefix(24))
            return proposal
        }
    }
}

extension Proposal {
    private static let keyLengthAttribute: UInt16 = 14
    /// More proposals than an honest peer sends.
    private static let mostProposals = 64

    /// Reads the body of an SA payload.
    static func parse(_ body: ArraySlice<UInt8>) throws(MessageError) -> [Proposal] {
        var reader = ByteReader(body)
        var proposals: [Proposal] = []
        var isLast = false
        while !isLast {
            let index = proposals.count + 1
            let start = reader.offset
            guard index <= mostProposals else {
                throw .malformed("SA", at: start, "more than \(mostProposals) proposals")
            }
            let (more, length) = try reading("SA proposal \(index)") { () throws(ByteReader.Truncated) in
                let more = try reader.uint8()
                _ = try reader.uint8()
                return (more, Int(try reader.uint16()))
            }
            guard more == 0 || more == 2 else {
                throw .malformed("SA proposal \(index)", at: start, "last-substructure byte is \(more), not 0 or 2")
            }
            guard length >= 8 else {
                throw .malformed("SA proposal \(index) length", at: start + 2, "\(length) is less than its own header")
            }
            let inner = try reading("SA proposal \(index) length") { () throws(ByteReader.Truncated) in
                try reader.nested(length - 4)
            }
            proposals.append(try parseOne(inner, index))
            isLast = more == 0
        }
        guard reader.isAtEnd else {
            throw .malformed("SA", at: reader.offset, "\(reader.remaining) bytes behind the last proposal")
        }
        return proposals
    }

    private static func parseOne(_ body: ByteReader, _ index: Int) throws(MessageError) -> Proposal {
        var reader = body
        let (number, protocolID, spi, count) = try reading("SA proposal \(index)") { () throws(ByteReader.Truncated) in
            let number = try reader.uint8()
            let protocolID = try reader.uint8()
            let spiLength = Int(try reader.uint8())
            let count = Int(try reader.uint8())
            return (number, protocolID, Array(try reader.slice(spiLength)), count)
        }
        var transforms: [Transform] = []
        transforms.reserveCapacity(count)
        for position in 0..<count {
            let start = reader.offset
            let (more, length) = try reading("SA proposal \(index) transform \(position + 1)") {
                () throws(ByteReader.Truncated) in
                let more = try reader.uint8()
                _ = try reader.uint8()
                return (more, Int(try reader.uint16()))
            }
            guard more == (position == count - 1 ? 0 : 3) else {
                throw .malformed(
                    "SA proposal \(index) transform \(position + 1)", at: start,
                    "last-substructure byte is \(more) in transform \(position + 1) of \(count)")
            }
            guard length >= 8 else {
                throw .malformed(
                    "SA proposal \(index) transform \(position + 1) length", at: start + 2,
                    "\(length) is less than its own header")
            }
            let inner = try reading("SA proposal \(index) transform \(position + 1) length") {
                () throws(ByteReader.Truncated) in try reader.nested(length - 4)
            }
            transforms.append(try parseTransform(inner, "SA proposal \(index) transform \(position + 1)"))
        }
        guard reader.isAtEnd else {
            throw .malformed(
                "SA proposal \(index)", at: reader.offset, "\(reader.remaining) bytes behind the last transform")
        }
        return Proposal(number: number, protocolID: protocolID, spi: spi, transforms: transforms)
    }

    private static func parseTransform(
        _ body: ByteReader, _ field: @autoclosure () -> String
    ) throws(MessageError) -> Transform {
        var reader = body
        var transform = try reading(field()) { () throws(ByteReader.Truncated) in
            let type = try reader.uint8()
            _ = try reader.uint8()
            return Transform(type: type, id: try reader.uint16())
        }
        while !reader.isAtEnd {
            let (type, value) = try reading(field() + " attribute") { () throws(ByteReader.Truncated) in
                (try reader.uint16(), try reader.uint16())
            }
            if type & 0x8000 == 0 {
                // The long form: `value` is a length. Key Length must be short, so whatever this is, we do not know it.
                _ = try reading(field() + " attribute length") { () throws(ByteReader.Truncated) in
                    try reader.slice(Int(value))
                }
                transform.hasUnknownAttribute = true
            } else if type & 0x7FFF == keyLengthAttribute, transform.keyLength == nil {
                transform.keyLength = value
            } else {
                transform.hasUnknownAttribute = true
            }
        }
        return transform
    }

    /// Writes the body of an SA payload.
    static func write(_ proposals: [Proposal], to writer: inout ByteWriter) {
        for (index, proposal) in proposals.enumerated() {
            let start = writer.count
            writer.uint8(index == proposals.count - 1 ? 0 : 2)
            writer.uint8(0)
            writer.uint16(0)
            writer.uint8(proposal.number)
            writer.uint8(proposal.protocolID)
            writer.uint8(UInt8(truncatingIfNeeded: proposal.spi.count))
            writer.uint8(UInt8(truncatingIfNeeded: proposal.transforms.count))
            writer.append(proposal.spi)
            for (position, transform) in proposal.transforms.enumerated() {
                writer.uint8(position == proposal.transforms.count - 1 ? 0 : 3)
                writer.uint8(0)
                writer.uint16(transform.keyLength == nil ? 8 : 12)
                writer.uint8(transform.type)
                writer.uint8(0)
                writer.uint16(transform.id)
                if let keyLength = transform.keyLength {
                    writer.uint16(0x8000 | keyLengthAttribute)
                    writer.uint16(keyLength)
                }
            }
            writer.patchUInt16(UInt16(truncatingIfNeeded: writer.count - start), at: start + 2)
        }
    }
}
