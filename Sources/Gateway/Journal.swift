import Logging
import Synchronization

/// The daemon's log, whose level a reload may change.
final class Journal: Sendable {
    private let state: Mutex<Logger>

    init(_ logger: Logger) { state = Mutex(logger) }

    /// The logger at the present level; cheap to take, so take it anew each time.
    var logger: Logger { state.withLock { $0 } }

    func setLevel(_ level: Logger.Level) { state.withLock { $0.logLevel = level } }
}
