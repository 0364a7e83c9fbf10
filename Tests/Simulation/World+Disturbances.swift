import Base
import IKE
import Tunnels

/// How each transition comes about.
extension World {
    func disturb(_ transition: Transition) {
        story.tell(now, "—— \(transition)")
        apply(transition)
        checkStates()
    }

    func apply(_ transition: Transition) {
        switch transition {
        case .rekey(let index, let tunnel, let phase):
            let wanted = SupervisorInput.Phase(rawValue: phase.rawValue) ?? .both
            tell(index, .rekey(Scenario.tunnelName(tunnel), wanted))
        case .rekeyFromBothEnds(let tunnel, let a, let b, let apart):
            let ends = dice.chance(50) ? [0, tunnel + 1] : [tunnel + 1, 0]
            apply(.rekey(host: ends[0], tunnel: tunnel, a))
            agenda.add(.later(.rekey(host: ends[1], tunnel: tunnel, b)), at: now + .milliseconds(apart))
        case .restart(let index, let tunnel): tell(index, .restart(Scenario.tunnelName(tunnel)))
        case .restartAtBothEnds(let tunnel, let apart):
            let ends = dice.chance(50) ? [0, tunnel + 1] : [tunnel + 1, 0]
            apply(.restart(host: ends[0], tunnel: tunnel))
            agenda.add(.later(.restart(host: ends[1], tunnel: tunnel)), at: now + .milliseconds(apart))
        case .exhaust(let index, let tunnel):
            let host = hosts[index]
            guard isListening(host), let child = host.interface(of: tunnel).flatMap({ host.dataPath.sending($0) })
            else { return }
            tell(host, .exhausted, child)
        case .spend(let index, let tunnel):
            let host = hosts[index]
            guard isListening(host), let child = host.interface(of: tunnel).flatMap({ host.dataPath.sending($0) })
            else { return }
            tell(host, .spent, child)
        case .burst(let tunnel, let count):
            for _ in 0..<count where failure == nil {
                sendData(hosts[0], tunnel)
                sendData(hosts[tunnel + 1], tunnel)
            }
        case .refuseInstall(let index): hosts[index].refusesNextInstall = true
        case .loseLink(let index, let tunnel): loseLink(hosts[index], tunnel)
        case .weather(let tunnel, let loss, let doubling, let delay, let jitter):
            weather[tunnel].lossPercent = loss
            weather[tunnel].doublingPercent = doubling
            weather[tunnel].delay = .milliseconds(delay)
            weather[tunnel].jitter = .milliseconds(jitter)
        case .cut(let tunnel, let up, let down):
            weather[tunnel].isUpCut = up
            weather[tunnel].isDownCut = down
        case .narrow(let tunnel, let mtu): weather[tunnel].mtu = mtu
        case .mend(let tunnel): weather[tunnel] = Weather(mtu: scenario.width.pathMTU)
        case .crash(let index, let seconds):
            hosts[index].crash()
            agenda.add(.start(host: index, life: hosts[index].starts), at: now + .seconds(seconds))
        case .stopAndStart(let index, let seconds): stop(hosts[index], startAfter: seconds)
        case .freeze(let index, let milliseconds):
            guard isListening(hosts[index]) else { return }
            hosts[index].frozenUntil = now + .milliseconds(milliseconds)
            agenda.add(.thaw(host: index, life: hosts[index].starts), at: now + .milliseconds(milliseconds))
        case .leap(let index, let seconds):
            hosts[index].clockLead = hosts[index].clockLead + .seconds(seconds)
            if hosts[index].isUp { setAlarm(hosts[index]) }
        case .setTimeOfDay(let index, let seconds):
            guard isListening(hosts[index]) else { return }
            let time = WallTime(nanoseconds: 1_800_000_000_000_000_000) + .seconds(seconds)
            receive(hosts[index], IKE.Input.wallClock(time))
        case .move: moveGateway()
        case .rebindNAT: nat.forget()
        case .disable(let index): setEnabled(index, false)
        case .enable(let index): setEnabled(index, true)
        case .changeKey(let index, let tunnel, let generation): changeKey(index, tunnel, generation)
        case .changeKeyAtBothEnds(let tunnel, let generation):
            changeKey(0, tunnel, generation)
            changeKey(tunnel + 1, tunnel, generation)
        case .changeLifetimes(let index, let ike, let child):
            for place in wanted[index].tunnels.indices {
                wanted[index].tunnels[place].phase1.lifetimeSeconds = ike
                wanted[index].tunnels[place].phase2.lifetimeSeconds = child
            }
            reconfigure(index)
        case .replay(let count, let fromElsewhere): attack(count, fromElsewhere: fromElsewhere, damages: false)
        case .forge(let count): attack(count, fromElsewhere: false, damages: true)
        case .rest(let seconds): run(.seconds(seconds))
        case .calm: heal()
        }
    }

    // MARK: - Hosts

    func isListening(_ host: Host) -> Bool { host.isUp && host.frozenUntil == nil && !host.isStopping }

    private func tell(_ index: Int, _ input: SupervisorInput) {
        if isListening(hosts[index]) { receive(hosts[index], input) }
    }

    /// A host that is frozen or down reads its definitions when it is back.
    private func reconfigure(_ index: Int) { if isListening(hosts[index]) { configure(hosts[index]) } }

    private func setEnabled(_ index: Int, _ isEnabled: Bool) {
        wanted[index].isEnabled = isEnabled
        reconfigure(index)
    }

    private func changeKey(_ index: Int, _ tunnel: Int, _ generation: Int) {
        wanted[index].tunnels[index == 0 ? tunnel : 0].phase1.authentication = .psk(Scenario.psk(generation))
        reference.setKey(index, tunnel, generation, now: now)
        reconfigure(index)
    }

    private func loseLink(_ host: Host, _ tunnel: Int) {
        guard isListening(host), let interface = host.interface(of: tunnel) else { return }
        host.links[interface] = nil
        host.orphans.formUnion(host.dataPath.close(interface))
        receive(host, SupervisorInput.linkFailed(interface: interface, reason: "someone deleted it"))
    }

    func start(_ host: Host) {
        if host.isUp, host.isStopping, host.frozenUntil == nil {
            fail("\(host.name) was stopped in order and has not finished")
        }
        story.tell(now, "\(host.name) starts")
        host.start(seed: dice.bytes(8), now: clock(host), startedAt: now)
        configure(host)
    }

    func stop(_ host: Host, startAfter seconds: Int?) {
        guard isListening(host) else { return }
        receive(host, SupervisorInput.shutDown)
        host.isStopping = true
        if let seconds { agenda.add(.start(host: host.index, life: host.starts), at: now + .seconds(seconds)) }
    }

    func thaw(_ host: Host) {
        guard host.frozenUntil != nil else { return }
        host.frozenUntil = nil
        story.tell(now, "\(host.name) goes on, with \(host.socketBuffer.count) datagrams waiting")
        let waiting = host.socketBuffer
        host.socketBuffer = []
        setAlarm(host)
        // Timers and sockets race for the first turn.
        if dice.chance(50), let wake = host.nextWake, wake.tick <= now { self.wake(host) }
        for packet in waiting where host.isUp { take(host, packet) }
        followAddress(host)
        if !host.isStopping { configure(host) }
    }

    // MARK: - The attacker

    private func attack(_ count: Int, fromElsewhere: Bool, damages: Bool) {
        guard !captured.isEmpty else { return }
        for _ in 0..<count {
            var packet = dice.pick(captured)
            packet.isForged = true
            if fromElsewhere {
                packet.source = packet.isBareESP ? Endpoint(Self.attacker.address, 0) : Self.attacker
            }
            if damages { damage(&packet.bytes) }
            guard let host = hosts.first(where: { $0.address == packet.destination.address }) else { continue }
            agenda.add(.arrival(host: host.index, packet), at: now + .milliseconds(dice.below(200)))
        }
    }

    private func damage(_ bytes: inout [UInt8]) {
        switch dice.below(3) {
        case 0: bytes.removeLast(min(bytes.count - 1, dice.within(1...20)))
        case 1: bytes += dice.bytes(dice.within(1...20))
        default: for _ in 0..<dice.within(1...4) { bytes[dice.below(bytes.count)] ^= UInt8(1 << dice.below(8)) }
        }
    }

    // MARK: - Healing

    /// The network is fair, every host is up with its first definition, and nothing else is planned.
    func heal() {
        weather = weather.map { _ in Weather(mtu: scenario.width.pathMTU) }
        wanted = scenario.connectors
        reference.restoreKeys()
        for host in hosts {
            host.refusesNextInstall = false
            if host.frozenUntil != nil { thaw(host) }
            if !host.isUp || host.isStopping {
                // Whatever was planned for this life is not to touch the next.
                host.crash()
                start(host)
            } else {
                configure(host)
            }
        }
    }
}
