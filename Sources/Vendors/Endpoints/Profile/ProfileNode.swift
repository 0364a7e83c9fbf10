import Base
import JSONText
internal import Yams

/// Why a profile cannot be used: where, and what is wrong, for whoever wrote it.
public struct ProfileFault: Error, Hashable, Sendable, CustomStringConvertible {
    /// From 1; zero where it is about the whole.
    public var line: Int
    /// One clause, without a full stop.
    public var reason: String

    init(_ line: Int, _ reason: String) {
        self.line = line
        self.reason = reason
    }

    public var description: String { line > 0 ? "line \(line): \(reason)" : reason }
}

/// One value of a profile, which knows where it stands.
struct ProfileNode {
    let node: Node

    static func parse(_ text: String) throws(ProfileFault) -> ProfileNode {
        do {
            guard let node = try Yams.compose(yaml: text) else { throw ProfileFault(0, "the profile is empty") }
            return ProfileNode(node: node)
        } catch let error as YamlError {
            switch error {
            case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
                .composer(_, let problem, let mark, _):
                throw ProfileFault(mark.line, problem)
            default: throw ProfileFault(0, "it is no YAML")
            }
        } catch let fault as ProfileFault {
            throw fault
        } catch {
            throw ProfileFault(0, "it is no YAML")
        }
    }

    var line: Int { node.mark?.line ?? 0 }

    var isMapping: Bool { node.mapping != nil }

    func fault(_ reason: String) -> ProfileFault { ProfileFault(line, reason) }

    /// The members of a mapping, in their order.
    func members() throws(ProfileFault) -> [(key: String, value: ProfileNode)] {
        guard let mapping = node.mapping else { throw fault("a mapping was expected here: lines 'name: value'") }
        var members: [(String, ProfileNode)] = []
        for (key, value) in mapping {
            guard let name = key.scalar?.string else { throw fault("a name must be a text") }
            members.append((name, ProfileNode(node: value)))
        }
        return members
    }

    /// The members by name; one that is not `known` is refused, so that a slip of the pen is noticed.
    func fields(_ known: String...) throws(ProfileFault) -> [String: ProfileNode] {
        var fields: [String: ProfileNode] = [:]
        for (key, value) in try members() {
            guard known.contains(key) else {
                throw value.fault("'\(key)' is not known here; known are \(known.joined(separator: ", "))")
            }
            fields[key] = value
        }
        return fields
    }

    /// The elements of a list; a single value is a list of one.
    func list() -> [ProfileNode] { node.sequence.map { $0.map { ProfileNode(node: $0) } } ?? [self] }

    func text() throws(ProfileFault) -> String {
        guard let text = node.scalar?.string else { throw fault("a text was expected here") }
        return text
    }

    func texts() throws(ProfileFault) -> [String] {
        var texts: [String] = []
        for item in list() { texts.append(try item.text()) }
        return texts
    }

    func number() throws(ProfileFault) -> Int {
        guard let number = node.scalar.flatMap({ Int($0.string) }) else { throw fault("a whole number was expected here") }
        return number
    }

    func flag() throws(ProfileFault) -> Bool {
        guard let flag = literalFlag else { throw fault("true or false was expected here") }
        return flag
    }

    /// A Boolean that is written as one, not as a text.
    var literalFlag: Bool? {
        guard let scalar = node.scalar, scalar.style == .plain || scalar.style == .any else { return nil }
        return switch scalar.string {
        case "true": true
        case "false": false
        default: nil
        }
    }

    /// A number that is written as one.
    var literalNumber: Double? {
        guard let scalar = node.scalar, scalar.style == .plain || scalar.style == .any else { return nil }
        return Double(scalar.string)
    }

    func path() throws(ProfileFault) -> FieldPath {
        guard let path = FieldPath(try text()) else { throw fault("'\(try text())' is no place in a JSON object") }
        return path
    }

    func paths() throws(ProfileFault) -> [FieldPath] {
        var paths: [FieldPath] = []
        for item in list() { paths.append(try item.path()) }
        return paths
    }

    /// As JSON: for the bodies of calls.
    func json() throws(ProfileFault) -> JSON {
        if node.mapping != nil {
            var all: [JSON.Member] = []
            for (key, value) in try members() { all.append(JSON.Member(key, try value.json())) }
            return .object(all)
        }
        if node.sequence != nil {
            var items: [JSON] = []
            for item in list() { items.append(try item.json()) }
            return .array(items)
        }
        if let flag = literalFlag { return .bool(flag) }
        if literalNumber != nil { return .number(try text()) }
        return .string(try text())
    }
}
