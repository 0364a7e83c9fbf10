/// One change of what decides about sign-ins.
public enum PolicyEdit: Hashable, Codable, Sendable {
    case saveCheck(check: PostureCheck, isReplacing: Bool)
    case removeCheck(name: String)
    case saveBehaviour(behaviour: Behaviour, isReplacing: Bool)
    case removeBehaviour(name: String)
    /// A new policy goes to the place (from 1), or to the end; one that is replaced stays where it is.
    case savePolicy(policy: SignInPolicy, isReplacing: Bool, place: Int?)
    case removePolicy(name: String)
    case movePolicy(name: String, place: Int)
    case setDefault(action: SignInPolicy.Action)
    case replaceAll(set: PolicySet)

    /// Why an edit cannot be made.
    public enum Fault: Error, Hashable, Sendable, CustomStringConvertible {
        case exists(what: String, name: String)
        case unknown(what: String, name: String)
        case inUse(what: String, name: String, by: String)

        public var description: String {
            switch self {
            case .exists(let what, let name): "There is a \(what) '\(name)' already; `edit` changes it."
            case .unknown(let what, let name): "There is no \(what) '\(name)'."
            case .inUse(let what, let name, let user): "The \(what) '\(name)' is used by \(user): change that first."
            }
        }
    }

    /// What an edit did, for the audit trail.
    public struct Deed: Hashable, Sendable {
        /// Such as `policy-added`.
        public var action: String
        /// The name of the thing; `default` for the action where no policy matches.
        public var subject: String
        public var detail: String?

        public init(action: String, subject: String, detail: String? = nil) {
            self.action = action
            self.subject = subject
            self.detail = detail
        }
    }
}

extension PolicySet {
    public mutating func apply(_ edit: PolicyEdit) throws(PolicyEdit.Fault) {
        switch edit {
        case .saveCheck(let check, let isReplacing):
            try Self.put(check, check.name, \.name, "posture check", isReplacing, into: &checks)
        case .removeCheck(let name):
            for behaviour in behaviours {
                if case .posture(let names, _) = behaviour.trigger, names.contains(name) {
                    throw .inUse(what: "posture check", name: name, by: "the behaviour '\(behaviour.name)'")
                }
            }
            try Self.take(name, \.name, "posture check", from: &checks)
        case .saveBehaviour(let behaviour, let isReplacing):
            try Self.put(behaviour, behaviour.name, \.name, "behaviour", isReplacing, into: &behaviours)
        case .removeBehaviour(let name):
            if let policy = policies.first(where: { $0.behaviours.contains(name) }) {
                throw .inUse(what: "behaviour", name: name, by: "the policy '\(policy.name)'")
            }
            try Self.take(name, \.name, "behaviour", from: &behaviours)
        case .savePolicy(let policy, let isReplacing, let place):
            try Self.put(policy, policy.name, \.name, "policy", isReplacing, into: &policies)
            if let place { try move(policy.name, to: place) }
        case .removePolicy(let name): try Self.take(name, \.name, "policy", from: &policies)
        case .movePolicy(let name, let place): try move(name, to: place)
        case .setDefault(let action): defaultAction = action
        case .replaceAll(let set): self = set
        }
    }

    /// What makes this set of another, for the audit trail: one line a thing.
    public func deeds(since old: PolicySet) -> [PolicyEdit.Deed] {
        var deeds: [PolicyEdit.Deed] = []
        func compare<Thing: Equatable>(_ what: String, _ old: [Thing], _ new: [Thing], _ name: (Thing) -> String) {
            let before = Dictionary(old.map { (name($0), $0) }) { first, _ in first }
            let after = Set(new.map(name))
            for thing in old where !after.contains(name(thing)) {
                deeds.append(PolicyEdit.Deed(action: "\(what)-removed", subject: name(thing)))
            }
            for thing in new where before[name(thing)] != thing {
                let action = before[name(thing)] == nil ? "\(what)-added" : "\(what)-changed"
                deeds.append(PolicyEdit.Deed(action: action, subject: name(thing)))
            }
        }
        compare("posture-check", old.checks, checks, \.name)
        compare("behaviour", old.behaviours, behaviours, \.name)
        compare("policy", old.policies, policies, \.name)
        let (before, after) = (Set(old.policies.map(\.name)), Set(policies.map(\.name)))
        let order = policies.map(\.name).filter(before.contains)
        if order != old.policies.map(\.name).filter(after.contains) {
            deeds.append(
                PolicyEdit.Deed(
                    action: "policies-reordered", subject: "policies",
                    detail: policies.map(\.name).joined(separator: ", ")))
        }
        if old.defaultAction != defaultAction {
            deeds.append(
                PolicyEdit.Deed(action: "policy-default-changed", subject: "default", detail: defaultAction.words))
        }
        return deeds
    }

    private static func put<Thing>(
        _ thing: Thing, _ name: String, _ naming: KeyPath<Thing, String>, _ what: String, _ isReplacing: Bool,
        into things: inout [Thing]
    ) throws(PolicyEdit.Fault) {
        let index = things.firstIndex { $0[keyPath: naming] == name }
        if isReplacing {
            guard let index else { throw .unknown(what: what, name: name) }
            things[index] = thing
        } else {
            guard index == nil else { throw .exists(what: what, name: name) }
            things.append(thing)
        }
    }

    private static func take<Thing>(
        _ name: String, _ naming: KeyPath<Thing, String>, _ what: String, from things: inout [Thing]
    ) throws(PolicyEdit.Fault) {
        guard let index = things.firstIndex(where: { $0[keyPath: naming] == name }) else {
            throw .unknown(what: what, name: name)
        }
        things.remove(at: index)
    }

    private mutating func move(_ name: String, to place: Int) throws(PolicyEdit.Fault) {
        guard let index = policies.firstIndex(where: { $0.name == name }) else {
            throw .unknown(what: "policy", name: name)
        }
        let policy = policies.remove(at: index)
        policies.insert(policy, at: min(max(place - 1, 0), policies.count))
    }
}
