internal import Base
internal import Cryptography
internal import Foundation
internal import Glibc
internal import IKE

/// A fleet of initiators in one engine, each tunnel with an identity of its own. It takes its orders, a line each,
/// from standard input and answers each with a line:
///
///     establish N       N more tunnels            seconds, tunnels of these, children of these
///     liveness N        N liveness checks         seconds, answered
///     rekey-child N     N child rekeys            seconds, done
///     rekey-ike N       N IKE rekeys              seconds, done
///     probe RATE SECS   liveness checks at a rate sent, answered, median and 99th percentile in ms, tunnels lost
struct Fleet {
    private enum Work: Equatable { case establish, liveness, rekeyChild, rekeyIKE }

    private let options: Options
    private let remote: IPAddress
    /// What every initiator has instead of a key pair of its own.
    private let keyPair: DHKeyPair?
    /// A lane is one of our addresses, from port 500 to port 500, and from 4500 to 4500.
    private var lanes: [(path: Path, socket: Int32)] = []
    private var numbers: [IPAddress: Int] = [:]
    private var engine = Engine(configuration: EngineConfiguration(), seed: Clock.seed(), now: Clock.now())
    private var tunnels = 0
    private var children: Set<UInt32> = []
    private var lost = 0
    private var buffer = [UInt8](repeating: 0, count: 65_536)
    private var work = Work.establish
    /// When the work of each tunnel began that is under way.
    private var begun: [UInt32: Tick] = [:]
    private var roundTrips: [Int64] = []
    private var done = 0

    /// Work that does not get on for this long fails the run.
    private static let patience = Tick.Span.seconds(30)

    init(_ options: Options) throws {
        self.options = options
        guard let remote = IPAddress(options.remote) else { throw Refusal("no address: \(options.remote)") }
        self.remote = remote
        keyPair = try options.exponent.map { exponent in
            let digits = withUnsafeBytes(of: exponent.bigEndian) { Array($0).hexadecimal }
            let text = #"{"group": \#(options.group.rawValue), "privateKey": "\#(digits)"}"#
            return try JSONDecoder().decode(DHKeyPair.self, from: Data(text.utf8))
        }
        for number in 1...options.lanes {
            guard let address = IPAddress("\(options.local).\(number)") else {
                throw Refusal("no network: \(options.local)")
            }
            numbers[address] = lanes.count
            for port in [500, 4500] as [UInt16] {
                let path = Path(local: Endpoint(address, port), remote: Endpoint(remote, port), isNATPort: port == 4500)
                lanes.append((path, try Sockets.open(from: address, port: port, to: remote, port: port)))
            }
        }
    }

    mutating func obey() throws {
        while let line = readLine() {
            let words = line.split(separator: " ")
            switch (words.first ?? "", words.count) {
            case ("establish", 2):
                let before = children.count
                let count = try Options.number(words[1])
                let seconds = try run(.establish, count)
                say("\(seconds) \(done) \(children.count - before)")
            case ("liveness", 2): try work(.liveness, words[1])
            case ("rekey-child", 2): try work(.rekeyChild, words[1])
            case ("rekey-ike", 2): try work(.rekeyIKE, words[1])
            case ("probe", 3): try probe(rate: try Options.number(words[1]), seconds: try Options.number(words[2]))
            default: throw Refusal("unknown order: \(line)")
            }
        }
    }

    private mutating func work(_ work: Work, _ count: Substring) throws {
        let seconds = try run(work, try Options.number(count))
        say("\(seconds) \(done)")
    }

    /// Seconds that `count` pieces of work took, ``Options/atOnce`` of them at once.
    private mutating func run(_ work: Work, _ count: Int) throws -> Double {
        self.work = work
        begun = [:]
        done = 0
        var started = 0
        let start = Clock.now()
        var lastProgress = start
        let first = tunnels
        while done < count {
            while started < count, begun.count < options.atOnce {
                try begin(work == .establish ? first + started : started * 7919 % tunnels)
                started += 1
            }
            let before = done
            turn(atMost: 1000)
            let now = Clock.now()
            if done > before { lastProgress = now }
            guard now - lastProgress < Self.patience else {
                throw Refusal("\(work): nothing was done for \(Int(Self.patience.seconds)) s, after \(done)")
            }
        }
        return (Clock.now() - start).seconds
    }

    private mutating func probe(rate: Int, seconds: Int) throws {
        work = .liveness
        begun = [:]
        roundTrips = []
        done = 0
        lost = 0
        let start = Clock.now()
        let count = rate * seconds
        var sent = 0
        // Ten seconds more for the last answers.
        let end: Tick = start + Tick.Span.seconds(seconds + 10)
        while Clock.now() < end, sent < count || !begun.isEmpty {
            let due = Int((Clock.now() - start).seconds * Double(rate))
            while sent < min(due, count) {
                try begin(sent * 7919 % tunnels)
                sent += 1
            }
            turn(atMost: 2)
        }
        roundTrips.sort()
        func percentile(_ share: Int) -> Double {
            roundTrips.isEmpty ? -1 : Double(roundTrips[min(roundTrips.count - 1, roundTrips.count * share / 100)]) / 1e6
        }
        say("\(sent) \(done) \(percentile(50)) \(percentile(99)) \(lost)")
    }

    private mutating func begin(_ tunnel: Int) throws {
        let id = ConnectionID(UInt32(tunnel + 1))
        let now = Clock.now()
        // One that is at it already counts once.
        if begun.updateValue(now, forKey: id.rawValue) != nil { done += 1 }
        switch work {
        case .establish:
            var configuration = ConnectionConfiguration.bench(
                options, local: lanes[tunnel * 2 % lanes.count].path.local.address, remote: remote)
            configuration.localID = .fqdn("gateway-\(tunnel).fleet.example")
            carryOut(engine.receive(.configure(id, configuration), now: now))
            if let keyPair { engine.stock(keyPair) }
            carryOut(engine.receive(.initiate(id), now: now))
            tunnels += 1
        case .liveness: carryOut(engine.receive(.checkLiveness(id), now: now))
        case .rekeyChild: carryOut(engine.receive(.rekeyChild(id), now: now))
        case .rekeyIKE: carryOut(engine.receive(.rekeyIKE(id), now: now))
        }
    }

    /// Waits for messages or the next timer, at most for so many milliseconds, and handles what there is.
    private mutating func turn(atMost milliseconds: Int32) {
        var waiting = lanes.map { pollfd(fd: $0.socket, events: Int16(POLLIN), revents: 0) }
        let due = engine.deadline.map { ($0.tick - Clock.now()).nanoseconds / 1_000_000 + 1 } ?? 1000
        poll(&waiting, nfds_t(waiting.count), max(0, min(milliseconds, Int32(clamping: due))))
        for index in lanes.indices where waiting[index].revents != 0 { receive(index) }
        if let deadline = engine.deadline, deadline.tick <= Clock.now() {
            carryOut(engine.wake(now: Clock.now()))
        }
    }

    private mutating func receive(_ lane: Int) {
        let (path, socket) = lanes[lane]
        while true {
            let count = recv(socket, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            guard count > 0 else { return }
            carryOut(engine.receive(.datagram(Array(buffer[0..<count]), path), now: Clock.now()))
        }
    }

    private mutating func carryOut(_ effects: [Effect]) {
        for effect in effects {
            switch effect {
            case .send(let bytes, let path):
                guard let number = numbers[path.local.address] else { continue }
                let socket = lanes[number + (path.isNATPort ? 1 : 0)].socket
                _ = bytes.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, 0) }
            case .installChild(let child, _):
                children.insert(child.spiIn)
                carryOut(engine.receive(.childInstalled(spiIn: child.spiIn), now: Clock.now()))
            case .removeChild(let spiIn): children.remove(spiIn)
            case .event(let event):
                guard let id = event.connection?.rawValue else { continue }
                switch (event.kind, work) {
                case (.ikeEstablished, .establish), (.answered, .liveness), (.childRekeyed, .rekeyChild),
                    (.ikeRekeyed, .rekeyIKE):
                    finish(id)
                case (.ikeClosed(let failure), _):
                    lost += 1
                    say("bench-ike: \(failure)", to: 2)
                default: break
                }
            case .useOutbound, .moveChild: break
            }
        }
    }

    private mutating func finish(_ id: UInt32) {
        guard let start = begun.removeValue(forKey: id) else { return }
        done += 1
        roundTrips.append((Clock.now() - start).nanoseconds)
    }
}
