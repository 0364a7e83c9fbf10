import Base
import Cryptography
@testable import IKE

/// Up to eight messages, each: exchange and flags, then payloads as type and length-prefixed body. A type of zero ends
/// the message.
func fuzzIKEAuthenticated(_ bytes: [UInt8]) {
    var world = IKEWorld.connected
    guard let spi = world.a.connections[IKEWorld.id]?.sas.sorted.first, var sa = world.a.table[spi] else {
        preconditionFailure("the peer has no IKE SA")
    }
    var input = InputReader(bytes)
    var random = SeededRandom(seed: [3])
    for _ in 0..<8 where !input.isAtEnd {
        let head = input.byte()
        let exchanges: [ExchangeType] = [.informational, .createChildSA, .ikeAuth, .ikeSAInit]
        let exchange = exchanges[Int(head & 3)]
        let isResponse = head & 4 != 0
        let messageID = isResponse ? world.b.table.firstRequestID : sa.nextRequestID
        let message = sa.seal(exchange, messageID: messageID, isResponse: isResponse, random: &random) { writer in
            while case let type = input.byte(), type != 0 {
                let body = input.piece()
                writer.addRaw(type, body)
            }
        }
        guard let message else { continue }
        if !isResponse { sa.nextRequestID &+= 1 }
        // A request of B's own that a made-up answer may meet.
        if head & 8 != 0 { world.toB(head & 16 != 0 ? .rekeyIKE(IKEWorld.id) : .rekeyChild(IKEWorld.id)) }
        world.toB(.datagram(message, IKEWorld.pathAtB))
    }
    world.driveB(.seconds(5))
    world.end()
}

/// Real payloads of a life with everything in it, taken out of their messages.
func ikeAuthenticatedSeeds() -> [[UInt8]] {
    func message(_ head: UInt8, _ payloads: [(UInt8, [UInt8])]) -> [UInt8] {
        var bytes = [head]
        for (type, body) in payloads {
            bytes += [type, UInt8(body.count >> 8), UInt8(body.count & 0xFF)]
            bytes += body
        }
        return bytes + [0]
    }
    func notify(_ type: UInt16, _ data: [UInt8] = []) -> (UInt8, [UInt8]) {
        let head: [UInt8] = [0, 0, UInt8(type >> 8), UInt8(type & 0xFF)]
        return (41, head + data)
    }
    let nonce: (UInt8, [UInt8]) = (40, [UInt8](repeating: 7, count: 32))
    let everything: [UInt8] = [1, 0, 0, 0, 7, 0, 0, 16, 0, 0, 255, 255, 0, 0, 0, 0, 255, 255, 255, 255]
    // One proposal: ESP, SPI 0x01020304, AES-GCM-16 with 128 bits, no ESN.
    let esp: [UInt8] = [
        0, 0, 0, 32, 1, 3, 4, 2, 1, 2, 3, 4, 3, 0, 0, 12, 1, 0, 0, 20, 0x80, 14, 0, 128, 0, 0, 0, 8, 5, 0, 0, 0,
    ]
    let espWithGroup: [UInt8] = [
        0, 0, 0, 40, 1, 3, 4, 3, 1, 2, 3, 4, 3, 0, 0, 12, 1, 0, 0, 20, 0x80, 14, 0, 128, 3, 0, 0, 8, 4, 0, 0, 31, 0,
        0, 0, 8, 5, 0, 0, 0,
    ]
    let ike: [UInt8] = [
        0, 0, 0, 44, 1, 1, 8, 3, 1, 2, 3, 4, 5, 6, 7, 8, 3, 0, 0, 12, 1, 0, 0, 20, 0x80, 14, 0, 128, 3, 0, 0, 8, 2, 0,
        0, 5, 0, 0, 0, 8, 4, 0, 0, 31,
    ]
    let key: (UInt8, [UInt8]) = (34, [0, 31, 0, 0] + [UInt8](repeating: 9, count: 32))
    let child = IKEWorld.connected.installed.first ?? 0
    let spi = withUnsafeBytes(of: child.bigEndian) { Array($0) }
    let selectors: [(UInt8, [UInt8])] = [(44, everything), (45, everything)]
    return [
        message(0, []), message(0, [(42, [3, 4, 0, 1] + spi)]), message(0, [(42, [1, 0, 0, 0])]),
        message(1, [notify(16393, []), (33, esp), nonce] + selectors),
        message(1, [(33, espWithGroup), nonce, key] + selectors),
        message(1, [(33, ike), nonce, key]), message(0, [notify(16388), notify(16389), notify(16400)]),
        message(0b0000_1101, [(33, espWithGroup), nonce, key] + selectors),
        message(0b0001_1101, [(33, ike), nonce, key]), message(0b0000_1101, [notify(43)]),
        message(1, [(33, espWithGroup), nonce, key] + selectors) + message(0, [(42, [3, 4, 0, 1] + spi)]),
    ]
}

extension MessageWriter {
    /// A payload of any kind, its generic header right and its body as it is.
    fileprivate mutating func addRaw(_ type: UInt8, _ body: [UInt8]) {
        guard let known = PayloadType(rawValue: type) else { return }
        add(known) { $0.append(body) }
    }
}

extension SATable {
    /// The message ID of the request that the first SA has outstanding, for an answer to it.
    fileprivate var firstRequestID: UInt32 { spis.lazy.compactMap { self[$0]?.request?.messageID }.first ?? 0 }
}
