import Access
import Base
import Cryptography
import JSONText

/// What stands for the names in braces of one call.
struct Substitution {
    var values: [String: String]

    /// Names whose value is a number where a whole text of JSON is one of them.
    private static let numbers: Set<String> = ["page", "offset"]

    /// A text with its names replaced; one that is not known stays.
    func text(_ template: String) -> String {
        guard template.contains("{") else { return template }
        var result = ""
        var rest = template[...]
        while let open = rest.firstIndex(of: "{") {
            result += rest[..<open]
            let after = rest[rest.index(after: open)...]
            guard let close = after.firstIndex(of: "}"), let value = values[String(after[..<close])] else {
                result += "{"
                rest = after
                continue
            }
            result += value
            rest = after[after.index(after: close)...]
        }
        return result + rest
    }

    func json(_ template: JSON) -> JSON {
        switch template {
        case .string(let text):
            let name = text.hasPrefix("{") && text.hasSuffix("}") ? String(text.dropFirst().dropLast()) : ""
            if Self.numbers.contains(name), let value = values[name] { return .number(value) }
            return .string(self.text(text))
        case .array(let items): return .array(items.map(json))
        case .object(let members): return .object(members.map { JSON.Member($0.key, json($0.value)) })
        case .null, .bool, .number: return template
        }
    }

    /// Times around a moment.
    static func times(_ now: WallTime, since: WallTime?) -> [String: String] {
        func whole(_ time: WallTime) -> String { String(time.rfc3339.prefix(19)) }
        let (day, month) = (now + .seconds(-86_400), now + .seconds(-30 * 86_400))
        var values = [
            "now": whole(now) + "Z", "day-ago": whole(day) + "Z", "month-ago": whole(month) + "Z",
            "now-bare": whole(now), "day-ago-bare": whole(day), "month-ago-bare": whole(month),
        ]
        if let since { values["since"] = whole(since) + "Z" }
        return values
    }
}
