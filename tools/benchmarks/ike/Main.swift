internal import Base
internal import Cryptography
internal import Glibc
internal import IKE

/// A fleet of initiators: brings up one IKE SA after the other, each with an identity of its own, a number of them at
/// a time, and prints the seconds that all of them took together and how many got a child SA.
@main struct Main {
    static func main() {
        do {
            var fleet = try Fleet(Options(CommandLine.arguments.dropFirst()))
            let seconds = try fleet.run()
            print(seconds, fleet.children)
        } catch {
            print("bench-ike: \(error)")
            exit(1)
        }
    }
}

struct Refusal: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

struct Options {
    /// The first three bytes of our addresses, such as `10.99.1`; the last one is 1 to the number at a time.
    var local = ""
    var remote = ""
    var psk = ""
    var group = DHGroup.ecp256
    var handshakes = 1500
    var atATime = 16

    init(_ arguments: some Sequence<String>) throws {
        var arguments = arguments.makeIterator()
        while let option = arguments.next() {
            guard let value = arguments.next() else { throw Refusal("\(option) needs a value") }
            switch option {
            case "--local": local = value
            case "--remote": remote = value
            case "--psk": psk = value
            case "--group":
                guard let group = UInt16(value).flatMap(DHGroup.init) else { throw Refusal("no such group: \(value)") }
                self.group = group
            case "--handshakes": handshakes = try Self.number(value)
            case "--at-a-time": atATime = try Self.number(value)
            default: throw Refusal("unknown option \(option)")
            }
        }
    }

    private static func number(_ text: String) throws -> Int {
        guard let number = Int(text), number > 0, number < 1_000_000 else { throw Refusal("no count: \(text)") }
        return number
    }
}

/// One socket with the engine of its present handshake.
private struct Lane {
    var socket: Int32
    var address: IPAddress
    var engine: Engine
    var isBusy = false
    var hasChild = false
}

private struct Fleet {
    private let options: Options
    private let remote: IPAddress
    private var lanes: [Lane] = []
    private var begun = 0
    private var finished = 0
    /// Handshakes that brought up a child SA too.
    private(set) var children = 0
    private var receiveBuffer = [UInt8](repeating: 0, count: 65_536)

    /// A handshake that takes longer than this fails the run.
    private let patience = Tick.Span.seconds(20)

    init(_ options: Options) throws {
        self.options = options
        guard let remote = IPAddress(options.remote) else { throw Refusal("no address: \(options.remote)") }
        self.remote = remote
        for number in 1...options.atATime {
            guard let address = IPAddress("\(options.local).\(number)") else {
                throw Refusal("no network: \(options.local)")
            }
            lanes.append(
                Lane(socket: try Self.socket(from: address, to: remote), address: address, engine: Self.engine()))
        }
    }

    /// Seconds from the first message to the last answer.
    mutating func run() throws -> Double {
        let start = now()
        var lastProgress = start
        for index in lanes.indices { begin(index) }
        while finished < options.handshakes {
            var waiting = lanes.map { pollfd(fd: $0.socket, events: Int16(POLLIN), revents: 0) }
            let deadline = lanes.lazy.filter(\.isBusy).compactMap { $0.engine.deadline?.tick }.min()
            let wait = deadline.map { max(0, min(1000, Int32(clamping: ($0 - now()).nanoseconds / 1_000_000 + 1))) }
            poll(&waiting, nfds_t(waiting.count), wait ?? 1000)
            let before = finished
            for index in lanes.indices {
                if waiting[index].revents != 0 { receive(index) }
                if lanes[index].isBusy, let tick = lanes[index].engine.deadline?.tick, tick <= now() {
                    let tick = now()
                    carryOut(lanes[index].engine.wake(now: tick), index)
                }
            }
            if finished > before {
                lastProgress = now()
            } else if now() - lastProgress > patience {
                throw Refusal("no handshake finished for \(Int(patience.seconds)) s, after \(finished)")
            }
        }
        return (now() - start).seconds
    }

    private mutating func begin(_ index: Int) {
        guard begun < options.handshakes else {
            lanes[index].isBusy = false
            return
        }
        begun += 1
        let everything = TrafficSelector(first: .v4(0), last: .v4(.max))
        var configuration = ConnectionConfiguration(
            name: "fleet", localAddress: lanes[index].address, remoteAddress: remote,
            authentication: .psk(Secret(Array(options.psk.utf8))),
            ikeProposals: [
                IKEProposal(encryption: [.aes128], integrity: [.sha256], prf: [.sha256], groups: [options.group])
            ],
            espProposals: [ESPProposal(encryption: [.aes128gcm16], integrity: [], groups: [])],
            localSelectors: [everything], remoteSelectors: [everything])
        configuration.localID = .fqdn("gateway-\(begun).fleet.example")
        lanes[index].engine = Self.engine()
        lanes[index].isBusy = true
        lanes[index].hasChild = false
        let tick = now()
        carryOut(lanes[index].engine.receive(.configure(ConnectionID(1), configuration), now: tick), index)
        carryOut(lanes[index].engine.receive(.initiate(ConnectionID(1)), now: tick), index)
    }

    private mutating func receive(_ index: Int) {
        while true {
            let count = recv(lanes[index].socket, &receiveBuffer, receiveBuffer.count, Int32(MSG_DONTWAIT))
            guard count > 0 else { return }
            guard lanes[index].isBusy else { continue }
            let path = Path(
                local: Endpoint(lanes[index].address, 500), remote: Endpoint(remote, 500), isNATPort: false)
            let tick = now()
            carryOut(lanes[index].engine.receive(.datagram(Array(receiveBuffer[0..<count]), path), now: tick), index)
        }
    }

    private mutating func carryOut(_ effects: [Effect], _ index: Int) {
        var isDone = false
        for effect in effects {
            switch effect {
            case .send(let bytes, _):
                _ = bytes.withUnsafeBytes { send(lanes[index].socket, $0.baseAddress, $0.count, 0) }
            case .installChild(let child, _):
                lanes[index].hasChild = true
                let tick = now()
                carryOut(lanes[index].engine.receive(.childInstalled(spiIn: child.spiIn), now: tick), index)
            case .event(let event):
                switch event.kind {
                // charon may refuse the child for want of kernel ESP; the IKE SA is up all the same.
                case .ikeEstablished: isDone = true
                case .ikeClosed(let failure) where !isDone: print("bench-ike: \(failure)")
                default: break
                }
            case .useOutbound, .removeChild, .moveChild: break
            }
        }
        if isDone {
            finished += 1
            if lanes[index].hasChild { children += 1 }
            begin(index)
        }
    }

    private static func engine() -> Engine {
        var generator = SystemRandomNumberGenerator()
        return Engine(
            configuration: EngineConfiguration(), seed: (0..<32).map { _ in generator.next() }, now: now())
    }

    /// A socket on port 500 of one of our addresses, connected to the responder.
    private static func socket(from address: IPAddress, to remote: IPAddress) throws -> Int32 {
        let descriptor = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        guard descriptor >= 0 else { throw Refusal("no socket: \(String(cString: strerror(errno)))") }
        func endpoint(_ address: IPAddress) -> sockaddr_in {
            var endpoint = sockaddr_in()
            endpoint.sin_family = sa_family_t(AF_INET)
            endpoint.sin_port = in_port_t(500).bigEndian
            withUnsafeMutableBytes(of: &endpoint.sin_addr) { $0.copyBytes(from: address.bytes) }
            return endpoint
        }
        func call(_ function: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32, _ endpoint: sockaddr_in) -> Bool {
            withUnsafePointer(to: endpoint) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    function(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
                }
            }
        }
        guard call({ Glibc.bind($0, $1, $2) }, endpoint(address)) else {
            throw Refusal("cannot have \(address) port 500: \(String(cString: strerror(errno)))")
        }
        guard call({ Glibc.connect($0, $1, $2) }, endpoint(remote)) else {
            throw Refusal("no way to \(remote): \(String(cString: strerror(errno)))")
        }
        return descriptor
    }

    private func now() -> Tick { Self.now() }

    private static func now() -> Tick {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return Tick(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }
}
