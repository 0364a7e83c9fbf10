import Base

/// An orderly end: DELETE, its answer, and only then the news (RFC 7296 §1.4.1).
extension Engine {
    /// Stops using an SA at once and tells the peer. Without a failure nobody else is told. When the end was asked for,
    /// what the peer still sends until it has heard of it is taken.
    mutating func beginDeletion(_ sa: inout IKESA, _ failure: Failure?) {
        guard sa.isEstablished || isReplaced(sa) else { return }
        let closeAt = now + configuration.closeTimeout
        // Before the child that it waits for goes.
        if let reply = sa.pendingReply {
            sa.pendingReply = nil
            answer(&sa, reply.exchange, reply.messageID, reply.path) { $0.add(.temporaryFailure) }
        }
        if failure?.reason == .requested {
            retireAllChildren(&sa, failure, until: closeAt)
        } else {
            removeAllChildren(&sa, failure)
        }
        if case .rekeyIKE(let rekey) = sa.exchange, let collision = rekey.collision {
            with(collision.product) { $0.beginDeletion(&$1, nil) }
        }
        sa.tasks = [.deleteIKE]
        sa.state = .deleting(failure, closeAt: closeAt)
    }

    private func isReplaced(_ sa: IKESA) -> Bool {
        if case .rekeyed = sa.state { true } else { false }
    }

    mutating func startDeletion(_ sa: inout IKESA) {
        sa.exchange = .deleteIKE
        request(&sa, .informational, timeout: configuration.closeTimeout) { $0.add(Delete.ikeSA) }
    }

    /// The peer has answered, or has had long enough.
    mutating func finishDeletion(_ sa: inout IKESA) {
        if case .deleting(let failure?, _) = sa.state { emit(.ikeClosed(failure), sa) }
        sa.isGone = true
    }
}
