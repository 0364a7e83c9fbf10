internal import Base
internal import Cryptography
internal import Glibc

/// What `tools/bench ike` measures with: a fleet of initiators, a flood of strangers, and the bare arithmetic of a
/// handshake.
@main struct Main {
    static func main() {
        signal(SIGPIPE, SIG_IGN)
        var words = Array(CommandLine.arguments.dropFirst())
        let what = words.isEmpty ? "" : words.removeFirst()
        do {
            let options = try Options(words)
            switch what {
            case "fleet":
                var fleet = try Fleet(options)
                try fleet.obey()
            case "flood": say(try Flood.run(options))
            case "engine": say(try EnginePair.handshakes(options))
            case "rekeys": say(try EnginePair.rekeys(options))
            default: throw Refusal("what is '\(what)'? fleet, flood, engine or rekeys")
            }
        } catch {
            say("bench-ike: \(error)")
            exit(1)
        }
    }
}

/// A line of answer, out at once: the script waits for it.
func say(_ line: String, to descriptor: Int32 = 1) {
    let bytes = Array((line + "\n").utf8)
    _ = write(descriptor, bytes, bytes.count)
}

struct Refusal: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

struct Options {
    /// The first three bytes of our addresses, such as `10.99.1`; the last one is 1 to the number of lanes.
    var local = "127.0.0"
    var remote = ""
    var psk = "benchSecret_0123456789.abcdef"
    var group = DHGroup.curve25519
    /// Addresses of ours, each with a socket.
    var lanes = 16
    /// Exchanges under way at once.
    var atOnce = 16
    /// The private exponent of every initiator of a fleet; nil for one at random each time. With a small one the
    /// initiators of a prime's group cost next to nothing, so that what the responder does limits the rate.
    var exponent: Int?
    /// Repetitions, for `engine` and `rekeys`.
    var count = 3000
    /// First messages a second, and for how long, for `flood`.
    var rate = 50_000
    var seconds = 10

    init(_ arguments: [String]) throws {
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
            case "--lanes": lanes = try Self.number(value)
            case "--at-once": atOnce = try Self.number(value)
            case "--exponent": exponent = try Self.number(value)
            case "--count": count = try Self.number(value)
            case "--rate": rate = try Self.number(value)
            case "--seconds": seconds = try Self.number(value)
            default: throw Refusal("unknown option \(option)")
            }
        }
    }

    static func number(_ text: some StringProtocol) throws -> Int {
        guard let number = Int(text), number > 0, number <= 1_000_000 else { throw Refusal("no count: \(text)") }
        return number
    }
}
