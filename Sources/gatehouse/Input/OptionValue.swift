import Access
import ArgumentParser
import Base
import Cryptography
import IKE
import Tunnels

/// The values of options, read from their text. A text that is no such value is refused with what is permitted;
/// the option's name stands before that in the message.
enum OptionValue {
    /// A day such as `2027-05-31`, at its beginning in UTC; nothing for none.
    static func day(_ text: String, _ option: String) throws -> WallTime? {
        if text.isEmpty { return nil }
        guard text.utf8.count == 10, let time = WallTime(rfc3339: text + "T00:00:00Z") else {
            throw CommandFailure("\(option): '\(text)' is no day such as 2027-05-31", isUsage: true)
        }
        return time
    }

    /// Ciphers by name, with commas between them.
    static func encryption(_ text: String) throws -> [EncryptionAlgorithm] {
        try list(text, "cipher", EncryptionAlgorithm.allCases.map { ([$0.rawValue], $0) })
    }

    /// Hashes by name, with commas between them; `none` beside ciphers that carry their own integrity.
    static func integrity(_ text: String) throws -> [IntegrityAlgorithm] {
        if text == "none" { return [] }
        return try list(text, "hash", IntegrityAlgorithm.allCases.map { ([$0.rawValue], $0) }, others: ["none"])
    }

    /// Diffie-Hellman groups by number or name, with commas between them.
    static func groups(_ text: String) throws -> [DHGroup] {
        try list(text, "group", DHGroup.allCases.map { (["\($0.rawValue)", $0.name], $0) })
    }

    /// As ``groups(_:)``, or `none`.
    static func pfs(_ text: String) throws -> [DHGroup] {
        if text == "none" { return [] }
        return try list(
            text, "group", DHGroup.allCases.map { (["\($0.rawValue)", $0.name], $0) }, others: ["none"])
    }

    private static func list<Value: Hashable>(
        _ text: String, _ noun: String, _ choices: [(words: [String], value: Value)], others: [String] = []
    ) throws -> [Value] {
        var values: [Value] = []
        for word in text.split(separator: ",", omittingEmptySubsequences: false) {
            let word = word.filter { $0 != " " }.lowercased()
            guard let choice = choices.first(where: { $0.words.contains(word) }) else {
                let all = choices.map { $0.words.count == 1 ? $0.words[0] : "\($0.words[0]) (\($0.words[1]))" }
                throw ValidationError(
                    "'\(word.printable)' is no \(noun) that Gatehouse has. Permitted, with commas between several: "
                        + (all + others).joined(separator: ", ") + ".")
            }
            guard !values.contains(choice.value) else { throw ValidationError("'\(word)' is there twice.") }
            values.append(choice.value)
        }
        return values
    }

    /// A moment: RFC 3339, or whole seconds since 1970.
    static func moment(_ text: String) throws -> WallTime {
        if let seconds = Int64(text), 0...9_000_000_000 ~= seconds {
            return WallTime(nanoseconds: seconds * 1_000_000_000)
        }
        guard let time = WallTime(rfc3339: text) else {
            throw ValidationError("must be a time such as 2026-11-23T23:20:00Z or 1795476000, in seconds since 1970.")
        }
        return time
    }

    /// One of the words of a choice.
    static func word<Choice: RawRepresentable<String> & CaseIterable>(_ text: String) throws -> Choice {
        guard let choice = Choice(rawValue: text) else {
            throw ValidationError("must be one of \(Choice.allCases.map(\.rawValue).joined(separator: ", ")).")
        }
        return choice
    }

    /// Seconds: `3600`, `3600s`, `60m`, `8h` or `1d`, from `minimum` up to so many days.
    static func seconds(from minimum: Int, days: Int = 7) -> @Sendable (String) throws -> Int {
        { text in
            let units: [Character: Int] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
            let unit = text.last.flatMap { units[$0] }
            let digits = unit == nil ? text : String(text.dropLast())
            let (seconds, isTooMuch) = (Int(digits) ?? -1).multipliedReportingOverflow(by: unit ?? 1)
            guard !isTooMuch, minimum...days * 86_400 ~= seconds, digits.utf8.allSatisfy({ 0x30...0x39 ~= $0 }) else {
                throw ValidationError("must be a time from \(minimum) seconds to \(days) days, such as 3600, 60m, 8h or 1d.")
            }
            return seconds
        }
    }

    /// The least that a child SA may carry: with less it would be rekeyed all the time.
    static let fewestBytes: UInt64 = 1_000_000
    static let fewestPackets: UInt64 = 1_000

    /// A count: `1000000`, `500M`, `50G`; k, M, G and T are powers of a thousand.
    static func amount(_ text: String) -> UInt64? {
        let units: [Character: UInt64] = [
            "k": 1_000, "M": 1_000_000, "G": 1_000_000_000, "T": 1_000_000_000_000,
        ]
        let unit = text.last.flatMap { units[$0] }
        let digits = unit == nil ? text : String(text.dropLast())
        guard digits.utf8.allSatisfy({ 0x30...0x39 ~= $0 }), let number = UInt64(digits) else { return nil }
        let (amount, isTooMuch) = number.multipliedReportingOverflow(by: unit ?? 1)
        return isTooMuch ? nil : amount
    }

    /// A limit of a child SA, or none.
    static func limit(from minimum: UInt64) -> @Sendable (String) throws -> BlankOr<UInt64> {
        { text in
            if text == "none" { return .blank }
            guard let amount = amount(text), amount >= minimum else {
                throw ValidationError("must be \(minimum) or more, such as 500M or 50G, or none.")
            }
            return .value(amount)
        }
    }

    static func replayWindow(_ text: String) throws -> Int {
        guard let count = Int(text), 32...2048 ~= count else {
            throw ValidationError("must be from 32 to 2048 packets.")
        }
        return count
    }

    /// How long a session may be, as the daemon has it: from a minute to 31 days.
    static func sessionTime(_ text: String) throws -> Int { try seconds(from: 60, days: 31)(text) }

    /// The same, or `off`, which is zero.
    static func idleLimit(_ text: String) throws -> Int { text == "off" ? 0 : try sessionTime(text) }

    /// One network, or an address alone.
    static func network(_ text: String) throws -> IPPrefix {
        guard let network = try networks(text).first, !text.contains(",") else {
            throw ValidationError("'\(text.printable)' is no network such as 10.0.0.0/16.")
        }
        return network
    }

    /// Connectors by ID, with commas between them.
    static func sites(_ text: String) throws -> SiteChoice {
        guard let sites = SiteChoice(text) else {
            throw ValidationError("must be all, none, or IDs of connectors with commas between them.")
        }
        return sites
    }

    static func inbound(_ text: String) throws -> GatePlan.Inbound {
        guard let value = GatePlan.Inbound(rawValue: text) else {
            throw ValidationError("must be replies (answers only) or all (new connections too).")
        }
        return value
    }

    static func yesOrNo(_ text: String) throws -> Bool {
        guard let value = ["yes": true, "no": false][text] else { throw ValidationError("must be yes or no.") }
        return value
    }

    static func initiation(_ text: String) throws -> Connector.Initiation {
        guard let value = Connector.Initiation(rawValue: text) else {
            throw ValidationError("must be initiate (we bring the tunnel up) or respond (we wait for the peer).")
        }
        return value
    }

    static func dpdAction(_ text: String) throws -> Phase1.DPD.Action {
        guard let value = Phase1.DPD.Action(rawValue: text) else {
            throw ValidationError("must be restart, clear or none.")
        }
        return value
    }

    /// The type of a tunnel, as the field of a VPN form has it.
    static func type(_ text: String) throws -> Int {
        guard text.lowercased() == "ikev2" else { throw ValidationError("must be ikev2: Gatehouse speaks no other.") }
        return 2
    }

    static func address(_ text: String) throws -> IPAddress {
        guard let address = IPAddress(text) else {
            throw ValidationError("must be an IP address, such as 203.0.113.1; names are not looked up.")
        }
        return address
    }

    /// An identity; a blank one is the address.
    static func identity(_ text: String) throws -> BlankOr<IKEIdentity> {
        if text.isEmpty { return .blank }
        guard let identity = IKEIdentity(text) else {
            throw ValidationError(
                "must be an address, a name such as vpn.example.org, user@example.org, keyid:hexadecimal, or '' for "
                    + "the address.")
        }
        return .value(identity)
    }

    /// Networks with commas between them; an address alone is a network of one.
    static func networks(_ text: String) throws -> [IPPrefix] {
        try text.split(separator: ",").map { word in
            let word = word.filter { $0 != " " }
            if let address = IPAddress(word) { return IPPrefix(host: address) }
            guard let prefix = IPPrefix(word) else {
                throw ValidationError("'\(word.printable)' is no network such as 10.0.0.0/16.")
            }
            guard prefix.network == prefix else {
                throw ValidationError("'\(word)' has bits behind its length: \(prefix.network) is meant?")
            }
            return prefix
        }
    }
}

/// An option that can be given blank, which is something else than not given.
enum BlankOr<Value: Hashable & Sendable>: Hashable, Sendable {
    case blank
    case value(Value)

    var value: Value? { if case .value(let value) = self { value } else { nil } }
}
