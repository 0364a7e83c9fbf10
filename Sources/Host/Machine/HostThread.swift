import Glibc

/// Threads of our own, for what would hold up those that Swift's tasks share.
enum HostThread {
    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// Runs `body`, and holds it, on a new thread, which whoever gets it must join or detach.
    ///
    /// - Parameter what: for the error's words, such as `the thread for outgoing calls`.
    static func start(_ what: String, _ body: @escaping @Sendable () -> Void) throws(HostFailure) -> pthread_t {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(Body(body))
        let code = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, context.toOpaque())
        guard code == 0 else {
            context.release()
            throw HostFailure("starting \(what)", code: code)
        }
        return thread
    }
}
