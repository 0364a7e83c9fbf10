import Access
import ArgumentParser
import Base

/// The values of options of posture checks and behaviours.
extension OptionValue {
    static func system(_ text: String) throws -> OperatingSystem.Family {
        guard let family = OperatingSystem.Family(rawValue: text.lowercased()), PostureCheck.systems.contains(family)
        else {
            throw ValidationError("must be one of \(PostureCheck.systems.map(\.rawValue).joined(separator: ", ")).")
        }
        return family
    }

    /// `SOURCE:ATTRIBUTE=VALUE`, or several values with `|` between them.
    static func requirement(_ text: String) throws -> PostureCheck.Requirement {
        guard let colon = text.firstIndex(of: ":"), let equals = text[colon...].firstIndex(of: "="), colon > text.startIndex
        else {
            throw ValidationError("'\(text.printable)' is not SOURCE:ATTRIBUTE=VALUE, such as s1:infected=no.")
        }
        let word = text[text.index(after: colon)..<equals].lowercased()
        guard let attribute = PostureAttribute.allCases.first(where: { $0.rawValue.lowercased() == word }) else {
            throw ValidationError(
                "'\(word.printable)' is no attribute. Permitted: "
                    + PostureAttribute.allCases.map(\.rawValue).joined(separator: ", ") + ".")
        }
        let values = try text[text.index(after: equals)...].split(separator: "|", omittingEmptySubsequences: false).map {
            guard let value = PassValue(String($0), for: attribute.kind) else {
                let hint = switch attribute.kind {
                case .flag: "yes or no"
                case .operatingSystem: "a family, words that the name begins with, or >= and a version"
                case .risk: "a number from 0 to 100, a level, or <= and one of them"
                }
                throw ValidationError("\(attribute.label) can never be '\($0.description.printable)', only \(hint).")
            }
            return value
        }
        return PostureCheck.Requirement(
            source: String(text[..<colon]), attribute: attribute, condition: values.count > 1 ? .isAnyOf : .isEqualTo,
            values: values)
    }

    /// `mon-fri,sun 08:00-18:00`; without days, every day.
    static func window(_ text: String, zone: String) throws -> TimeWindow {
        let words = text.split(separator: " ").map { $0.lowercased() }
        guard let hours = words.last, words.count <= 2 else {
            throw ValidationError("--time must be days and hours, such as 'mon-fri 08:00-18:00'.")
        }
        let days = words.count == 2 ? try days(words[0]) : Set(TimeWindow.Day.allCases)
        let parts = hours.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let from = minute(parts[0]), let to = minute(parts[1]) else {
            throw ValidationError("--time: '\(hours.printable)' is not hours such as 08:00-18:00.")
        }
        let window = TimeWindow(days: days, from: from, to: to, timeZone: zone)
        if let fault = window.fault { throw ValidationError("--time \(fault).") }
        return window
    }

    private static func days(_ text: String) throws -> Set<TimeWindow.Day> {
        var days: Set<TimeWindow.Day> = []
        // In the order of the week as people count it here, so that mon-sun is all of it.
        let week = Array(TimeWindow.Day.allCases.dropFirst()) + [.sunday]
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { end in
                week.firstIndex { $0.rawValue == end }
            }
            guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1] else {
                throw ValidationError("--time: '\(String(part).printable)' is no day or span of days, such as mon or mon-fri.")
            }
            for step in 0...((last - first + 7) % 7) { days.insert(week[(first + step) % 7]) }
        }
        return days
    }

    private static func minute(_ text: Substring) -> Int? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ $0.utf8.count == 2 }), let hours = Int(parts[0]),
            let minutes = Int(parts[1]), (0...59).contains(minutes), (0...24).contains(hours),
            hours < 24 || minutes == 0
        else { return nil }
        return hours * 60 + minutes
    }
}
