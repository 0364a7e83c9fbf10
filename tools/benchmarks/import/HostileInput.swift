internal import Tunnels

/// A file that somebody made to cost us time or memory.
struct HostileInput {
    var detail: String
    var bytes: [UInt8]

    init(_ detail: String, _ bytes: [UInt8]) {
        self.detail = detail
        self.bytes = bytes
    }

    init(_ detail: String, _ text: String, _ size: Int) {
        self.init(detail, Array(text.utf8.prefix(size)))
    }
}

/// What can be done to a good file of any format so that every part of its reader sees a great deal of it.
enum SampleHostility: String, CaseIterable {
    case again = "the file again and again"
    case others = "other connections after it"
    case repeated = "one line again and again"
    case counted = "one line again and again, its numbers counting"
    case long = "one line of great length"
    case wrapped = "as a JSON string"
    case reversed = "its lines from the last to the first"
    case utf16 = "as UTF-16"

    func inputs(of text: String, _ size: Int) -> AnySequence<HostileInput> {
        let text = text.split(separator: "\r\n", omittingEmptySubsequences: false).joined(separator: "\n")
        let lines = text.split(separator: "\n").map(String.init)
        switch self {
        case .again: return one(Self.filled(text + "\n", size))
        case .others:
            return one(text + "\n" + Self.counting(size - text.utf8.count) { Self.renumbered(text, $0) + "\n" })
        case .repeated:
            return each(Self.kinds(lines)) { line in
                HostileInput(line.shown, text + "\n" + Self.filled(line + "\n", size - text.utf8.count), size)
            }
        case .counted:
            return each(Self.kinds(lines).filter { $0.utf8.contains { (48...57).contains($0) } }) { line in
                HostileInput(
                    line.shown,
                    text + "\n" + Self.counting(size - text.utf8.count) { Self.renumbered(line, $0) + "\n" }, size)
            }
        case .long:
            return each(Self.kinds(lines)) { line in
                let index = lines.firstIndex(of: line) ?? 0
                let fillings = ["a", " a", "1.", ",1", "aes128-", "e\u{301}", "'\"", ": "]
                let filling = fillings[Int(line.utf8.reduce(0) { ($0 + UInt32($1)) % UInt32(fillings.count) })]
                let before = lines[..<index].joined(separator: "\n") + "\n" + line
                let after = "\n" + lines[(index + 1)...].joined(separator: "\n")
                let room = size - before.utf8.count - after.utf8.count
                return HostileInput("\(line.shown) and '\(filling)'", before + Self.filled(filling, room) + after, size)
            }
        case .wrapped:
            let body = Self.filled(text + "\n", size - 200 - size / 12)
            var escaped = ""
            for scalar in body.unicodeScalars {
                switch scalar {
                case "\n": escaped += "\\n"
                case "\t": escaped += "\\t"
                case "\"": escaped += "\\\""
                case "\\": escaped += "\\\\"
                default: escaped.unicodeScalars.append(scalar)
                }
            }
            let head = "{\"VpnConnectionDeviceSampleConfiguration\": \""
            return AnySequence([HostileInput("", Array((head + escaped).utf8.prefix(size - 2)) + Array("\"}".utf8))])
        case .reversed: return one(Self.filled(lines.reversed().joined(separator: "\n") + "\n", size))
        case .utf16:
            let half = Self.filled(text + "\n", size / 2 - 1)
            return AnySequence([
                HostileInput("", [0xFF, 0xFE] + half.utf16.flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] })
            ])
        }

        func one(_ text: String) -> AnySequence<HostileInput> { AnySequence([HostileInput("", text, size)]) }
        func each(_ lines: [String], _ input: @escaping (String) -> HostileInput) -> AnySequence<HostileInput> {
            AnySequence(lines.lazy.map(input))
        }
    }

    /// One line of every kind: those that differ in their numbers only, or far to the right, are one.
    private static func kinds(_ lines: [String]) -> [String] {
        var seen: Set<String> = []
        return lines.filter { line in
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).prefix(3).joined(separator: " ")
            let isProse = words.hasPrefix("! ") || words.hasPrefix("# ")
            let key = isProse ? String(words.prefix(5)) : String(words.map { $0.isNumber ? "0" : $0 })
            return seen.insert(key).inserted
        }
    }

    static func filled(_ part: String, _ size: Int) -> String {
        let count = max(1, part.utf8.count)
        return String(repeating: part, count: max(0, size) / count)
    }

    private static func counting(_ size: Int, _ part: (Int) -> String) -> String {
        var text = ""
        var number = 1
        while text.utf8.count < size {
            text += part(number)
            number += 1
        }
        return text
    }

    /// Every run of up to five digits made another number, the same one for the same `round`.
    private static func renumbered(_ text: String, _ round: Int) -> String {
        var result: [UInt8] = []
        var digits = 0
        for byte in text.utf8 {
            guard (48...57).contains(byte) else {
                digits = 0
                result.append(byte)
                continue
            }
            digits += 1
            let spread = round / [1, 1, 10, 100, 1000, 10_000][min(digits, 5)]
            result.append(48 + UInt8((Int(byte) - 48 + spread) % 10))
        }
        return String(decoding: result, as: UTF8.self)
    }
}

/// Inputs that are of no vendor's format, or of the shape alone.
enum ShapeHostility: String, CaseIterable {
    case blank = "nothing but line ends"
    case bytes = "one byte, as often as fits"
    case numbered = "line numbers"
    case quoted = "quotations of quotations"
    case prompts = "prompts"
    case colours = "terminal colours"
    case entities = "entities of a web page"
    case marks = "combining marks"
    case deepJSON = "deep JSON"
    case wideJSON = "wide JSON"
    case connections = "many connections in JSON"
    case terraform = "Terraform's state"
    case deepXML = "deep XML"
    case wideXML = "wide XML"
    case documents = "many XML documents in other text"

    func inputs(_ size: Int) -> [HostileInput] {
        func one(_ part: String, _ detail: String = "") -> HostileInput {
            HostileInput(detail, SampleHostility.filled(part, size), size)
        }
        func lines(_ line: (Int) -> String) -> String {
            var text = ""
            var number = 1
            while text.utf8.count < size {
                text += line(number) + "\n"
                number += 1
            }
            return text
        }
        let generic = "- Pre-Shared Key : abcdefghijklmnop"
        switch self {
        case .blank: return [one("\n"), one("\r\n"), one("a\n", "and a letter"), one("a\nb\nc\nd\n\n\n", "and letters")]
        case .bytes:
            return [" ", "a", "0", ":", "-", "\"", "'", "\\", "<", "{", "[", "&", "#", "!", "=", "`", "\u{1B}", "…"].map {
                one($0, $0)
            }
        case .numbered:
            return [
                HostileInput("", lines { "\($0): \(generic)" }, size),
                HostileInput("within numbers", lines { "\($0) \($0) \($0) \($0)" }, size),
            ]
        case .quoted: return [one("> > > > > > > > > > > > \(generic)\n"), one(">|+>|+>|+ a\n"), one("| a | b |\n")]
        case .prompts: return [one("Router(config)# \(generic)\n"), one("a@b:~$ a@b:~$ a@b:~$ x\n")]
        case .colours: return [one("\u{1B}[1;32m\(generic)\u{1B}[0m\n"), one("\u{1B}[", "unended")]
        case .entities:
            return [one("&quot;\(generic)&amp;&lt;\n"), one("&quot;&amp;", "in one line"), one("&amp", "unended")]
        case .marks:
            return [
                one("e\u{301}", "in one line"), HostileInput("in one character", "a" + SampleHostility.filled("\u{301}", size - 1), size),
                one("IPSec Tunnel #1 \u{301}\n"), one("crypto e\u{301}\n"), one("“\(generic)”\n", "and quotation marks"),
            ]
        case .deepJSON:
            return [
                one("[", "arrays"), one("{\"a\":", "objects"),
                HostileInput("ended", String(repeating: "[", count: size / 2) + String(repeating: "]", count: size / 2), size),
            ]
        case .wideJSON:
            return [
                HostileInput("numbers", "[" + SampleHostility.filled("0,", size - 3) + "0]", size),
                HostileInput("strings", "[" + SampleHostility.filled("\"\",", size - 4) + "\"\"]", size),
                HostileInput("empty objects", "[" + SampleHostility.filled("{},", size - 4) + "{}]", size),
                HostileInput("members", "{" + lines { "\"k\($0)\":0," } + "\"z\":0}", size),
                HostileInput("equal members", "{" + SampleHostility.filled("\"a\":0,", size - 8) + "\"a\":0}", size),
                HostileInput("escapes", "{\"a\":\"" + SampleHostility.filled("\\u0061", size - 8) + "\"}", size),
                HostileInput("digits", "{\"a\":" + SampleHostility.filled("9", size - 8) + "}", size),
            ]
        case .connections:
            func list(_ item: (Int) -> String) -> HostileInput {
                var text = "{\"VpnConnections\":[" + item(0)
                var number = 1
                while text.utf8.count < size - 600 {
                    text += "," + item(number)
                    number += 1
                }
                return HostileInput("", text + "]}", size)
            }
            return [
                list { "{\"VpnConnectionId\":\"vpn-\(10_000_000 + $0)\",\"State\":\"deleted\"}" },
                list { "{\"VpnConnectionId\":\"vpn-\(10_000_000 + $0)\",\"State\":\"available\"}" },
                list { _ in "{\"VpnConnectionId\":\"vpn-10000000\"}" },
                list { "{\"VpnConnectionId\":\"vpn-\($0 == 0 ? 1 : 2)\",\"State\":\"\($0 == 0 ? "available" : "deleted")\"}" },
                list { number in
                    number > 0
                        ? "{\"Destination\":1}"
                        : "{\"VpnConnectionId\":\"vpn-1\",\"Options\":{\"TunnelOptions\":["
                            + SampleHostility.filled("{\"OutsideIpAddress\":\"203.0.113.1\"},", size / 2) + "{}]}}"
                },
                list { number in
                    number > 0
                        ? "{\"Destination\":1}"
                        : "{\"VpnConnectionId\":\"vpn-1\",\"Routes\":["
                            + (0..<20_000).map { "{\"DestinationCidrBlock\":\"10.\($0 / 250).\($0 % 250).0/24\"}" }
                            .joined(separator: ",") + "]}"
                },
            ]
        case .terraform:
            return [
                HostileInput(
                    "", "{\"resources\":["
                        + SampleHostility.filled(
                            "{\"type\":\"aws_vpn_connection\",\"instances\":[{\"attributes\":{\"id\":\"vpn-1\"}}]},", size - 60)
                        + "{}]}", size),
                HostileInput(
                    "outputs", "{" + lines { "\"o\($0)\":{\"value\":\"a\",\"type\":\"string\"}," } + "\"z\":{}}", size),
            ]
        case .deepXML: return [one("<vpn_connection id=\"a\">"), one("<a>", "of other elements")]
        case .wideXML:
            let tunnel = "<ipsec_tunnel><ike><pre_shared_key>abcdefghijkl</pre_shared_key></ike></ipsec_tunnel>"
            func inside(_ part: String) -> String {
                "<vpn_connection id=\"vpn-1\">" + SampleHostility.filled(part, size - 60) + "</vpn_connection>"
            }
            return [
                HostileInput("tunnels", inside(tunnel), size), HostileInput("empty elements", inside("<a/>"), size),
                HostileInput("text", inside("a"), size), HostileInput("entities", inside("&amp;"), size),
                HostileInput("sections", inside("<![CDATA[a]]>"), size), HostileInput("comments", inside("<!---->"), size),
                HostileInput(
                    "attributes", "<vpn_connection " + lines { "a\($0)=\"\"" } + "/>", size),
            ]
        case .documents:
            return [
                one("text <vpn_connection id=\"vpn-1\"></vpn_connection>\n"), one("text <vpn_connection \n", "unended"),
                one("text \"TunnelOptions\" {\n", "of JSON"), one("} \"TunnelOptions\"\n", "of JSON, closed"),
            ]
        }
    }
}

extension String {
    /// The beginning, to name a case. Keys of the samples may be in a line: letters and digits in a row are cut.
    fileprivate var shown: String {
        let words = split(whereSeparator: { $0 == " " || $0 == "\t" }).prefix(4)
        return words.map { $0.utf8.count > 20 ? $0.prefix(6) + "…" : $0 }.joined(separator: " ")
    }
}
