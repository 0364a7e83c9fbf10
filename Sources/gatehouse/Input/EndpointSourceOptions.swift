import ArgumentParser
import Base
import Cryptography
import Glibc
import Vendors

/// What `gatehouse epp add` and `edit` take of a connection.
struct EndpointSourceOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The management URL, as the vendor's console shows it.", valueName: "url"))
    var url: String?
    @Option(help: ArgumentHelp("Heimdal: the customer ID.", valueName: "number"))
    var customer: String?
    @Option(help: ArgumentHelp("Defender: the directory (tenant) ID.", valueName: "guid"))
    var tenant: String?
    @Option(
        name: .customLong("client-id"),
        help: ArgumentHelp("Defender: the application (client) ID.", valueName: "guid"))
    var clientID: String?
    @Option(
        name: .customLong("token-url"),
        help: ArgumentHelp("Defender: where tokens are asked for, when it is not Microsoft's public cloud.", valueName: "url"))
    var tokenURL: String?
    @Option(
        name: .customLong("set"),
        help: ArgumentHelp(
            "Another value that the profile asks for, or an option of its rules, such as minimum-version=4.6.2; may be "
                + "repeated.", valueName: "name=value"))
    var values: [String] = []
    @Option(
        help: ArgumentHelp("Read the key, token or client secret from a file; - is standard input.", valueName: "file"),
        completion: .file())
    var keyFile: String?
    @Option(help: ArgumentHelp("Read it from an environment variable.", valueName: "variable"))
    var keyEnv: String?
    @Flag(help: "Ask for it on the terminal, without echo.")
    var askKey = false
    @Option(
        help: ArgumentHelp("The day on which the key ends, such as 2026-12-29; none takes it back.", valueName: "day"))
    var keyEnds: String?
    @Option(
        help: ArgumentHelp("custom: a file with the profile of the platform.", valueName: "file"), completion: .file())
    var profile: String?
    @Flag(inversion: .prefixedNo, help: "Whether the URL may lead to a host that is not the vendor's, and to private addresses.")
    var anyHost: Bool?
    @Flag(inversion: .prefixedNo, help: "Whether attributes that can only be inferred are taken, too.")
    var infer: Bool?
    @Option(
        help: ArgumentHelp("Seconds between two looks at what has changed; default as the vendor's.", valueName: "seconds"))
    var refresh: Int?
    @Option(
        help: ArgumentHelp("Seconds that an answer holds while no further one comes (3600).", valueName: "seconds"))
    var stale: Int?
    @Option(
        help: ArgumentHelp(
            "A record older than so many seconds is looked up anew when its device signs in (60).", valueName: "seconds"))
    var lookUpAge: Int?

    func validate() throws {
        guard [keyFile != nil, keyEnv != nil, askKey].count(where: { $0 }) <= 1 else {
            throw ValidationError("--key-file, --key-env and --ask-key exclude each other.")
        }
    }

    /// Puts what was said into a connection.
    ///
    /// - Parameter asks: whether a key that was not given is asked for.
    func apply(to connection: inout EndpointConnection, asks: Bool) throws {
        if let url { connection.url = url.isEmpty ? nil : url }
        for (name, value) in [
            ("customer", customer), ("tenant", tenant), ("client-id", clientID), ("token-url", tokenURL),
        ] {
            if let value { connection.values[name] = value.isEmpty ? nil : value }
        }
        for pair in values {
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard halves.count == 2, !halves[0].isEmpty else {
                throw CommandFailure("--set '\(pair)': say name=value", isUsage: true)
            }
            connection.values[String(halves[0])] = halves[1].isEmpty ? nil : String(halves[1])
        }
        if let profile {
            guard let text = String(validating: try InputFile.read(profile), as: UTF8.self) else {
                throw CommandFailure("--profile \(profile): the file is not UTF-8 text")
            }
            connection.profileText = text
        }
        if let keyEnds { connection.keyEndsAt = keyEnds == "none" ? nil : try Self.day(keyEnds) }
        if let anyHost { connection.allowsAnyHost = anyHost }
        if let infer { connection.infers = infer }
        if let refresh { connection.refreshSeconds = refresh == 0 ? nil : refresh }
        if let stale { connection.staleSeconds = stale }
        if let lookUpAge { connection.lookUpSeconds = lookUpAge }
        let label = (try? connection.profile())?.keyLabel ?? "API key"
        if let key = try key(label, asks: asks) { connection.key = key }
    }

    /// A day, or a moment.
    private static func day(_ text: String) throws -> WallTime {
        try OptionValue.moment(text.utf8.count == 10 && text.contains("-") ? text + "T00:00:00Z" : text)
    }

    private func key(_ label: String, asks: Bool) throws -> Secret? {
        if let keyFile { return try KeyOptions.secret(InputFile.read(keyFile), from: "--key-file \(keyFile)", label) }
        if let keyEnv {
            guard let value = getenv(keyEnv) else {
                throw CommandFailure("--key-env: there is no environment variable \(keyEnv)", isUsage: true)
            }
            return try KeyOptions.secret(Array(String(cString: value).utf8), from: "--key-env \(keyEnv)", label)
        }
        guard asks || askKey else { return nil }
        let title = label.prefix(1).uppercased() + label.dropFirst()
        return try KeyOptions.secret(
            Terminal.askSecret("\(title): ", noun: label, ways: "--key-file or --key-env"), from: "the terminal", label)
    }
}
