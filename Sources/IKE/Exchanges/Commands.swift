import Base
import Cryptography

/// What the owner of the engine asks for.
extension Engine {
    mutating func configure(_ id: ConnectionID, _ configuration: ConnectionConfiguration) {
        let old = connections[id]?.configuration
        if let old {
            directory.remove(id, old)
            connections[id]?.configuration = configuration
        } else {
            connections[id] = Connection(configuration: configuration)
        }
        directory.add(id, configuration)
        guard old?.authentication != configuration.authentication || old?.localID != configuration.localID else {
            return
        }
        connections[id]?.credentials = configuration.authentication.credential.map { credential in
            Result { () throws(CertificateFault) in try Credentials(credential, localID: configuration.localID) }
        }
        for spi in connections[id]?.sas.sorted ?? [] { with(spi) { $0.checkPeerAgain(&$1) } }
    }

    mutating func remove(_ id: ConnectionID) {
        guard let connection = connections[id] else { return }
        terminate(id)
        directory.remove(id, connection.configuration)
        connections[id] = nil
    }

    mutating func initiate(_ id: ConnectionID) {
        guard let connection = connections[id] else {
            let failure = Failure(.noSuchConnection, "There is no connection \(id).")
            return add(.event(Event(.failed(failure), connection: id)))
        }
        var isUnderWay = false
        for spi in connection.sas.sorted {
            with(spi) { engine, sa in
                switch sa.state {
                case .initSent, .authSent, .halfOpen: isUnderWay = true
                case .established where sa.isProvisional: break
                case .established:
                    isUnderWay = true
                    // The peer took a child away, or refused it, and left the IKE SA: only the child is missing.
                    engine.planMissingChildren(&sa)
                case .rekeyed, .deleting, .closed: break
                }
            }
        }
        if !isUnderWay { startInit(id, connection.configuration) }
    }

    mutating func terminate(_ id: ConnectionID) {
        let failure = Failure(.requested, "Closed on request.")
        for spi in connections[id]?.sas.sorted ?? [] {
            with(spi) { engine, sa in
                switch sa.state {
                case .initSent: engine.failAttempt(&sa, failure)
                case .authSent:
                    // The peer may have accepted already: tell it, and do not wait.
                    engine.sendLastWord(&sa) { $0.add(Delete.ikeSA) }
                    engine.failAttempt(&sa, failure)
                case .halfOpen: engine.discard(&sa, nil)
                case .established: engine.beginDeletion(&sa, failure)
                case .rekeyed, .deleting, .closed: break
                }
            }
        }
    }

    /// Plans a task on every established SA of a connection.
    mutating func plan(_ task: PlannedTask, _ id: ConnectionID) {
        for spi in connections[id]?.sas.sorted ?? [] {
            with(spi) { $0.plan(task, &$1) }
        }
    }

    mutating func planChildRekeys(_ id: ConnectionID) {
        for spi in connections[id]?.sas.sorted ?? [] {
            with(spi) { engine, sa in
                for child in sa.children where child.isLive { engine.plan(.rekeyChild(child.spiIn), &sa) }
            }
        }
    }

    /// Asks for every child of the connection that is not there.
    mutating func planMissingChildren(_ sa: inout IKESA) {
        for place in 0...(configuration(of: sa)?.furtherChildren.count ?? 0) where !sa.hasLiveChild(at: place) {
            plan(.createChild(place), &sa)
        }
    }

    /// Puts a task in line for the SA's window; once is enough.
    mutating func plan(_ task: PlannedTask, _ sa: inout IKESA) {
        guard sa.isEstablished, !sa.isProvisional, !sa.tasks.contains(task) else { return }
        switch (task, sa.exchange) {
        case (.rekeyIKE, .rekeyIKE): return
        case (.rekeyChild(let spiIn), .child(let creation)) where creation.replaces == spiIn: return
        case (.createChild(let place), .child(let creation))
        where creation.replaces == nil && creation.place == place: return
        default: sa.tasks.append(task)
        }
    }

    // MARK: - The task that is next

    mutating func startNextTask(_ sa: inout IKESA) {
        while sa.request == nil, !sa.isGone, let task = nextTask(sa) {
            sa.tasks.removeAll { $0 == task }
            start(task, &sa)
        }
    }

    private func nextTask(_ sa: IKESA) -> PlannedTask? {
        guard !sa.tasks.isEmpty else { return nil }
        switch sa.state {
        case .established:
            // An SA that makes a child for the peer is not replaced meanwhile (RFC 7296 §2.25.2).
            return sa.tasks.filter { $0 != .rekeyIKE || sa.pendingReply == nil }.min { $0.rank < $1.rank }
        case .deleting: return sa.tasks.contains(.deleteIKE) ? .deleteIKE : nil
        case .initSent, .authSent, .halfOpen, .rekeyed, .closed: return nil
        }
    }

    private mutating func start(_ task: PlannedTask, _ sa: inout IKESA) {
        switch task {
        case .deleteIKE: startDeletion(&sa)
        case .updateAddresses: startAddressUpdate(&sa)
        case .checkRoute: startRouteCheck(&sa)
        case .sendCrashToken: startCrashToken(&sa)
        case .deleteChild(let spiIn): startChildDeletion(&sa, spiIn)
        case .createChild(let place): if !sa.hasLiveChild(at: place) { startChild(&sa, place, replacing: nil) }
        case .rekeyChild(let spiIn):
            guard let index = sa.childIndex(spiIn), sa.children[index].state == .installed,
                sa.children[index].redundantUntil == nil,
                // The peer is just having it rekeyed.
                !sa.children.contains(where: { $0.replaces == spiIn && $0.state == .installing })
            else { return }
            startChild(&sa, sa.children[index].place, replacing: spiIn)
        case .rekeyIKE: startIKERekey(&sa)
        case .liveness(let isForced):
            guard let configuration = configuration(of: sa) else { return }
            guard isForced || now - sa.lastInbound >= configuration.dpdDelay else { return }
            sa.exchange = .liveness
            let detection = mappingProbe(sa)
            request(&sa, .informational, timeout: dpdTimeout(sa)) { for notify in detection { $0.add(notify) } }
        }
    }

    /// How long a peer may leave a request unanswered.
    func dpdTimeout(_ sa: IKESA) -> Tick.Span {
        guard let configuration = configuration(of: sa), configuration.dpdTimeout > .zero else { return .seconds(30) }
        return configuration.dpdTimeout
    }

    /// Sends a request that nobody waits for.
    mutating func sendLastWord(_ sa: inout IKESA, _ build: (inout MessageWriter) -> Void) {
        let messageID = sa.nextRequestID
        guard
            let bytes = sa.seal(.informational, messageID: messageID, isResponse: false, random: &random, build)
        else { return }
        sa.nextRequestID = messageID &+ 1
        transmit(bytes, sa.path)
    }
}
