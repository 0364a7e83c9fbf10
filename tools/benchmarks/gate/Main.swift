import Access
import Base
import Glibc
import Host

/// Measures the gate in the namespace that it runs in; `tools/bench gate` makes that one and the traffic.
///
///     bench-gate load COUNT ADDRESS    puts the gate up with COUNT sessions, ADDRESS among them
///     bench-gate one COUNT             admits and revokes one more, COUNT times
///     bench-gate cut ADDRESS           revokes ADDRESS, after which it prints when that began
@main struct Main {
    static let plan = GatePlan(sites: [
        GatePlan.Site(id: "vpc", networks: [IPPrefix("10.2.0.0/16")!]),
        GatePlan.Site(id: "other", networks: [IPPrefix("10.3.0.0/16")!]),
    ])
    static let clock = SystemClock()

    static func main() throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        let netlink = try Netlink(.netfilter, patience: .seconds(60))
        let table = GateTable(netlink)
        var gate = Gate(plan)
        let until = clock.now + .seconds(3600)
        switch arguments.first {
        case "load":
            guard arguments.count == 3, let count = Int(arguments[1]), let address = IPAddress(arguments[2]) else { break }
            gate.put(address, reaching: ["vpc"], until: until)
            for number in 1..<max(1, count) {
                gate.put(.v4(0xAC10_0000 + UInt32(number)), reaching: number % 2 == 0 ? ["vpc"] : ["vpc", "other"], until: until)
            }
            _ = gate.takeChange()
            let begun = clock.now
            try table.install(gate.ruleset, Array(gate.entries.values), lease: .seconds(3600), now: begun)
            print("load \((clock.now - begun).seconds)")
            return
        case "one":
            guard arguments.count == 2, let count = Int(arguments[1]) else { break }
            gate.put(.v4(1), reaching: ["vpc"], until: until)
            let places = gate.entries[.v4(1)]!.places
            var admits: [Double] = []
            var revokes: [Double] = []
            for number in 0..<count {
                let entry = Gate.Entry(address: .v4(0x0B00_0000 + UInt32(number)), places: places, until: until)
                let begun = clock.now
                try table.apply(Gate.Change(added: [entry]), now: begun)
                let between = clock.now
                try table.apply(Gate.Change(removed: [entry]), now: between)
                revokes.append((clock.now - between).seconds * 1e6)
                admits.append((between - begun).seconds * 1e6)
            }
            admits.sort()
            revokes.sort()
            print("admit \(admits[count / 2]) \(admits[count * 99 / 100])")
            print("revoke \(revokes[count / 2]) \(revokes[count * 99 / 100])")
            return
        case "cut":
            guard arguments.count == 2, let address = IPAddress(arguments[1]) else { break }
            let conntrack = try Netlink(.netfilter)
            let begun = clock.wall
            gate.put(address, reaching: ["vpc"], until: until)
            try table.apply(Gate.Change(removed: [gate.entries[address]!]), now: clock.now)
            try conntrack.forgetConnections(of: address)
            print("cut \(Double(begun.nanoseconds) / 1e9)")
            return
        default: break
        }
        print("bench-gate load COUNT ADDRESS | one COUNT | cut ADDRESS")
        exit(2)
    }
}
