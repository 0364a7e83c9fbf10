import Base
import Testing

@testable import Access

func prefix(_ text: String) -> IPPrefix { IPPrefix(text)! }
func address(_ text: String) -> IPAddress { IPAddress(text)! }

@Suite struct AddressRangeTests {
    @Test func rangesAreMergedAndWhatTouchesIsOne() {
        let ranges = [AddressRange](
            ["10.0.0.0/24", "10.0.1.0/24", "10.0.0.128/25", "10.1.0.0/16", "fd00::/8"].map(prefix), .ipv4)
        #expect(ranges.map { "\($0.first)-\($0.last)" } == ["10.0.0.0-10.0.1.255", "10.1.0.0-10.1.255.255"])
        #expect([AddressRange]([prefix("0.0.0.0/0"), prefix("255.255.255.255/32")], .ipv4).count == 1)
        #expect([AddressRange]([prefix("::/0"), prefix("ffff::/16")], .ipv6).count == 1)
    }

    /// Every address of a small world, against the obvious definition.
    @Test func subtractionIsWhatItSays() {
        var random = SmallRandom(7)
        for _ in 0..<500 {
            func some() -> [IPPrefix] {
                (0..<Int(random.next() % 5)).map { _ in
                    IPPrefix(.v4(UInt32(random.next() % 64)), length: 32 - Int(random.next() % 5))!.network
                }
            }
            let (plus, minus) = (some(), some())
            let result = [AddressRange](plus, .ipv4).subtracting([AddressRange](minus, .ipv4))
            for number in 0..<UInt32(96) {
                let address = IPAddress.v4(number)
                let wanted = plus.contains { $0.contains(address) } && !minus.contains { $0.contains(address) }
                #expect(result.contains { $0.contains(address) } == wanted)
            }
        }
    }
}

/// Numbers that are the same in each run.
struct SmallRandom {
    var state: UInt64
    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }
    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state >> 11
    }
}

@Suite struct GateTests {
    let plan = GatePlan(sites: [
        GatePlan.Site(id: "wide", networks: [prefix("10.0.0.0/8"), prefix("fd00::/8")]),
        GatePlan.Site(id: "narrow", networks: [prefix("10.2.0.0/16")]),
        GatePlan.Site(id: "late", networks: [prefix("10.2.0.0/16"), prefix("10.3.0.0/16")]),
    ])

    /// Where networks overlap, whoever is routed there is who is meant: never a site that the user may not reach.
    @Test func reachFollowsTheRoutes() {
        let random = { (id: String, text: String) in
            plan.ranges(of: [id], .ipv4).contains { $0.contains(address(text)) }
        }
        #expect(random("wide", "10.9.0.1") && !random("wide", "10.2.0.1") && !random("wide", "10.3.0.1"))
        #expect(random("narrow", "10.2.0.1") && !random("late", "10.2.0.1") && random("late", "10.3.0.1"))
        #expect(plan.ranges(of: ["wide", "narrow", "late"], .ipv4) == [AddressRange(prefix("10.0.0.0/8"))])
    }

    @Test func changesComeTogetherAndCancelOut() {
        var gate = Gate(plan)
        gate.put(address("10.1.0.1"), reaching: ["narrow"], until: Tick(nanoseconds: 5))
        gate.put(address("10.1.0.2"), reaching: ["narrow"], until: Tick(nanoseconds: 5))
        gate.remove(address("10.1.0.2"))
        let first = gate.takeChange()
        #expect(first.added.map(\.address) == [address("10.1.0.1")] && first.removed.isEmpty && first.rules == nil)
        #expect(gate.takeChange().isEmpty)

        gate.put(address("10.1.0.1"), reaching: ["narrow"], until: Tick(nanoseconds: 9))
        let second = gate.takeChange()
        #expect(second.removed == first.added && second.added.count == 1 && second.rules == nil)
        gate.remove(address("10.1.0.1"))
        gate.put(address("10.1.0.1"), reaching: ["narrow"], until: Tick(nanoseconds: 9))
        #expect(gate.takeChange().isEmpty)
    }

    /// The same sessions make the same entries after a restart, in whatever order they come.
    @Test func numbersComeFromTheSites() {
        var one = Gate(plan)
        var other = Gate(plan)
        let combinations: [Set<String>] = [["wide"], ["narrow"], ["wide", "late"], []]
        for (number, sites) in combinations.enumerated() {
            one.put(.v4(UInt32(number)), reaching: sites, until: .zero)
        }
        for (number, sites) in combinations.enumerated().reversed() {
            other.put(.v4(UInt32(number)), reaching: sites, until: .zero)
        }
        #expect(one.entries == other.entries && one.ruleset == other.ruleset)
        #expect(one.difference(from: other.entries.mapValues { .init(places: $0.places, isWhole: true) }).isEmpty)
        #expect(Set(plan.numbers.values).count == 3 && plan.numbers == GatePlan(sites: plan.sites.reversed()).numbers)
    }

    /// Who comes in or goes changes elements of sets and no rule, so that one more costs what the first did.
    @Test func whoIsInShapesNoRule() {
        var gate = Gate(plan)
        for number in 0..<50 {
            gate.put(.v4(UInt32(number)), reaching: Set(["wide", "narrow", "late"].prefix(number % 4)), until: .zero)
        }
        #expect(gate.takeChange().rules == nil && gate.ruleset == Ruleset(gate: plan))
    }

    /// A session that may reach all the sites there are does not reach one that comes unless it is let there.
    @Test func everywhereIsNotMoreThanWasAskedFor() {
        var gate = Gate(plan)
        gate.put(.v4(1), reaching: ["wide", "narrow", "late"], until: .zero)
        gate.put(.v4(2), reaching: ["wide", "narrow", "late", "new"], until: .zero)
        gate.put(.v4(3), reaching: ["narrow"], until: .zero)
        #expect(gate.entries[.v4(1)]?.places == [.everywhere] && gate.entries[.v4(2)]?.places == [.everywhere])
        _ = gate.takeChange()
        var larger = plan
        larger.sites.append(GatePlan.Site(id: "new", networks: [prefix("192.168.0.0/16")]))
        gate.use(larger)
        let change = gate.takeChange()
        #expect(change.removed.map(\.address) == [.v4(1)] && change.removed.first?.places == [.everywhere])
        #expect(change.added.first?.places == Set(plan.numbers.values.map(Gate.Place.site)))
        #expect(gate.entries[.v4(2)]?.places == [.everywhere])
        gate.use(plan)
        #expect(gate.entries[.v4(1)]?.places == [.everywhere])
        // Without any site there is nowhere to go.
        gate.use(GatePlan())
        #expect(gate.entries.values.allSatisfy { $0.places == [] })
    }

    @Test func whatTheKernelHasIsBroughtToWhatShouldBe() {
        var gate = Gate(plan)
        gate.put(.v4(1), reaching: ["narrow"], until: .zero)
        gate.put(.v4(2), reaching: ["narrow"], until: .zero)
        gate.put(.v4(4), reaching: ["narrow"], until: .zero)
        let places = gate.entries[.v4(1)]!.places
        let change = gate.difference(from: [
            .v4(1): .init(places: [.everywhere], isWhole: true), .v4(3): .init(places: places, isWhole: true),
            .v4(4): .init(places: places, isWhole: false),
        ])
        #expect(Set(change.removed.map(\.address)) == [.v4(1), .v4(3), .v4(4)])
        #expect(change.removed.first { $0.address == .v4(1) }?.places == [.everywhere])
        #expect(Set(change.added.map(\.address)) == [.v4(1), .v4(2), .v4(4)])
    }

    /// Steps applied one by one make the new ruleset of the old one, and nothing is used before it is there.
    @Test func differenceMakesOneOfTheOther() {
        var random = SmallRandom(3)
        let names = ["a", "b", "c", "d"]
        func some() -> Ruleset {
            let sites = names.filter { _ in random.next() % 2 == 0 }.map {
                GatePlan.Site(id: $0, networks: [IPPrefix(.v4(UInt32(random.next() % 200) << 16), length: 16)!])
            }
            let plan = GatePlan(
                sites: sites, exempt: random.next() % 2 == 0 ? [prefix("10.1.0.5/32")] : [],
                interfaces: random.next() % 2 == 0 ? ["eth0"] : [], inbound: random.next() % 2 == 0 ? .all : .replies,
                redirectPort: random.next() % 2 == 0 ? 80 : nil)
            return Ruleset(gate: plan)
        }
        for _ in 0..<200 {
            let (old, new) = (some(), some())
            let difference = RulesetDifference(from: old, to: new)
            #expect(difference.isEmpty == (old == new))
            var model = Model(old)
            for step in difference.building + difference.clearing { model.apply(step) }
            #expect(model == Model(new))
        }
    }

    /// A table as the kernel keeps it, which refuses what the kernel refuses.
    private struct Model: Equatable {
        var sets: [String: Ruleset.NamedSet]
        var chains: [String: Ruleset.Chain]
        var counters: Set<String>

        init(_ ruleset: Ruleset) {
            sets = Dictionary(uniqueKeysWithValues: ruleset.sets.map { ($0.name, $0) })
            chains = Dictionary(uniqueKeysWithValues: ruleset.chains.map { ($0.name, $0) })
            counters = Set(ruleset.counters)
        }

        mutating func apply(_ step: RulesetDifference.Step) {
            switch step {
            case .addCounter(let name): #expect(counters.insert(name).inserted)
            case .removeCounter(let name): #expect(counters.remove(name) != nil)
            case .addSet(let set):
                #expect(sets.updateValue(set, forKey: set.name) == nil)
                #expect(Self.chains(of: set).allSatisfy { chains[$0] != nil })
            case .fillSet(let set):
                #expect(sets.updateValue(set, forKey: set.name) != nil)
                #expect(Self.chains(of: set).allSatisfy { chains[$0] != nil })
            case .removeSet(let name):
                #expect(sets.removeValue(forKey: name) != nil && !isUsed(name))
            case .addChain(let chain):
                #expect(chains.updateValue(Ruleset.Chain(chain.name, hook: chain.hook, []), forKey: chain.name) == nil)
            case .fillChain(let chain):
                #expect(chains[chain.name] != nil)
                chains[chain.name]?.rules = chain.rules
                for statement in chain.rules.flatMap(\.statements) { #expect(isThere(statement)) }
            case .removeChain(let name):
                #expect(chains.removeValue(forKey: name)?.rules == [] && !isUsed(name))
            }
        }

        private func isUsed(_ name: String) -> Bool {
            chains.values.contains { $0.rules.contains { $0.statements.contains { Self.names($0).contains(name) } } }
                || sets.values.contains { Self.chains(of: $0).contains(name) }
        }

        private static func chains(of set: Ruleset.NamedSet) -> [String] {
            if case .leads(_, let leads) = set.content { leads.map(\.chain) } else { [] }
        }

        private func isThere(_ statement: Ruleset.Statement) -> Bool {
            Self.names(statement).allSatisfy { sets[$0] != nil || chains[$0] != nil || counters.contains($0) }
        }

        private static func names(_ statement: Ruleset.Statement) -> [String] {
            switch statement {
            case .inputNotIn(let name), .source(_, let name), .destination(_, let name), .familyNotIn(let name),
                .sourceLead(_, let name), .destinationLead(_, let name), .count(let name), .jump(let name),
                .goto(let name):
                [name]
            default: []
            }
        }
    }
}
