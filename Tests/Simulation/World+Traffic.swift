import Base
import ESP
import IKE
import Tunnels

/// Datagrams and packets on their way.
extension World {
    // MARK: - Outside

    /// Sends a datagram, or an ESP packet as the path has it.
    func transmit(_ host: Host, _ bytes: [UInt8], _ path: Path, isESP: Bool) {
        let source = path.local.address.isUnspecified ? Endpoint(host.address, path.local.port) : path.local
        let isBare = isESP && !path.isNATPort
        let packet = Packet(
            source: isBare ? Endpoint(source.address, 0) : source,
            destination: isBare ? Endpoint(path.remote.address, 0) : path.remote, isBareESP: isBare, bytes: bytes)
        if isESP, Self.contains(bytes, InnerMessage.mark) { fail("\(host.name) sent ESP that can be read") }
        send(from: host.index, packet)
    }

    private static func contains(_ bytes: [UInt8], _ mark: [UInt8]) -> Bool {
        guard bytes.count >= mark.count else { return false }
        return (0...bytes.count - mark.count).contains {
            bytes[$0] == mark[0] && bytes[$0..<$0 + mark.count].elementsEqual(mark)
        }
    }

    private func send(from index: Int, _ packet: Packet) {
        var packet = packet
        story.count(now, packet)
        let tunnel: Int
        if index == 0 {
            let address = packet.destination.address
            guard let found = scenario.tunnels.first(where: { Scenario.endpointAddress($0) == address }) else {
                return story.tell(now, packet, from: index, "has nowhere to go")
            }
            guard packet.source.address == hosts[0].address else {
                return story.tell(now, packet, from: index, "bears an address that the gateway has lost")
            }
            tunnel = found
            if scenario.hasNAT {
                guard let translated = nat.translateOut(packet, now: now) else {
                    return story.tell(now, packet, from: index, "does not pass the NAT")
                }
                packet = translated
            }
        } else {
            guard packet.destination.address == publicAddress else {
                return story.tell(now, packet, from: index, "has nowhere to go")
            }
            tunnel = index - 1
        }
        let weather = weather[tunnel]
        guard packet.ipLength <= weather.mtu else {
            return story.tell(now, packet, from: index, "is too large for the path")
        }
        guard !(index == 0 ? weather.isUpCut : weather.isDownCut), !dice.chance(weather.lossPercent) else {
            return story.tell(now, packet, from: index, "is lost")
        }
        story.tell(now, packet, from: index, nil)
        for _ in 0..<(dice.chance(weather.doublingPercent) ? 2 : 1) {
            let most = weather.jitter + (packet.isESP ? weather.espJitter : .zero)
            let jitter = Tick.Span(nanoseconds: Int64(dice.below(Int(most.nanoseconds) + 1)))
            agenda.add(.arrival(host: index == 0 ? tunnel + 1 : 0, packet), at: now + weather.delay + jitter)
        }
    }

    func arrive(_ host: Host, _ packet: Packet) {
        var packet = packet
        if host.index == 0, scenario.hasNAT {
            guard let translated = nat.translateIn(packet, now: now) else {
                return story.tell(now, packet, from: nil, "is not let in by the NAT")
            }
            packet = translated
        }
        guard packet.destination.address == host.address else {
            return story.tell(now, packet, from: nil, "finds the gateway gone from there")
        }
        guard host.isUp else { return story.tell(now, packet, from: nil, "finds \(host.name) down") }
        if host.frozenUntil != nil {
            if host.socketBuffer.count < 64 { host.socketBuffer.append(packet) }
            return
        }
        take(host, packet)
    }

    /// The host reads a packet from its socket.
    func take(_ host: Host, _ packet: Packet) {
        let isNATPort = packet.destination.port == 4500
        let path = Path(
            local: Endpoint(host.address, packet.destination.port), remote: packet.source, isNATPort: isNATPort)
        let isIKE = !isNATPort || packet.bytes.count < 4 || packet.bytes[0..<4].allSatisfy { $0 == 0 }
        if !packet.isBareESP, isIKE {
            let before = host.engine.counters
            receive(host, datagram: packet.bytes, path)
            let after = host.engine.counters
            // A request that came too early is still good: whoever sends it later is where the peer is.
            if after.unexpected == before.unexpected, after.unauthentic == before.unauthentic { capture(packet) }
        } else {
            takeESP(host, packet, path)
        }
    }

    private func capture(_ packet: Packet) {
        guard !packet.isForged, packet.bytes.count > 1 else { return }
        if captured.count < 24 { captured.append(packet) } else { captured[dice.below(24)] = packet }
    }

    private func takeESP(_ host: Host, _ packet: Packet, _ path: Path) {
        switch host.dataPath.open(packet.bytes) {
        case .refused: break
        case .strange(let child): fail("\(host.name) opened a packet on \(child.sa.spiIn.hexadecimal) that nobody sent")
        case .message(let message, let child, let isNewest):
            capture(packet)
            child.lastInbound = clock(host)
            let verdict = child.allowances.inbound.count(packet.bytes.count)
            let interface = child.interface
            if isNewest, !packet.isBareESP, child.path.isNATPort, path.remote != child.path.remote,
                path.remote != child.reported
            {
                child.reported = path.remote
                receive(host, IKE.Input.peerMoved(spiIn: child.sa.spiIn, path))
            }
            deliver(host, message, interface)
            tell(host, verdict, child)
        }
    }

    /// Tells the engine how much a child has carried.
    func tell(_ host: Host, _ verdict: Allowance.Verdict, _ child: DataPath.Child) {
        let spiIn = child.sa.spiIn
        switch verdict {
        case .fine: break
        case .exhausted: receive(host, IKE.Input.childExhausted(spiIn: spiIn))
        case .spent:
            receive(host, IKE.Input.childSpent(spiIn: spiIn))
            // RFC 7296 §2.8: an SA is never used beyond its lifetime.
            if host.dataPath.sending(child.interface)?.sa.spiIn == spiIn {
                fail("\(host.name) keeps child \(spiIn.hexadecimal), which may carry nothing any more")
            }
        }
    }

    // MARK: - Inside

    private func deliver(_ host: Host, _ message: InnerMessage, _ interface: String) {
        guard let tunnel = host.tunnel(of: interface) else { return }
        if let error = reference.deliver(message.number, at: host.index, tunnel: tunnel) {
            return fail("at \(host.name), \(error)")
        }
        switch message.kind {
        case .data: break
        case .echoRequest:
            guard message.destination == Scenario.insideAddress(host.index, tunnel) else { return }
            let number = reference.send(from: host.index, tunnel: tunnel, now: now)
            let reply = InnerMessage(.echoReply, number, from: message.destination, to: message.source)
            sendInside(host, reply, interface)
        case .echoReply:
            guard let probe = host.outstandingProbes.removeValue(forKey: interface) else { return }
            receive(
                host,
                SupervisorInput.probeAnswered(tunnel: Scenario.tunnelName(tunnel), roundTrip: now - probe.sentAt))
        }
    }

    func probe(_ host: Host, _ tunnel: String, _ interface: String, _ from: IPAddress, _ to: IPAddress) {
        let number = reference.send(from: host.index, tunnel: host.tunnel(of: interface), now: now)
        host.outstandingProbes[interface] = (number, now)
        sendInside(host, InnerMessage(.echoRequest, number, from: from, to: to), interface)
    }

    private func sendInside(_ host: Host, _ message: InnerMessage, _ interface: String) {
        guard let (bytes, child) = host.dataPath.seal(message, interface) else { return }
        transmit(host, bytes, child.path, isESP: true)
        tell(host, child.allowances.outbound.count(bytes.count), child)
    }

    /// A packet from a network behind the host, which follows the host's routes.
    func sendData(_ host: Host, _ tunnel: Int) {
        guard host.isUp, host.frozenUntil == nil, !host.isStopping else { return }
        // Behind the gateway, one stream takes whichever tunnel carries the traffic.
        if host.index == 0, tunnel > 0 { return }
        let number = reference.send(from: host.index, tunnel: nil, now: now)
        let networks = [Scenario.gatewayNetwork.first, Scenario.remoteNetwork.first].map { $0.advanced(by: 9) }
        let message = InnerMessage(
            .data, number, from: host.index == 0 ? networks[0] : networks[1],
            to: host.index == 0 ? networks[1] : networks[0])
        let fitting = host.routes.filter { $0.destination.contains(message.destination) }
        let best = fitting.min { a, b in
            a.destination.length == b.destination.length
                ? a.metric < b.metric : a.destination.length > b.destination.length
        }
        guard let best else {
            if reference.isEnabled[host.index] { fail("\(host.name) would send packet \(number) in the clear") }
            return
        }
        if !best.isUnreachable { sendInside(host, message, best.interface) }
    }
}
