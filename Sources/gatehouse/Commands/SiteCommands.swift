import ArgumentParser
import Base
import Cryptography
import FoundationEssentials
import Host
import JSONText
import Portal
import Tunnels

/// `gatehouse export`.
struct ExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Writes all connectors and settings as YAML, for 'gatehouse apply'.",
        discussion: """
            Without options the keys are left out, and the file is the same as long as the site is: keep it in git. \
            With --seal they are in it under a passphrase, for another gateway.
            """)
    @Flag(help: "Write the pre-shared keys in clear; the audit trail notes it.")
    var showSecrets = false
    @Flag(help: "Write the pre-shared keys sealed with a passphrase; the audit trail notes that they were read.")
    var seal = false
    @Option(help: ArgumentHelp("A file whose first line is the passphrase.", valueName: "file"), completion: .file())
    var passphraseFile: String?
    @OptionGroup var shared: SharedOptions

    func validate() throws {
        if showSecrets, seal { throw ValidationError("--show-secrets and --seal exclude each other.") }
        if seal != (passphraseFile != nil) { throw ValidationError("--seal and --passphrase-file go together.") }
    }

    func run() async throws {
        var secrets = SiteFile.Secrets.hidden
        if showSecrets { secrets = .clear }
        if let passphraseFile {
            let salt = SystemRandom.bytes(SealingKey.saltLength)
            let key = try SealingKey(passphrase: Passphrase.read(passphraseFile), salt: salt)
            secrets = .sealed(key, salt: salt, random: SystemRandom.bytes)
        }
        let site = try await shared.client.site(isRevealing: showSecrets || seal).site
        Terminal.say(
            shared.json
                ? try SiteFile.json(site, secrets).text(isPretty: true) : try SiteFile.text(site, secrets))
    }
}

/// `gatehouse apply`.
struct ApplyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply", abstract: "Puts a site file in force: shows what it changes, asks, then all or nothing.",
        discussion: """
            Only tunnels that differ are touched. A connector that the file does not name is removed, unless \
            --keep-others is given. A key that says (hidden) stays as it is stored.
            """)
    @Argument(help: "The file; - reads standard input.", completion: .file(extensions: ["yaml", "yml", "json"]))
    var file: String
    @Flag(help: "Show what would change and change nothing.")
    var dryRun = false
    @OptionGroup var confirmation: Confirmation
    @Flag(help: "Leave connectors and settings that the file does not name.")
    var keepOthers = false
    @Option(help: ArgumentHelp("A file whose first line is the passphrase.", valueName: "file"), completion: .file())
    var passphraseFile: String?
    @OptionGroup var shared: SharedOptions

    func run() async throws {
        let order = try SiteFile.read(
            try InputFile.read(file), file: file == "-" ? "standard input" : file
        ) {
            guard let passphraseFile else {
                throw CommandFailure("\(file) has sealed keys: give --passphrase-file", isUsage: true)
            }
            return try Passphrase.read(passphraseFile)
        }
        let preview = try await send(order, [("dry-run", "1")])
        let isLast = dryRun || preview.difference.isEmpty
        if !shared.json { Terminal.say(siteDifference(preview.difference)) }
        if isLast {
            if shared.json { Terminal.say(try JSON(encoding: preview).text(isPretty: true)) }
            return
        }
        try confirmation.ask("Apply?", reason: "the file changes the site", canAsk: !shared.json && file != "-")
        let result = try await send(order, [("against", preview.version)])
        Terminal.say(shared.json ? try JSON(encoding: result).text(isPretty: true) : "Applied.")
    }

    private func send(_ order: SiteOrder, _ query: [(String, String)]) async throws -> SiteResult {
        try await shared.client.value(
            SiteResult.self, .control, ["v1", "site"], method: .post,
            query: query + (keepOthers ? [("keep-others", "1")] : []),
            body: Array(try JSON.line(order, revealsSecrets: true).utf8))
    }
}

/// What applying a site changes, one connector a block.
func siteDifference(_ difference: SiteDifference) -> String {
    var lines = difference.warnings.map { "warning: \($0)" }
    func block(_ sign: String, _ change: SiteDifference.Change, _ word: String) {
        lines.append("\(sign) \(change.connector.printable) \(word)")
        lines += change.changes.map { "      \($0.printable)" }
    }
    for change in difference.added { block("+", change, "is added") }
    for change in difference.changed { block("~", change, "changes") }
    for id in difference.removed { lines.append("- \(id.printable) is removed, with its keys") }
    if difference.isReordered { lines.append("~ the order of the connectors changes") }
    lines += difference.settings.map { "~ setting \($0.printable)" }
    if !difference.unchanged.isEmpty {
        lines.append("= \(Words.count(difference.unchanged.count, "connector")) unchanged")
    }
    if difference.isEmpty { lines.append("Nothing differs.") }
    return lines.joined(separator: "\n")
}

enum Passphrase {
    /// The first line of a file.
    static func read(_ path: String) throws -> Secret {
        let line = try InputFile.read(path).prefix { $0 != 10 && $0 != 13 }
        guard line.count >= 12 else {
            throw CommandFailure("the passphrase in \(path) is too short: it needs 12 characters at least")
        }
        return Secret(line)
    }
}

extension GatewayClient {
    /// The site as the daemon answers it; a hidden secret is read as an empty one.
    func site(isRevealing: Bool) async throws -> SiteSnapshot {
        try await connectors(SiteSnapshot.self, ["v1", "site"], query: isRevealing ? [("show-secrets", "1")] : [])
    }
}
