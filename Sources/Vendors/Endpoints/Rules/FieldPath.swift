public import JSONText

/// Where a value stands in a JSON object: names with dots between them; `[]` behind a name goes through all elements of
/// its list; `|` stands between places of which the first that has something counts.
///
/// `networkInterfaces[].inet[]` is every address of every interface, `hostname|hostName` what one of two spellings has.
/// `.` is the document, and `[]` the elements of one that is a list. A name that begins with `@` may hold dots.
public struct FieldPath: Hashable, Sendable, LosslessStringConvertible {
    private struct Step: Hashable, Sendable {
        var name: String
        var isList: Bool
    }

    private let alternatives: [[Step]]
    public let description: String

    /// Nil for a place without a name.
    public init?(_ text: String) {
        description = text
        var alternatives: [[Step]] = []
        for alternative in text.split(separator: "|", omittingEmptySubsequences: false) {
            guard alternative != "." else {
                alternatives.append([])
                continue
            }
            let names =
                alternative.hasPrefix("@") ? [alternative] : alternative.split(separator: ".", omittingEmptySubsequences: false)
            var steps: [Step] = []
            for name in names {
                let isList = name.hasSuffix("[]")
                let bare = isList ? name.dropLast(2) : name
                guard !bare.isEmpty || (isList && steps.isEmpty) else { return nil }
                steps.append(Step(name: String(bare), isList: isList))
            }
            alternatives.append(steps)
        }
        self.alternatives = alternatives
    }

    /// All values there, without those that are null.
    public func values(in tree: JSONTree) -> [JSONTree] {
        for steps in alternatives {
            let found = Self.values(steps[...], tree)
            if !found.isEmpty { return found }
        }
        return []
    }

    public func first(in tree: JSONTree) -> JSONTree? {
        for steps in alternatives {
            // Most places are one name or two, and many are looked up.
            if steps.count == 1, !steps[0].isList {
                if let value = tree[steps[0].name] { return value }
            } else if let value = Self.values(steps[...], tree).first {
                return value
            }
        }
        return nil
    }

    /// Whether the list that the path ends in is there, if without elements.
    func hasList(in tree: JSONTree) -> Bool {
        alternatives.contains { steps in
            guard let last = steps.last, last.isList else { return !Self.values(steps[...], tree).isEmpty }
            let holder = Self.values(steps.dropLast(), tree).first
            return (last.name.isEmpty ? holder : holder?[last.name])?.array != nil
        }
    }

    private static func values(_ steps: ArraySlice<Step>, _ tree: JSONTree) -> [JSONTree] {
        guard let step = steps.first else { return [tree] }
        guard let value = step.name.isEmpty ? tree : tree[step.name] else { return [] }
        guard step.isList else { return values(steps.dropFirst(), value) }
        return (value.array ?? []).flatMap { element in
            if case .null = element.value { [JSONTree]() } else { values(steps.dropFirst(), element) }
        }
    }
}
