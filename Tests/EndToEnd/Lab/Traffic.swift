internal import Foundation
internal import Glibc

/// What a ping counted.
struct PingCount: Sendable, CustomStringConvertible {
    var sent: Int
    var answered: Int
    var lost: Int { sent - answered }
    var description: String { "\(answered) of \(sent) answered" }

    init(_ text: String) throws {
        guard let match = text.firstMatch(of: /(\d+) packets transmitted, (\d+) received/),
            let sent = Int(match.1), let answered = Int(match.2)
        else { throw LabError("ping printed no summary: \(text)") }
        self.sent = sent
        self.answered = answered
    }
}

/// A ping that goes on while the test does something else.
struct RunningPing: Sendable {
    fileprivate let child: Child

    /// Goes on for a second, so that what has just changed carries traffic, then stops and counts.
    func stop() async throws -> PingCount {
        try await Task.sleep(for: .seconds(1))
        child.signal(SIGINT)
        guard await child.wait(seconds: 15) != nil else { throw LabError("ping did not end") }
        let log = child.log
        var count = try PingCount(log)
        // What was sent as the signal came may still be on its way: that is no loss. More than two in a row is.
        let last = log.matches(of: /icmp_seq=(\d+) .*time=/).compactMap { Int($0.output.1) }.max() ?? 0
        if (1...2).contains(count.sent - last) { count.sent = last }
        return count
    }
}

extension Lab {
    /// Pings `count` times and counts the answers.
    func ping(
        _ address: String = Topology.vpc, from host: Host = .client, count: Int = 5, interval: Double = 0.05
    ) async throws -> PingCount {
        let output = try await run(
            "ping", ["-n", "-q", "-c", "\(count)", "-i", "\(interval)", "-W", "5", address], on: host,
            seconds: 20 + Double(count) * interval)
        return try PingCount(output.text)
    }

    /// Waits until pings are answered.
    func waitForPing(
        _ address: String = Topology.vpc, from host: Host = .client, within seconds: Double = 20
    ) async throws {
        do {
            try await eventually("\(host) reaches \(address)", within: seconds) {
                try await self.run("ping", ["-n", "-c", "1", "-W", "1", address], on: host).status == 0
            }
        } catch let error as LabError {
            var text = error.description
            for host in [Host.gateway, .aws1, .aws2] {
                text += "\nroutes of \(host):\n" + (try await ip(["route"], on: host))
            }
            throw LabError(text)
        }
    }

    /// Pings fifty times a second until it is stopped.
    func startPing(_ address: String = Topology.vpc, from host: Host = .client) throws -> RunningPing {
        RunningPing(
            child: try start(
                "ping", ["-n", "-i", "0.02", "-W", "3", address], on: host,
                log: "ping-\(host)-\(UUID().uuidString).log"))
    }

    /// Sends `megabytes` of random data by TCP and compares the checksums of both ends.
    func transfer(
        megabytes: Int = 8, from source: Host = .client, to target: Host = .vpc, isIPv6: Bool = false
    ) async throws {
        let address =
            switch (target, isIPv6) {
            case (.vpc, false): Topology.vpc
            case (.vpc, true): "[" + Topology.vpc6 + "]"
            case (_, false): Topology.client
            case (_, true): "[" + Topology.client6 + "]"
            }
        let name = UUID().uuidString
        let sent = file("sent-" + name)
        let received = file("received-" + name)
        var generator = SystemRandomNumberGenerator()
        let words = (0..<(megabytes << 17)).map { _ in generator.next() }
        try words.withUnsafeBytes { try Data($0).write(to: URL(fileURLWithPath: sent)) }
        let receiver = try start(
            "socat", ["-u", "TCP\(isIPv6 ? 6 : 4)-LISTEN:5999,reuseaddr", "CREATE:\(received)"], on: target,
            log: "receive-\(name).log")
        // With `retry`, the sender waits for the receiver to listen.
        try await must(
            "socat", ["-u", "FILE:\(sent)", "TCP:\(address):5999,retry=50,interval=0.1"], on: source, seconds: 60)
        guard await receiver.wait(seconds: 30) == 0 else { throw LabError("The receiver did not end: \(receiver.log)") }
        let before = try Data(contentsOf: URL(fileURLWithPath: sent))
        let after = try Data(contentsOf: URL(fileURLWithPath: received))
        guard before == after else {
            throw LabError("\(after.count) bytes arrived of \(before.count), or other ones than were sent")
        }
        unlink(sent)
        unlink(received)
    }

    /// Records all that crosses the internet between the two sides.
    func capture() async throws -> Capture {
        let name = "capture-" + UUID().uuidString
        let path = file(name)
        let child = try start(
            "tcpdump", ["-Z", "root", "-U", "-n", "-i", "any", "-w", path], on: .internet, log: name + ".log")
        try await eventually("tcpdump listens") { child.log.contains("listening on") }
        return Capture(child: child, path: path)
    }
}

/// A recording of the packets that crossed the internet.
struct Capture: Sendable {
    fileprivate let child: Child
    fileprivate let path: String

    /// Ends the recording. The counts are then of what was recorded.
    func stop() async throws {
        child.signal(SIGINT)
        guard await child.wait(seconds: 10) != nil else { throw LabError("tcpdump did not end") }
    }

    /// Packets that a filter of tcpdump's takes, one line each.
    private func packets(_ filter: String) async throws -> [String] {
        let output = try await EndToEndTests.run("tcpdump", ["-n", "-r", path, filter])
        return output.text.split(separator: "\n").map(String.init).filter {
            $0.contains(" IP ") || $0.contains(" IP6 ")
        }
    }

    func count(_ filter: String) async throws -> Int { try await packets(filter).count }

    /// The first packets with an inner address: none may cross in the clear.
    func clearPackets() async throws -> [String] {
        let filter = "net 10.0.0.0/8 or net 169.254.0.0/16 or net 2001:db8:1::/48 or net 2001:db8:2::/48"
        return Array(try await packets(filter).prefix(5))
    }

    func encryptedPackets() async throws -> Int {
        // tcpdump looks into UDP over IPv4 only, so IKE messages count too over IPv6.
        try await count("ip proto 50 or ip6 proto 50 or (udp port 4500 and (ip6 or udp[8:4] != 0))")
    }
}
