internal import Base
internal import IKE

/// Two engines in one thread, without sockets and data path: what the engine itself costs.
struct EnginePair {
    private var engines: [Engine]
    private let addresses = [IPAddress.v4(0x0a00_0001), .v4(0x0a00_0002)]
    /// Nanoseconds of CPU of either side.
    private var spent: [Int64] = [0, 0]
    private var established = 0
    private var rekeyed = 0
    private var now = Clock.now()

    private init(_ options: Options) {
        engines = (0..<2).map { _ in
            Engine(configuration: EngineConfiguration(), seed: Clock.seed(), now: Clock.now())
        }
        var answering = ConnectionConfiguration.bench(options, local: addresses[1], remote: nil)
        answering.remoteID = nil
        run(1, .configure(ConnectionID(1), answering))
    }

    /// Gives one side an input, and both what follows from it.
    private mutating func run(_ side: Int, _ input: Input) {
        var queue = [(side, input)]
        while !queue.isEmpty {
            let (side, input) = queue.removeFirst()
            let start = Clock.cpu()
            let effects = engines[side].receive(input, now: now)
            spent[side] += Clock.cpu() - start - Clock.cost
            for effect in effects {
                switch effect {
                case .send(let bytes, let path):
                    let other = Path(local: path.remote, remote: path.local, isNATPort: path.isNATPort)
                    queue.append((1 - side, .datagram(bytes, other)))
                case .installChild(let child, _): queue.append((side, .childInstalled(spiIn: child.spiIn)))
                case .event(let event):
                    guard side == 0 else { break }
                    if case .ikeEstablished = event.kind { established += 1 }
                    if case .childRekeyed = event.kind { rekeyed += 1 }
                default: break
                }
            }
        }
    }

    private mutating func connect(_ options: Options, _ number: Int) {
        var asking = ConnectionConfiguration.bench(options, local: addresses[0], remote: addresses[1])
        asking.localID = .fqdn("gateway-\(number).fleet.example")
        let id = ConnectionID(UInt32(number))
        // To define a connection is no part of its handshake.
        let before = spent
        run(0, .configure(id, asking))
        spent = before
        run(0, .initiate(id))
    }

    /// `initiator responder`, in microseconds.
    private func spent(each count: Int) -> String {
        spent.map { String(Double($0) / 1000 / Double(count)) }.joined(separator: " ")
    }

    /// Microseconds of CPU of the bare arithmetic of a handshake, and what the engine spends in units of that, as
    /// `bare initiator responder`. Both are measured in turns, a few handshakes at a time, and the medians count: a host
    /// with neighbours is slow and fast by turns.
    static func handshakes(_ options: Options) throws -> String {
        var pair = EnginePair(options)
        var (bare, asking, answering): ([Double], [Double], [Double]) = ([], [], [])
        let each = 20
        for round in 0..<max(1, options.count / each) {
            let arithmetic = try Arithmetic.run(options, count: each)
            pair.spent = [0, 0]
            for number in 1...each { pair.connect(options, round * each + number) }
            bare.append(arithmetic)
            asking.append(Double(pair.spent[0]) / 1000 / Double(each) / arithmetic)
            answering.append(Double(pair.spent[1]) / 1000 / Double(each) / arithmetic)
        }
        guard pair.established == bare.count * each else {
            throw Refusal("only \(pair.established) handshakes succeeded")
        }
        return [bare, asking, answering].map { "\($0.sorted()[$0.count / 2])" }.joined(separator: " ")
    }

    /// Microseconds of CPU a rekey of a child without PFS, its DELETE included, as `initiator responder`.
    static func rekeys(_ options: Options) throws -> String {
        var pair = EnginePair(options)
        pair.connect(options, 1)
        pair.spent = [0, 0]
        for _ in 0..<options.count {
            pair.run(0, .rekeyChild(ConnectionID(1)))
            pair.forgetReplaced()
        }
        guard pair.rekeyed == options.count else { throw Refusal("only \(pair.rekeyed) rekeys succeeded") }
        return pair.spent(each: options.count)
    }

    /// Lets so much time pass that what was replaced is forgotten.
    private mutating func forgetReplaced() {
        now = now + EngineConfiguration().inboundLinger
        for side in 0..<2 {
            let start = Clock.cpu()
            _ = engines[side].wake(now: now)
            spent[side] += Clock.cpu() - start - Clock.cost
        }
    }
}
