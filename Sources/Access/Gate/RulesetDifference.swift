/// What makes one ruleset of another, as steps that a single transaction carries out in their order.
///
/// The addresses that are in are not among them: they belong between ``building`` and ``clearing``, when every set that
/// they stand in or leave is there.
public struct RulesetDifference: Hashable, Sendable {
    public enum Step: Hashable, Sendable {
        case addCounter(String)
        /// Makes the set, with its elements; one that leads to chains is empty at first, since they may not be there yet.
        case addSet(Ruleset.NamedSet)
        /// Makes a set hold just these elements.
        case fillSet(Ruleset.NamedSet)
        /// Makes the chain, without its rules.
        case addChain(Ruleset.Chain)
        /// Makes a chain hold just these rules.
        case fillChain(Ruleset.Chain)
        case removeChain(String)
        case removeSet(String)
        case removeCounter(String)
    }

    public var building: [Step] = []
    public var clearing: [Step] = []

    public var isEmpty: Bool { building.isEmpty && clearing.isEmpty }

    public init(from old: Ruleset, to new: Ruleset) {
        let oldSets = Dictionary(old.sets.map { ($0.name, $0) }) { first, _ in first }
        let oldChains = Dictionary(old.chains.map { ($0.name, $0) }) { first, _ in first }
        building += new.counters.filter { !old.counters.contains($0) }.map(Step.addCounter)
        // A set whose kind changes would have to go first, while rules still look into it: names say the kind, so that
        // none ever does.
        for set in new.sets {
            switch oldSets[set.name] {
            case nil: building.append(.addSet(set.withoutLeads))
            case set?: break
            case _?: if !set.leads { building.append(.fillSet(set)) }
            }
        }
        building += new.chains.filter { oldChains[$0.name] == nil }.map(Step.addChain)
        building += new.sets.filter { $0.leads && (oldSets[$0.name] ?? $0.withoutLeads) != $0 }.map(Step.fillSet)
        for chain in new.chains where oldChains[chain.name]?.rules ?? [] != chain.rules {
            building.append(.fillChain(chain))
        }
        // Chains may lead to one another: all are empty before the first goes.
        let gone = old.chains.filter { chain in !new.chains.contains { $0.name == chain.name } }
        clearing += gone.filter { !$0.rules.isEmpty }.map {
            .fillChain(Ruleset.Chain($0.name, hook: $0.hook, []))
        }
        clearing += gone.map { .removeChain($0.name) }
        let kept = Set(new.sets.map(\.name))
        clearing += old.sets.filter { !kept.contains($0.name) }.map { .removeSet($0.name) }
        clearing += old.counters.filter { !new.counters.contains($0) }.map(Step.removeCounter)
    }
}

extension Ruleset.NamedSet {
    /// Whether elements of this set lead to chains.
    fileprivate var leads: Bool {
        if case .leads = content { true } else { false }
    }

    fileprivate var withoutLeads: Ruleset.NamedSet {
        guard case .leads(let family, _) = content else { return self }
        return Ruleset.NamedSet(name, .leads(family, []))
    }
}
