import Base
import Host
import Portal
import Synchronization
import Tunnels

/// Keeps the sign-in pages served. What is wrong with them stops no tunnel: it is told of, and tried again.
final class WebPages: Sendable {
    let pages: BootConfiguration.SignInPages
    let certificate: PortalCertificate
    private let desk: SignInDesk
    private let journal: Journal
    private let log: EventLog
    private let clock: SystemClock
    private let state = Mutex(State())

    private struct State {
        var server: WebServer?
        var problem: String?
    }

    /// A port that is taken, an address that is not there yet: what keeps the pages from being served may pass.
    private static let retryInterval = Duration.seconds(10)
    /// How often it is looked whether the certificate's files have changed and connections are still taken.
    private static let checkInterval = Duration.seconds(60)

    init(
        _ pages: BootConfiguration.SignInPages, stateDirectory: String, desk: SignInDesk, journal: Journal,
        log: EventLog, clock: SystemClock
    ) {
        self.pages = pages
        certificate = PortalCertificate(pages, stateDirectory: stateDirectory)
        self.desk = desk
        self.journal = journal
        self.log = log
        self.clock = clock
    }

    /// What keeps people from signing in, in a sentence; nil when all is well.
    var problem: String? { state.withLock { $0.problem } }

    /// Serves until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            do {
                let server = try await start()
                tell(nil)
                let warning = certificate.isOwn ? ". Browsers warn of the certificate, which this gateway made itself" : ""
                log.add(
                    .info, kind: "sign-in-pages", message: "The sign-in pages are at \(pages.address.origin)\(warning).")
                state.withLock { $0.server = server }
                while (try? await Task.sleep(for: Self.checkInterval)) != nil, server.isListening { reload() }
                state.withLock { $0.server = nil }
                await server.stop()
                if Task.isCancelled { return }
                tell("The sign-in pages no longer take connections; the log has the reason. They are served anew.")
            } catch {
                tell("The sign-in pages cannot be served: \(error)")
                try? await Task.sleep(for: Self.retryInterval)
            }
        }
    }

    private func start() async throws -> WebServer {
        let (certificate, clock) = (certificate, clock)
        let configuration = WebConfiguration(
            address: pages.address, listen: pages.listen, port: pages.port ?? pages.address.port,
            redirectPort: pages.redirectPort, identity: { try certificate.load(now: clock.wall) })
        return try await WebServer.start(
            configuration, api: desk, random: SystemRandom.bytes, wall: { clock.wall }, tick: { clock.now },
            logger: journal.logger)
    }

    /// Takes up another certificate, if there is one. One that cannot be used leaves the old one in use.
    func reload() {
        guard let server = state.withLock({ $0.server }) else { return }
        do {
            if try server.reloadIdentity() {
                log.add(.info, kind: "certificate-changed", message: "The sign-in pages have a new certificate.")
            }
            tell(nil)
        } catch {
            tell("The certificate of the sign-in pages cannot be read again, the old one stays in use: \(error)")
        }
    }

    /// Each problem is told of once, and its end as well.
    private func tell(_ problem: String?) {
        let before = state.withLock { state in
            defer { state.problem = problem }
            return state.problem
        }
        guard before != problem else { return }
        if let problem {
            log.add(.error, kind: "sign-in-pages-failed", message: problem)
        } else {
            log.add(.info, kind: "sign-in-pages-mended", message: "The sign-in pages work again.")
        }
    }
}
