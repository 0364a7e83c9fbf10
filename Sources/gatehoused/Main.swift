import ArgumentParser
import Base
import Gateway
import Glibc
import Logging
import UnixSignals

/// The daemon: reads where things are, starts the gateway, and passes signals on to it.
@main struct Gatehoused: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gatehoused",
        abstract: "The Gatehouse gateway: brings IPsec tunnels online and keeps them there.",
        discussion: """
            Runs in the foreground until SIGTERM or SIGINT, which close every tunnel in an orderly way. SIGUSR2 ends it for \
            a restart: tunnels of the kernel data path go on, and the next process takes them over. SIGHUP takes the \
            boot file's log level and reads the pages' certificate and the stored connectors again; other changes of the \
            boot file need a restart. Options win over the boot file.
            """)

    @Option(help: "The boot file, YAML. Without it /etc/gatehouse/gatehoused.yaml is read if it is there.")
    var config: String?
    @Option(help: "Where the database and the machine key live (default /var/lib/gatehouse).")
    var stateDirectory: String?
    @Option(help: "Where the sockets are made (default /run/gatehouse).")
    var runtimeDirectory: String?
    @Option(help: "An address to receive IKE and ESP on; may be repeated (default: all).")
    var listen: [String] = []
    @Option(help: "What carries the packets: auto, userspace or kernel (default auto).")
    var dataPath: String?
    @Option(help: "debug, info, warning or error (default info).")
    var logLevel: String?
    @Option(help: "The group that may read the status socket.")
    var statusGroup: String?

    @Flag(help: "Turn the gate off for good before anything else: the way out where it cannot be put up.")
    var gateOff = false

    private static let defaultFile = "/etc/gatehouse/gatehoused.yaml"

    /// The boot file with the options of the command line over it.
    private func bootConfiguration() throws -> BootConfiguration {
        var boot = BootConfiguration()
        if let file = config ?? (access(Self.defaultFile, R_OK) == 0 ? Self.defaultFile : nil) {
            boot = try BootConfiguration(yaml: Self.contents(of: file), file: file)
        }
        if let stateDirectory { boot.stateDirectory = stateDirectory }
        if let runtimeDirectory { boot.runtimeDirectory = runtimeDirectory }
        if let statusGroup { boot.statusGroup = statusGroup }
        if !listen.isEmpty {
            boot.listen = try listen.map { text in
                guard let address = IPAddress(text) else {
                    throw ValidationError("--listen: '\(text)' is no IP address")
                }
                return address
            }
        }
        func choice<Choice: RawRepresentable<String> & CaseIterable>(_ text: String, _ option: String) throws -> Choice {
            guard let choice = Choice(rawValue: text) else {
                throw ValidationError(
                    "\(option): '\(text)' must be one of \(Choice.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            return choice
        }
        if let dataPath { boot.dataPath = try choice(dataPath, "--data-path") }
        if let logLevel { boot.logLevel = try choice(logLevel, "--log-level") }
        return boot
    }

    private static func contents(of file: String) throws -> String {
        guard let stream = fopen(file, "re") else {
            throw ValidationError("cannot read \(file): \(String(cString: strerror(errno)))")
        }
        defer { fclose(stream) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 65_536)
        while case let count = fread(&block, 1, block.count, stream), count > 0 {
            bytes += block[0..<count]
            guard bytes.count <= 1 << 20 else { throw ValidationError("\(file) is over 1 MiB: that is no boot file") }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    func run() async throws {
        let boot: BootConfiguration
        do {
            boot = try bootConfiguration()
        } catch let error as BootConfiguration.Invalid {
            throw ValidationError(error.description)
        }
        signal(SIGPIPE, SIG_IGN)
        let isJournal = getenv("JOURNAL_STREAM") != nil
        LoggingSystem.bootstrap { _ in LineLogHandler(isJournal: isJournal) }
        var logger = Logger(label: "gatehoused")
        logger.logLevel = boot.logLevel.loggerLevel

        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup, .sigusr2)
        do {
            let gateway = try await Gateway(boot: boot, logger: logger, turnsGateOff: gateOff)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await gateway.run() }
                group.addTask {
                    var isStopping = false
                    for await signal in signals {
                        if signal == .sighup {
                            await gateway.reload(Result { try bootConfiguration() })
                        } else if signal == .sigusr2 {
                            isStopping = true
                            gateway.handOver()
                        } else if isStopping, signal == .sigint {
                            // Ctrl-C while stopping ends the process at once, for a person who cannot wait.
                            _exit(1)
                        } else if !isStopping {
                            isStopping = true
                            gateway.stop()
                        }
                    }
                }
                try await group.next()
                group.cancelAll()
            }
        } catch {
            logger.critical("gatehoused cannot run: \(error)")
            throw ExitCode.failure
        }
    }
}
