internal import Base
internal import Glibc
internal import IKE

/// Strangers who begin handshakes and never go on: first messages at a rate, each with an SPI of its own, from many
/// ports.
enum Flood {
    private static let ports = 64

    /// What was sent and how long it took, as `count seconds`.
    static func run(_ options: Options) throws -> String {
        guard let remote = IPAddress(options.remote), let local = IPAddress("\(options.local).1") else {
            throw Refusal("no address")
        }
        var sockets: [Int32] = []
        for port in 0..<ports {
            sockets.append(try Sockets.open(from: local, port: UInt16(20_000 + port), to: remote))
        }
        var message = try firstMessage(options, local, remote)
        let start = Clock.now()
        let count = options.rate * options.seconds
        var generator = SystemRandomNumberGenerator()
        var sent = 0
        while sent < count {
            // What is due is sent at once, as a burst of a few milliseconds.
            let due = min(count, Int((Clock.now() - start).seconds * Double(options.rate)))
            while sent < due {
                message.withUnsafeMutableBytes { bytes in
                    // The initiator's SPI, which may not be zero.
                    bytes.storeBytes(of: generator.next() | 1, toByteOffset: 0, as: UInt64.self)
                    _ = send(sockets[sent % ports], bytes.baseAddress, bytes.count, Int32(MSG_DONTWAIT))
                }
                sent += 1
            }
            usleep(1000)
        }
        return "\(sent) \((Clock.now() - start).seconds)"
    }

    /// An honest IKE_SA_INIT request, made by the engine.
    private static func firstMessage(_ options: Options, _ local: IPAddress, _ remote: IPAddress) throws -> [UInt8] {
        var engine = Engine(configuration: EngineConfiguration(), seed: Clock.seed(), now: Clock.now())
        let id = ConnectionID(1)
        var effects = engine.receive(
            .configure(id, .bench(options, local: local, remote: remote)), now: Clock.now())
        effects += engine.receive(.initiate(id), now: Clock.now())
        for effect in effects {
            if case .send(let bytes, _) = effect { return bytes }
        }
        throw Refusal("the engine sends nothing")
    }
}
