import Base
import Cryptography
@testable import IKE

/// Two engines that have a tunnel with each other, A having called B. Inputs go to B.
struct IKEWorld {
    var a: Engine
    var b: Engine
    var now = Tick(nanoseconds: 1_000_000_000_000)
    /// What B's data path holds, by inbound SPI.
    var installed: Set<UInt32> = []
    /// Every datagram of the life so far, with its path as the receiver sees it.
    var heard: [([UInt8], Path)] = []
    private var losesAuth = false

    static let id = ConnectionID(1)
    private static let addressA = IPAddress.v4(0xC633_6402)
    private static let addressB = IPAddress.v4(0xCB00_7101)
    static let pathAtB = Path(
        local: Endpoint(addressB, 500), remote: Endpoint(addressA, 500), isNATPort: false)

    /// Made once: connecting costs a hundred times what an input does.
    static let connected = IKEWorld(isHalfOpen: false)
    /// B has answered IKE_SA_INIT; A's IKE_AUTH is lost.
    static let halfOpen = IKEWorld(isHalfOpen: true)

    private init(isHalfOpen: Bool) {
        a = Engine(configuration: EngineConfiguration(), seed: [1], now: now)
        b = Engine(configuration: EngineConfiguration(), seed: [2], now: now)
        _ = a.receive(.configure(Self.id, Self.configuration(Self.addressA, Self.addressB)), now: now)
        _ = b.receive(.configure(Self.id, Self.configuration(Self.addressB, Self.addressA)), now: now)
        losesAuth = isHalfOpen
        toA(a.receive(.initiate(Self.id), now: now))
        losesAuth = false
        precondition(b.ikeSACount == 1, "the two engines did not connect")
        precondition(isHalfOpen ? b.halfOpenCount == 1 : installed.count == 1, "the two engines stand elsewhere")
    }

    private static func configuration(_ local: IPAddress, _ remote: IPAddress) -> ConnectionConfiguration {
        var configuration = ConnectionConfiguration(
            name: "fuzz", localAddress: local, remoteAddress: remote,
            authentication: .psk(Secret(Array("a shared key".utf8))),
            ikeProposals: [
                IKEProposal(
                    encryption: [.aes128gcm16], integrity: [], prf: [.sha256], groups: [.curve25519, .ecp256])
            ],
            espProposals: [ESPProposal(encryption: [.aes128gcm16], integrity: [], groups: [.curve25519])],
            localSelectors: [TrafficSelector(IPPrefix.all(.ipv4))],
            remoteSelectors: [TrafficSelector(IPPrefix.all(.ipv4))])
        configuration.rekeyFuzzPercent = 0
        return configuration
    }

    // MARK: Doing

    /// Carries out A's effects, whose datagrams reach B at once.
    private mutating func toA(_ effects: [Effect]) {
        for effect in effects {
            switch effect {
            case .send(let bytes, let path):
                if losesAuth, bytes[path.isNATPort ? 22 : 18] == ExchangeType.ikeAuth.rawValue { continue }
                let seen = Path(local: path.remote, remote: path.local, isNATPort: path.isNATPort)
                heard.append((bytes, seen))
                toB(.datagram(bytes, seen), answering: true)
            case .installChild(let child, _): toA(a.receive(.childInstalled(spiIn: child.spiIn), now: now))
            default: break
            }
        }
    }

    /// Gives B an input and checks its effects against its contract. Answers reach A only if they are wanted. The arithmetic
    /// of a handshake is done beforehand, as by a host with cores to spare.
    mutating func toB(_ input: Input, answering: Bool = false) {
        if case .datagram(let bytes, let path) = input, let job = b.sharedSecretJob(bytes, path) {
            return carryOutAtB(b.receive(datagram: bytes, path, with: job.run(), now: now), answering: answering)
        }
        carryOutAtB(b.receive(input, now: now), answering: answering)
    }

    private mutating func carryOutAtB(_ effects: [Effect], answering: Bool) {
        for effect in effects {
            switch effect {
            case .send(let bytes, let path):
                precondition(!bytes.isEmpty && bytes.count <= 65_507, "a datagram that UDP cannot carry")
                guard answering else { continue }
                let seen = Path(local: path.remote, remote: path.local, isNATPort: path.isNATPort)
                toA(a.receive(.datagram(bytes, seen), now: now))
            case .installChild(let child, _):
                precondition(installed.insert(child.spiIn).inserted, "a child is installed twice")
                carryOutAtB(b.receive(.childInstalled(spiIn: child.spiIn), now: now), answering: answering)
            case .useOutbound(let spiIn), .moveChild(let spiIn, _):
                precondition(installed.contains(spiIn), "a child that is not installed")
            case .removeChild(let spiIn):
                precondition(installed.remove(spiIn) != nil, "a child is removed that is not installed")
            case .event: break
            }
        }
    }

    /// Lets time pass for B alone. The peer stays silent.
    mutating func driveB(_ span: Tick.Span) {
        let limit = now + span
        var turns = 0
        while let deadline = b.deadline, deadline.tick <= limit {
            precondition(!deadline.reason.isEmpty, "a deadline without a reason")
            now = max(now, deadline.tick)
            carryOutAtB(b.wake(now: now), answering: false)
            turns += 1
            precondition(turns < 10_000, "'\(deadline.reason)' fires without end")
        }
        now = limit
    }

    /// Takes the connection away: nothing may be left of it, whatever the peer had done.
    mutating func end() {
        toB(.remove(Self.id))
        driveB(.seconds(120))
        precondition(installed.isEmpty, "a child is left behind")
        precondition(b.ikeSACount == 0 && b.halfOpenCount == 0, "an IKE SA is left behind")
        precondition(b.deadline == nil, "a deadline is left behind")
    }
}
