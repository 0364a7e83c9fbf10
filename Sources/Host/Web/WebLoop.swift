import CCurl
import CLinux
import Glibc
import HTTP
import Synchronization

/// The thread that libcurl's transfers run on: all of them together, over connections that are kept.
final class WebLoop: Sendable {
    private enum Command: Sendable {
        case begin(WebTransfer)
        case cancel(UInt64)
    }

    private struct Queue {
        var commands: [Command] = []
        var next: UInt64 = 0
        var isClosed = false
        var thread: pthread_t?
    }

    // Proof of Sendable: used on the loop's thread alone, but for `curl_multi_wakeup`, which any thread may call while
    // the handle lives; it lives until the thread has ended and `stop` or `deinit` cleans up.
    private nonisolated(unsafe) let multi: UnsafeMutableRawPointer
    private let queue = Mutex(Queue())
    private let settings: OutgoingSettings

    /// Initialises libcurl, once for the process.
    private static let isReady: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    init(_ settings: OutgoingSettings) throws(HostFailure) {
        self.settings = settings
        guard Self.isReady, let multi = curl_multi_init() else { throw HostFailure("starting libcurl", code: ENOMEM) }
        self.multi = multi
        _ = gh_curl_set_multi_number(multi, CURLMOPT_MAX_HOST_CONNECTIONS, 4)
        _ = gh_curl_set_multi_number(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, 32)
        _ = gh_curl_set_multi_number(multi, CURLMOPT_MAXCONNECTS, 16)

        let thread = try HostThread.start("the thread for outgoing calls") { self.run() }
        queue.withLock { $0.thread = thread }
    }

    /// The thread holds the loop while it runs: nothing is under way any more.
    deinit { curl_multi_cleanup(multi) }

    /// Makes a call; ends early, as cancelled, with the task.
    func call(_ request: HTTPRequest) async -> Result<HTTPResponse, HTTPFailure> {
        let number = queue.withLock { queue in
            queue.next += 1
            return queue.next
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let transfer = WebTransfer(number: number, request: request, settings: settings) {
                    continuation.resume(returning: $0)
                }
                if !give(.begin(transfer)) { transfer.finish(.failure(transfer.failure(.cancelled))) }
                // Cancelled before it had begun: the handler below found nothing to cancel.
                if Task.isCancelled { _ = give(.cancel(number)) }
            }
        } onCancel: {
            _ = give(.cancel(number))
        }
    }

    /// Ends all calls, as cancelled, and the thread; returns when it has ended.
    func stop() {
        let thread: pthread_t? = queue.withLock { queue in
            queue.isClosed = true
            return queue.thread.take()
        }
        guard let thread else { return }
        curl_multi_wakeup(multi)
        pthread_join(thread, nil)
    }

    private func give(_ command: Command) -> Bool {
        let isTaken = queue.withLock { queue in
            guard !queue.isClosed else { return false }
            queue.commands.append(command)
            return true
        }
        if isTaken { curl_multi_wakeup(multi) }
        return isTaken
    }

    // MARK: - On the thread

    private func run() {
        clinux_name_thread("web")
        var transfers: [UInt64: WebTransfer] = [:]
        while true {
            let (commands, isClosed) = queue.withLock { queue in
                defer { queue.commands = [] }
                return (queue.commands, queue.isClosed)
            }
            for command in commands {
                switch command {
                case .begin(let transfer): begin(transfer, &transfers)
                case .cancel(let number): end(number, &transfers) { .failure($0.failure(.cancelled)) }
                }
            }
            if isClosed {
                for number in transfers.keys { end(number, &transfers) { .failure($0.failure(.cancelled)) } }
                return
            }
            var running: Int32 = 0
            curl_multi_perform(multi, &running)
            collect(&transfers)
            // Woken by sockets, libcurl's own timers and commands.
            curl_multi_poll(multi, nil, 0, 60_000, nil)
        }
    }

    private func begin(_ transfer: WebTransfer, _ transfers: inout [UInt64: WebTransfer]) {
        guard let easy = transfer.prepare(), curl_multi_add_handle(multi, easy) == CURLM_OK else {
            transfer.finish(.failure(transfer.failure(.connection("libcurl on this host is too old or out of memory"))))
            return
        }
        transfers[transfer.number] = transfer
    }

    private func collect(_ transfers: inout [UInt64: WebTransfer]) {
        var left: Int32 = 0
        while let message = curl_multi_info_read(multi, &left) {
            var code = CURLE_OK
            guard let easy = gh_curl_done(message, &code), let context = gh_curl_private(easy) else { continue }
            let transfer = Unmanaged<WebTransfer>.fromOpaque(context).takeUnretainedValue()
            let result = code
            end(transfer.number, &transfers) { $0.result(result) }
        }
    }

    private func end(
        _ number: UInt64, _ transfers: inout [UInt64: WebTransfer],
        _ result: (WebTransfer) -> Result<HTTPResponse, HTTPFailure>
    ) {
        guard let transfer = transfers.removeValue(forKey: number), let easy = transfer.handle else { return }
        let outcome = result(transfer)
        curl_multi_remove_handle(multi, easy)
        transfer.finish(outcome)
    }
}
