internal import Synchronization

/// The present process of a daemon that is killed and started again.
final class ProcessBox: Sendable {
    private let child = Mutex<Child?>(nil)

    var current: Child? {
        get { child.withLock { $0 } }
        set { child.withLock { $0 = newValue } }
    }
}
