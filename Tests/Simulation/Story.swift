import Base
import IKE

/// What happened, for a person; and a digest of it, for comparing two runs.
struct Story {
    let isTold: Bool
    private(set) var lines: [String] = []
    /// FNV-1a over what was sent when.
    private(set) var digest: UInt64 = 0xCBF2_9CE4_8422_2325
    private(set) var packets = 0

    init(isTold: Bool) { self.isTold = isTold }

    mutating func tell(_ now: Tick, _ text: @autoclosure () -> String) {
        guard isTold else { return }
        let time = Self.time(now)
        lines.append(String(repeating: " ", count: max(0, 9 - time.count)) + "\(time)  \(text())")
    }

    /// Seconds since the life began.
    static func time(_ now: Tick) -> String {
        let milliseconds = (now - World.beginning).nanoseconds / 1_000_000
        return "\(milliseconds / 1000)." + String(1000 + milliseconds % 1000).dropFirst()
    }

    mutating func count(_ now: Tick, _ packet: Packet) {
        packets += 1
        var value = UInt64(bitPattern: now.nanoseconds) ^ UInt64(packet.bytes.count) << 48
        for byte in packet.bytes.suffix(8) { value = value << 8 ^ value >> 56 ^ UInt64(byte) }
        digest = (digest ^ value) &* 0x100_0000_01B3
    }

    /// A packet on its way: `from` is nil where it arrives; `fate` is nil for one that is under way.
    mutating func tell(_ now: Tick, _ packet: Packet, from: Int?, _ fate: String?) {
        guard isTold, packet.bytes.count > 1 else { return }
        let who = from.map { "\(Scenario.names[$0]) sends" } ?? "to \(packet.destination):"
        let destination = from == nil ? "" : " to \(packet.destination)"
        tell(now, "\(who) \(packet.words)\(destination)\(fate.map { ", which \($0)" } ?? "")")
    }

    mutating func tell(_ now: Tick, _ event: Event, _ host: Host) {
        guard isTold, let words = event.words else { return }
        tell(now, "\(host.name)\(event.ikeSA.map { " [\($0.short)]" } ?? "") \(words)")
    }
}

extension IKESAID {
    /// The last digits tell SAs apart.
    var short: String { String(spi.hexadecimal.suffix(4)) }
}

extension FixedWidthInteger {
    var hexadecimal: String {
        let digits = String(self, radix: 16)
        return String(repeating: "0", count: Self.bitWidth / 4 - digits.count) + digits
    }
}

extension Packet {
    /// `IKE_AUTH request 1 [1a2b, 3c4d]`, `ESP 0012ab34 #7`.
    var words: String {
        var message = bytes[...]
        if !isBareESP, destination.port == 4500 || source.port >= 4500, message.prefix(4).allSatisfy({ $0 == 0 }) {
            message = message.dropFirst(4)
        } else if isBareESP || destination.port == 4500 || source.port == 4500 {
            guard message.count >= 8 else { return "\(message.count) bytes" }
            let number = message.dropFirst(4).prefix(4).reduce(0) { $0 << 8 | UInt32($1) }
            return "ESP \(message.prefix(4).hexadecimal) #\(number)"
        }
        guard message.count >= 28 else { return "\(message.count) bytes" }
        let header = Array(message.prefix(28))
        let exchange =
            switch header[18] {
            case 34: "IKE_SA_INIT"
            case 35: "IKE_AUTH"
            case 36: "CREATE_CHILD_SA"
            case 37: "INFORMATIONAL"
            default: "exchange \(header[18])"
            }
        let kind = header[19] & 0x20 != 0 ? "answer" : "request"
        let number = header[20..<24].reduce(0) { $0 << 8 | UInt32($1) }
        return "\(exchange) \(kind) \(number) [\(header[6..<8].hexadecimal), \(header[14..<16].hexadecimal)]"
    }
}

extension Event {
    fileprivate var words: String? {
        switch kind {
        case .connecting(let path): "calls \(path.remote)"
        case .ikeEstablished(let summary):
            "IKE SA established as \(summary.isInitiator ? "initiator" : "responder") with \(summary.path.remote)"
        case .ikeRekeyed(_, let previous): "IKE SA takes over from [\(previous.short)]"
        case .ikeClosed(let failure): "IKE SA closed (\(failure.reason.rawValue)): \(failure)"
        case .childEstablished(let spiIn): "child \(spiIn.hexadecimal) established"
        case .childRekeyed(let spiIn, let previous):
            "child \(spiIn.hexadecimal) takes over from \(previous.hexadecimal)"
        case .childClosed(let spiIn, let failure):
            "child \(spiIn.hexadecimal) closed (\(failure.reason.rawValue)): \(failure)"
        case .failed(let failure): "failed (\(failure.reason.rawValue)): \(failure)"
        case .answered: nil
        case .retransmitted(let exchange, let attempt): "sends \(exchange) again, time \(attempt)"
        case .peerMoved(let path): "peer moved to \(path.remote)"
        case .moved(let path): "moved to \(path.local)"
        case .notice(let text): "notices: \(text)"
        }
    }
}
