import ArgumentParser
import Base
import Cryptography
import Glibc
import Identity

/// What `gatehouse directory add` and `edit` take of any directory.
struct DirectoryOptions: ParsableArguments {
    @Option(help: ArgumentHelp("What the team of its users is called after: '<text> Users'.", valueName: "text"))
    var title: String?
    @Option(
        help: ArgumentHelp(
            "A group whose members may come, by name or ID; may be repeated. With edit the groups that are named take "
                + "the place of those before.", valueName: "group"))
    var group: [String] = []
    @Option(
        name: .customLong("site"),
        help: ArgumentHelp(
            "A connector that new users may reach, from their first synchronisation on; may be repeated; 'all' for what "
                + "the setting for everyone says.", valueName: "connector"))
    var sites: [String] = []
    @Option(help: ArgumentHelp("Seconds between synchronisations, 300 unless said.", valueName: "seconds"))
    var interval: Int?
    @Option(
        help: ArgumentHelp(
            "The share of its users, in per cent, beyond which a synchronisation asks before it disables them; 20 unless "
                + "said.", valueName: "per cent"))
    var removalLimit: Int?
    @Option(
        help: ArgumentHelp("The day on which the secret ends, such as 2027-05-31; '' for unknown.", valueName: "day"))
    var secretExpires: String?
    @Option(
        help: ArgumentHelp("Read the secret from a file; - is standard input.", valueName: "file"), completion: .file())
    var secretFile: String?
    @Option(help: ArgumentHelp("Read the secret from an environment variable.", valueName: "variable"))
    var secretEnv: String?
    @Flag(help: "Ask for the secret on the terminal, without echo.")
    var askSecret = false
    @Option(
        help: ArgumentHelp(
            "Where the API is, where it is not the vendor's own: a national cloud, a simulator.", valueName: "url"))
    var apiURL: String?
    @Option(help: ArgumentHelp("Where tokens come from, likewise.", valueName: "url"))
    var loginURL: String?

    func validate() throws {
        guard [secretFile != nil, secretEnv != nil, askSecret].count(where: { $0 }) <= 1 else {
            throw ValidationError("--secret-file, --secret-env and --ask-secret exclude each other.")
        }
    }

    /// Puts what was said into a definition.
    ///
    /// - Parameters:
    ///   - noun: what the secret is here, such as `API token`.
    ///   - asks: whether a secret that was not given is asked for.
    ///   - isFile: whether the secret is a whole file, lines and all.
    func apply(to directory: inout Directory, noun: String, asks: Bool, isFile: Bool = false) throws {
        if let title { directory.title = title }
        if !group.isEmpty {
            directory.groups = group.map { word in
                directory.groups.first { $0.id == word || $0.name == word } ?? Directory.ChosenGroup(id: "", name: word)
            }
        }
        if !sites.isEmpty { directory.sites = sites == ["all"] ? nil : sites }
        if let interval { directory.intervalSeconds = interval }
        if let removalLimit { directory.removalLimitPercent = removalLimit }
        if let apiURL { directory.apiURL = apiURL.isEmpty ? nil : apiURL }
        if let loginURL { directory.loginURL = loginURL.isEmpty ? nil : loginURL }
        if let secretExpires { directory.secretEndsAt = try OptionValue.day(secretExpires, "--secret-expires") }
        if let secret = try secret(noun, asks: asks, isFile: isFile) { directory.secret = secret }
    }

    private func secret(_ noun: String, asks: Bool, isFile: Bool) throws -> Secret? {
        if let secretFile {
            let bytes = try InputFile.read(secretFile)
            if isFile || bytes.starts(with: Array("-----BEGIN".utf8)) { return Secret(bytes) }
            return try KeyOptions.secret(bytes, from: "--secret-file \(secretFile)", noun)
        }
        if let secretEnv {
            guard let value = getenv(secretEnv) else {
                throw CommandFailure("--secret-env: there is no environment variable \(secretEnv)", isUsage: true)
            }
            let bytes = Array(String(cString: value).utf8)
            return isFile ? Secret(bytes) : try KeyOptions.secret(bytes, from: "--secret-env \(secretEnv)", noun)
        }
        guard asks || askSecret else { return nil }
        guard !isFile else {
            throw CommandFailure("give the \(noun) with --key-file", isUsage: true)
        }
        return try KeyOptions.secret(
            Terminal.askSecret(
                noun.prefix(1).uppercased() + noun.dropFirst() + ": ", noun: noun, ways: "--secret-file or --secret-env"),
            from: "the terminal", noun)
    }
}
