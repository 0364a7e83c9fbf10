import Base
import FoundationEssentials
import Tunnels

/// The files under `Samples`, by their path there.
enum Sample {
    static let folder = #filePath.split(separator: "/").dropLast().reduce(into: "") { $0 += "/" + $1 } + "/Samples/"

    /// What we make of them, beside that folder.
    static let plans = "../Plans/"

    static func bytes(_ path: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(filePath: folder + path)))
    }

    static func text(_ path: String) throws -> String { String(decoding: try bytes(path), as: UTF8.self) }

    static let importable =
        [
            "xml/vgw-bgp.xml", "xml/tgw-ipv6-inside-DERIVED.xml", "json/describe-vpn-connections-static.json",
            "json/describe-vpn-connections-tgw-tunneloptions-DERIVED.json", "generic/ikev1-static.txt",
            "generic/ikev1-bgp.txt", "strongswan/ikev1.txt",
        ] + devices

    /// The text downloads for devices that have a reader.
    static let devices = [
        "openswan/ikev1-static.txt", "vyatta-vyos/ikev1-bgp.txt", "cisco-ios/ikev1-bgp.txt",
        "cisco-asa/ikev1-vti-bgp.txt", "juniper-junos-srx/ikev1-bgp.txt", "juniper-screenos/ikev1-bgp.txt",
        "fortinet/ikev1-bgp-cli.txt", "sonicwall/ikev1-static.txt", "yamaha/ikev1-bgp.txt",
        "windows-server/ikev1-static.txt",
    ]

    /// Published examples that cannot be imported.
    static let faulty = [
        "palo-alto/ikev1-bgp.txt", "pfsense/ikev1-static-PLACEHOLDERS.txt",
        "cisco-asa/ikev1-policy-based-static-PLACEHOLDERS.txt",
    ]

    static let moto = [
        "moto/moto-5.2.1-CustomerGatewayConfiguration.xml", "moto/moto-5.2.1-describe-vpn-connections.json",
    ]

    /// Every pre-shared key of the samples.
    static let keys = [
        "XsuwZEs4l4dxU9zQvDzFOj7OMTM7cs8t", "LXBjw.yQl0_NmaY3szM4iLNL1F1Nrwfl", "9HiFKtafbbWAFKysLIcMi6evsMHepKfI",
        "nha_tf9ERZRCMvOFJuWLgVIvjfBStO4o", "9rhAGNjFm9qyDfP6dClVG35PUxvSJcpX", "7RjxLBD7a.fbGdNbIN1A09MVrpNg08xE",
        "ejHOoSw1.3p5J8WXKa_Rp5nVDaBzqaBa", "amfUihFujZmWA9vfbxJXSUzkShZGhhUs", "9FiR48quCGhpnUhYO0P9uBC_RkslI1.c",
        "Iw2IAN9XUsQeYUrkMGP3kP59ugFDkfHg", "Njw7xl7draTUI89BiF6iFA3FEx5ujW1u", "1itg27qOsS6039u0crZlpaIWqbm8eTYG",
        "xCjNLsLoCmKsakwcdoR9yX6GsEXAMPLE", "yDkOMtMpDnLtblxdepS0zY7HtEXAMPLE",
    ]

    /// Eight characters in a row of any key: none may stand in a message.
    static let keyParts: Set<String> = Set(
        keys.flatMap { key in
            let letters = Array(key)
            return (0...letters.count - 8).map { String(letters[$0..<$0 + 8]) }
        })

    static func holdsKey(_ message: String) -> Bool {
        let letters = Array(message)
        guard letters.count >= 8 else { return false }
        return (0...letters.count - 8).contains { keyParts.contains(String(letters[$0..<$0 + 8])) }
    }
}

/// A plan or the refusal, for tests that look at either.
enum Outcome {
    case plan(ImportPlan)
    case refusal(ImportError)

    init(_ bytes: [UInt8], _ options: ImportOptions = ImportOptions()) {
        do throws(ImportError) {
            self = .plan(try AWSImport.read(bytes, options: options))
        } catch {
            self = .refusal(error)
        }
    }

    init(_ text: String, _ options: ImportOptions = ImportOptions()) { self.init(Array(text.utf8), options) }

    var plan: ImportPlan? {
        if case .plan(let plan) = self { return plan }
        return nil
    }

    var error: ImportError? {
        if case .refusal(let error) = self { return error }
        return nil
    }

    /// All that a person could see of it, keys hidden.
    var visible: String {
        switch self {
        case .plan(let plan): plan.json() + plan.table()
        case .refusal(let error): error.description
        }
    }
}

/// Numbers for mutations: SplitMix64, so that a failure can be repeated.
struct SeededNumbers: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}

extension String {
    func replacingCharacters(in range: Range<Index>, with text: String) -> String {
        self[..<range.lowerBound] + text + self[range.upperBound...]
    }
}
