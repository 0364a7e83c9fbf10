import Base
import Cryptography
import Glibc
import Host
import HTTP
import JSONText
import Store
import Vendors

/// Measures the mirror of an endpoint protection platform; `tools/bench epp` makes the folder.
///
///     bench-epp SAMPLE FOLDER [COUNT]
///
/// Reads as many agents of SentinelOne as are asked for, in pages of a thousand as they come over the wire, compares them
/// with the mirror, and stores what has changed: at first, without news, with news of a hundredth, with all times moved on.
@main struct Main {
    static let clock = SystemClock()

    static func main() throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        guard (2...3).contains(arguments.count), let count = Int(arguments.count > 2 ? arguments[2] : "50000"),
            let sample = SystemFile.read(arguments[0])
        else {
            print("bench-epp SAMPLE FOLDER [COUNT]")
            exit(2)
        }
        let tree = try JSONTree.parse(sample)
        guard let agent = tree["response"]?["body"]?["data"]?.array?.last else { exit(2) }
        let pattern = JSON(agent).text()
        var connection = EndpointConnection(id: "bench", kind: "sentinelone")
        connection.url = "https://bench.sentinelone.net"
        connection.key = Secret(Array("key".utf8))
        let store = try Store(
            path: arguments[1] + "/bench.db", key: SealingKey(Secret([UInt8](repeating: 1, count: 32))),
            random: SystemRandom.bytes, wall: { clock.wall })
        try store.save(connection, replacing: false, by: Change(actor: "bench"))
        let world = World(connection: connection, profile: try connection.profile(), pattern: pattern, count: count)
        let base = memory
        var mirror = EndpointMirror(connection, world.profile)
        let begun = clock.wall
        try refresh("first", world, &mirror, store, at: begun, seen: 0, infected: 0)
        try refresh("no_news", world, &mirror, store, at: begun + .seconds(60), seen: 60, infected: 0)
        try refresh("news_1_percent", world, &mirror, store, at: begun + .seconds(120), seen: 120, infected: count / 100)
        try refresh("all_times", world, &mirror, store, at: begun + .seconds(1400), seen: 1400, infected: count / 100)
        print("figure epp_memory_\(count) \(rounded(memory - base)) MB")
        let load = try seconds { mirror = EndpointMirror(connection, world.profile, records: try store.endpoints(of: "bench").records) }
        print("figure epp_restart_\(count) \(rounded(load)) s")
        guard mirror.count == count else {
            print("the store gave back \(mirror.count) of \(count)")
            exit(1)
        }
    }

    static func refresh(
        _ name: String, _ world: World, _ mirror: inout EndpointMirror, _ store: Store, at now: WallTime, seen: Int,
        infected: Int
    ) throws {
        var listing = EndpointMirror.Listing(mirror, now: now)
        var run = try CallRun(
            world.connection, world.profile, call: world.profile.listingName, .all, entropy: [1], now: now)
        var (reading, page) = (0.0, 0)
        while run.request != nil {
            let answer = world.page(page, seenAt: now + .seconds(-5), infected: infected)
            page += 1
            reading += try seconds { listing.take(try run.receive(answer), mirror) }
        }
        var result = EndpointMirror.Result()
        let comparing = seconds { result = mirror.take(listing, isComplete: true, isAtomic: false, now: now) }
        let storing = try seconds {
            try store.keep(
                result.change.changed, removed: result.change.removed, answered: mirror.answered, of: "bench")
        }
        let size = world.count
        print("figure epp_\(name)_\(size) \(rounded(reading + comparing + storing)) s")
        print("figure epp_\(name)_reading_\(size) \(rounded(reading)) s")
        print("figure epp_\(name)_comparing_\(size) \(rounded(comparing)) s")
        print("figure epp_\(name)_storing_\(size) \(rounded(storing)) s")
        print("figure epp_\(name)_changed_\(size) \(result.change.changed.count) endpoints")
    }

    static func seconds(_ body: () throws -> Void) rethrows -> Double {
        let begun = clock.now
        try body()
        return (clock.now - begun).seconds
    }

    static func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }

    /// What the process has in memory, in MB of 1,000,000 bytes.
    static var memory: Double {
        let text = SystemFile.read("/proc/self/statm") ?? ""
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Double($0) } ?? 0
        return pages * Double(sysconf(Int32(_SC_PAGESIZE))) / 1e6
    }
}

/// A console with many agents.
struct World {
    var connection: EndpointConnection
    var profile: EndpointProfile
    /// One agent as it comes.
    var pattern: String
    var count: Int

    /// A page of a thousand.
    func page(_ number: Int, seenAt: WallTime, infected: Int) -> HTTPResponse {
        let first = number * 1000
        let last = min(count, first + 1000)
        let seen = seenAt.rfc3339
        let rows = (first..<last).map { index in
            pattern.replacing("\"id\":\"13491234512346\"", with: "\"id\":\"\(index)\"")
                .replacing("CLEAN-LAPTOP", with: "HOST-\(index)")
                .replacing("2026-01-15T09:51:28Z", with: seen)
                .replacing("00:00:5e:00:53:02", with: Self.card(index))
                .replacing("\"infected\":false", with: "\"infected\":\(index < infected)")
        }
        let cursor = last < count ? "\"\(last)\"" : "null"
        let text = #"{"data":[\#(rows.joined(separator: ","))],"pagination":{"nextCursor":\#(cursor),"totalItems":\#(count)}}"#
        return HTTPResponse(status: 200, body: Array(text.utf8))
    }

    private static func card(_ index: Int) -> String {
        let digits = String(index, radix: 16)
        let padded = Array(String(repeating: "0", count: 8 - digits.count) + digits)
        return "02:00:" + stride(from: 0, to: 8, by: 2).map { String(padded[$0..<$0 + 2]) }.joined(separator: ":")
    }
}
