import Base

/// A Notify payload (RFC 7296 §3.10).
struct Notify: Hashable, Sendable {
    var type: NotifyType
    var protocolID: UInt8 = 0
    var spi: [UInt8] = []
    var data: [UInt8] = []

    init(_ type: NotifyType, protocolID: UInt8 = 0, spi: [UInt8] = [], data: [UInt8] = []) {
        self.type = type
        self.protocolID = protocolID
        self.spi = spi
        self.data = data
    }

    init(parsing body: ArraySlice<UInt8>) throws(MessageError) {
        var reader = ByteReader(body)
        (protocolID, type, spi) = try reading("Notify") { () throws(ByteReader.Truncated) in
            let protocolID = try reader.uint8()
            let spiLength = Int(try reader.uint8())
            let type = NotifyType(rawValue: try reader.uint16())
            return (protocolID, type, Array(try reader.slice(spiLength)))
        }
        data = Array(reader.rest())
    }

    func write(to writer: inout ByteWriter) {
        writer.uint8(protocolID)
        writer.uint8(UInt8(truncatingIfNeeded: spi.count))
        writer.uint16(type.rawValue)
        writer.append(spi)
        writer.append(data)
    }
}

/// A Delete payload (RFC 7296 §3.11): the SAs that its sender no longer receives on.
struct Delete: Hashable, Sendable {
    var protocolID: UInt8
    /// The sender's inbound SPIs; empty for the IKE SA itself.
    var spis: [UInt32]

    static let ikeSA = Delete(protocolID: SecurityProtocol.ike, spis: [])

    init(protocolID: UInt8, spis: [UInt32]) {
        self.protocolID = protocolID
        self.spis = spis
    }

    init(parsing body: ArraySlice<UInt8>) throws(MessageError) {
        var reader = ByteReader(body)
        let start = reader.offset
        let (protocolID, spiLength, count) = try reading("Delete") { () throws(ByteReader.Truncated) in
            (try reader.uint8(), Int(try reader.uint8()), Int(try reader.uint16()))
        }
        let expected = protocolID == SecurityProtocol.ike ? 0 : 4
        guard spiLength == expected || count == 0 else {
            throw .malformed(
                "Delete SPI size", at: start + 1,
                "\(spiLength) bytes for \(SecurityProtocol.name(protocolID)), which has \(expected)")
        }
        guard reader.remaining == spiLength * count else {
            throw .malformed(
                "Delete", at: reader.offset, "\(count) SPIs of \(spiLength) bytes in \(reader.remaining) bytes")
        }
        self.protocolID = protocolID
        spis = []
        guard spiLength == 4 else { return }
        spis.reserveCapacity(count)
        for _ in 0..<count {
            spis.append(try reading("Delete SPI") { () throws(ByteReader.Truncated) in try reader.uint32() })
        }
    }

    func write(to writer: inout ByteWriter) {
        writer.uint8(protocolID)
        writer.uint8(protocolID == SecurityProtocol.ike ? 0 : 4)
        writer.uint16(UInt16(truncatingIfNeeded: spis.count))
        for spi in spis { writer.uint32(spi) }
    }
}
