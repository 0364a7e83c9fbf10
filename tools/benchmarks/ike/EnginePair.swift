internal import Base
internal import IKE

/// Two engines in one thread, without sockets and data path: what the engine itself costs.
enum EnginePair {
    /// Microseconds of CPU a handshake, as `initiator responder`.
    static func run(_ options: Options) throws -> String {
        let addresses = [IPAddress.v4(0x0a00_0001), .v4(0x0a00_0002)]
        var engines = (0..<2).map { _ in
            Engine(configuration: EngineConfiguration(), seed: Clock.seed(), now: Clock.now())
        }
        var spent: [Int64] = [0, 0]
        var established = 0
        func run(_ side: Int, _ input: Input) {
            var queue = [(side, input)]
            while !queue.isEmpty {
                let (side, input) = queue.removeFirst()
                let start = Clock.cpu()
                let effects = engines[side].receive(input, now: Clock.now())
                spent[side] += Clock.cpu() - start
                for effect in effects {
                    switch effect {
                    case .send(let bytes, let path):
                        let other = Path(local: path.remote, remote: path.local, isNATPort: path.isNATPort)
                        queue.append((1 - side, .datagram(bytes, other)))
                    case .installChild(let child, _): queue.append((side, .childInstalled(spiIn: child.spiIn)))
                    case .event(let event):
                        if side == 0, case .ikeEstablished = event.kind { established += 1 }
                    default: break
                    }
                }
            }
        }
        var answering = ConnectionConfiguration.bench(options, local: addresses[1], remote: nil)
        answering.remoteID = nil
        run(1, .configure(ConnectionID(1), answering))
        for number in 1...options.count {
            var asking = ConnectionConfiguration.bench(options, local: addresses[0], remote: addresses[1])
            asking.localID = .fqdn("gateway-\(number).fleet.example")
            let id = ConnectionID(UInt32(number))
            run(0, .configure(id, asking))
            run(0, .initiate(id))
        }
        guard established == options.count else { throw Refusal("only \(established) handshakes succeeded") }
        return spent.map { String(Double($0) / 1000 / Double(options.count)) }.joined(separator: " ")
    }
}
