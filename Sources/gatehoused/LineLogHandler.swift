import Base
import Glibc
import Logging

/// Logs one line an event to standard error: with a time of its own on a terminal or in a file, with the
/// priority that journald reads (sd-daemon(3)) when the service manager collects the output.
struct LineLogHandler: LogHandler {
    var logLevel: Logger.Level = .info
    var metadata: Logger.Metadata = [:]
    private let isJournal: Bool

    init(isJournal: Bool) { self.isJournal = isJournal }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let fields = metadata.merging(event.metadata ?? [:]) { $1 }
            .sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
        let text = event.message.description.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: " ")
        let line: String
        if isJournal {
            line = "<\(Self.priority(event.level))>\(text)\(fields)\n"
        } else {
            var now = timespec()
            clock_gettime(CLOCK_REALTIME, &now)
            let time = WallTime(nanoseconds: Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec))
            line = "\(time.rfc3339) \(event.level.rawValue): \(text)\(fields)\n"
        }
        // One write a line keeps lines of several threads apart.
        var bytes = Array(line.utf8)
        _ = bytes.withUnsafeMutableBytes { write(2, $0.baseAddress, $0.count) }
    }

    private static func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .critical: 2
        case .error: 3
        case .warning: 4
        case .notice: 5
        case .info: 6
        case .debug, .trace: 7
        }
    }
}
