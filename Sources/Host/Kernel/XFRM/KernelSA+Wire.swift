import Base
import CMnl
import Cryptography
import Glibc

/// Numbers of `<linux/xfrm.h>` that are newer than Debian 12's headers, or macros.
enum XFRM {
    static let esp = UInt8(IPPROTO_ESP)
    /// XFRMA_SA_DIR, Linux 6.10; an older kernel passes it over.
    static let directionAttribute = 33
    static let tunnelMode: UInt8 = 1
    static let espInUDP: UInt16 = 2
    static let stateNoPathMTU: UInt8 = 4
    static let stateAnyFamily: UInt8 = 32
    static let stateESN: UInt8 = 128
    static let offloadIPv6: UInt8 = 1
    static let offloadInbound: UInt8 = 2
    static let offloadPacket: UInt8 = 4
    static let stateSize = 224
    static let stateIDSize = 24
    static let policySize = 168
    static let policyIDSize = 64
    static let templateSize = 64
}

extension KernelSA {
    /// `xfrm_usersa_info` and its attributes; without `keys` it describes no cipher.
    func body(_ keys: Keys?) -> NetlinkWriter {
        // A window, or long sequence numbers, need the longer form of the replay state.
        let hasReplayState = hasExtendedSequence || replayWindow > 32 || sequence != Sequence()
        var flags: UInt8 = 0
        if hasExtendedSequence { flags |= XFRM.stateESN }
        if selector == nil { flags |= XFRM.stateAnyFamily }
        if !copiesDontFragment, direction != .input { flags |= XFRM.stateNoPathMTU }
        var writer = NetlinkWriter()
        writer.append(selector)
        writer.appendAddress(destination)
        writer.append(spi.bigEndian)
        writer.append([XFRM.esp, 0, 0, 0])
        writer.appendAddress(source)
        writer.append(lifetime)
        writer.append(repeatElement(UInt8(0), count: 32 + 12))  // counters: the kernel's
        writer.append(UInt32(0))
        writer.append(requestID)
        writer.append(UInt16(destination.family.number))
        writer.append([XFRM.tunnelMode, hasReplayState ? 0 : UInt8(clamping: replayWindow), flags])
        writer.append(repeatElement(UInt8(0), count: 7))
        if let keys { writer.append(keys) }
        if hasReplayState { writer.attribute(XFRMA_REPLAY_ESN_VAL.rawValue, replayState) }
        if use.addedAt != 0 {
            // It goes on where another was: what that has carried counts towards the limits (xfrm_lifetime_cur).
            var body = NetlinkWriter()
            for number in [use.bytes, use.packets, use.addedAt, use.firstUsedAt] { body.append(number) }
            writer.attribute(XFRMA_LTIME_VAL.rawValue, body.bytes)
        }
        if let encapsulation {
            var body = NetlinkWriter()
            body.append(XFRM.espInUDP)
            body.append(encapsulation.sourcePort.bigEndian)
            body.append(encapsulation.destinationPort.bigEndian)
            body.append(UInt16(0))
            body.appendAddress(nil)
            writer.attribute(XFRMA_ENCAP.rawValue, body.bytes)
        }
        if interfaceID != 0 { writer.attribute(XFRMA_IF_ID.rawValue, value: interfaceID) }
        if let mark { writer.append(mark) }
        // Said of what comes in alone: newer kernels refuse an outbound one with a replay state, without which all of
        // them refuse long sequence numbers, and where it came to.
        if direction == .input { writer.attribute(XFRM.directionAttribute, value: Direction.input.rawValue) }
        if let offload {
            var body = NetlinkWriter()
            body.append(offload.interface)
            body.append([
                (destination.isIPv4 ? 0 : XFRM.offloadIPv6) | (direction == .input ? XFRM.offloadInbound : 0)
                    | (offload.isWholePacket ? XFRM.offloadPacket : 0), 0, 0, 0,
            ])
            writer.attribute(XFRMA_OFFLOAD_DEV.rawValue, body.bytes)
        }
        return writer
    }

    /// `xfrm_replay_state_esn`.
    private var replayState: [UInt8] {
        // An association that only sends still has a window of one, or the kernel refuses long sequence numbers.
        let window = max(1, min(replayWindow, 2048))
        let words = Int(window + 31) / 32
        var body = NetlinkWriter()
        body.append(UInt32(words))
        body.append(UInt32(truncatingIfNeeded: sequence.sent))
        body.append(UInt32(truncatingIfNeeded: sequence.received))
        body.append(UInt32(truncatingIfNeeded: sequence.sent >> 32))
        body.append(UInt32(truncatingIfNeeded: sequence.received >> 32))
        body.append(window)
        for index in 0..<words { body.append(sequence.bitmap.indices.contains(index) ? sequence.bitmap[index] : 0) }
        return body.bytes
    }

    /// Reads the body of XFRM_MSG_NEWSA or XFRM_MSG_UPDSA; nil for what is not ESP in tunnel mode between IP addresses.
    init?(_ body: ArraySlice<UInt8>) throws(NetlinkMalformed) {
        guard body.count >= XFRM.stateSize else {
            throw NetlinkMalformed(reason: "an association message of \(body.count) bytes")
        }
        guard let family = IPAddress.Family(number: UInt8(truncatingIfNeeded: body.host(UInt16.self, at: 212))),
            body.host(UInt8.self, at: 76) == XFRM.esp, body.host(UInt8.self, at: 214) == XFRM.tunnelMode
        else { return nil }
        let attributes = try NetlinkAttributes(body.dropFirst(XFRM.stateSize))
        let flags = body.host(UInt8.self, at: 216)
        self.init(
            source: body.address(family, at: 80), destination: body.address(family, at: 56),
            spi: UInt32(bigEndian: body.host(UInt32.self, at: 72)),
            direction: attributes[XFRM.directionAttribute]?.integer(UInt8.self).flatMap(Direction.init),
            requestID: body.host(UInt32.self, at: 208),
            interfaceID: attributes[XFRMA_IF_ID.rawValue]?.integer(UInt32.self) ?? 0,
            selector: try body.selector(at: 0), mark: attributes.mark, encapsulation: nil,
            hasExtendedSequence: flags & XFRM.stateESN != 0, replayWindow: UInt32(body.host(UInt8.self, at: 215)),
            copiesDontFragment: flags & XFRM.stateNoPathMTU == 0)
        lifetime = body.lifetime(at: 96)
        use = Use(body)
        if let encap = attributes[XFRMA_ENCAP.rawValue]?.bytes, encap.count >= 6,
            encap.host(UInt16.self, at: 0) == XFRM.espInUDP
        {
            encapsulation = Encapsulation(
                sourcePort: UInt16(bigEndian: encap.host(UInt16.self, at: 2)),
                destinationPort: UInt16(bigEndian: encap.host(UInt16.self, at: 4)))
        }
        if let device = attributes[XFRMA_OFFLOAD_DEV.rawValue]?.bytes, device.count >= 5 {
            offload = Offload(
                interface: device.host(UInt32.self, at: 0),
                isWholePacket: device.host(UInt8.self, at: 4) & XFRM.offloadPacket != 0)
        }
        if let state = attributes[XFRMA_REPLAY_ESN_VAL.rawValue]?.bytes, state.count >= 24 {
            readReplay(state)
        } else if let state = attributes[XFRMA_REPLAY_VAL.rawValue]?.bytes, state.count >= 12 {
            sequence.sent = UInt64(state.host(UInt32.self, at: 0))
            sequence.received = UInt64(state.host(UInt32.self, at: 4))
            sequence.bitmap = [state.host(UInt32.self, at: 8)]
        }
    }

    private mutating func readReplay(_ state: ArraySlice<UInt8>) {
        func word(_ index: Int) -> UInt32 { state.host(UInt32.self, at: index * 4) }
        sequence.sent = UInt64(word(3)) << 32 | UInt64(word(1))
        sequence.received = UInt64(word(4)) << 32 | UInt64(word(2))
        replayWindow = word(5)
        let words = min(Int(word(0)), state.count / 4 - 6)
        sequence.bitmap = (0..<words).map { word(6 + $0) }
    }
}

extension KernelSA.Use {
    /// Reads the counters of an `xfrm_usersa_info`, which the caller has found to be there.
    init(_ body: ArraySlice<UInt8>) {
        self.init()
        bytes = body.host(UInt64.self, at: 160)
        packets = body.host(UInt64.self, at: 168)
        addedAt = body.host(UInt64.self, at: 176)
        firstUsedAt = body.host(UInt64.self, at: 184)
        replayed = UInt64(body.host(UInt32.self, at: 192)) + UInt64(body.host(UInt32.self, at: 196))
        forged = UInt64(body.host(UInt32.self, at: 200))
    }
}

extension KernelSA.Keys {
    /// Reads the algorithms behind an `xfrm_usersa_info`; nil when they are none that we use.
    init?(_ body: ArraySlice<UInt8>) throws(NetlinkMalformed) {
        let attributes = try NetlinkAttributes(body.dropFirst(XFRM.stateSize))
        /// The name, and the key behind `header` bytes.
        func algorithm(_ type: UInt32, header: Int) -> (name: String, key: ArraySlice<UInt8>)? {
            guard let bytes = attributes[type]?.bytes, bytes.count >= header else { return nil }
            let length = Int(bytes.host(UInt32.self, at: 64) / 8)
            guard bytes.count >= header + length else { return nil }
            let name = String(decoding: bytes.prefix(64).prefix { $0 != 0 }, as: UTF8.self)
            return (name, bytes.dropFirst(header).prefix(length))
        }
        let none = Secret([])
        if let (name, key) = algorithm(XFRMA_ALG_AEAD.rawValue, header: 72) {
            let found = EncryptionAlgorithm.allCases.first {
                let keys = KernelSA.Keys(encryption: $0, encryptionKey: none, integrity: nil, integrityKey: none)
                return keys.cipher.name == name && $0.keyLength + $0.saltLength == key.count
            }
            guard let found else { return nil }
            self.init(encryption: found, encryptionKey: Secret(key), integrity: nil, integrityKey: none)
        } else if let (name, key) = algorithm(XFRMA_ALG_CRYPT.rawValue, header: 68), name == "cbc(aes)",
            let (hash, hashKey) = algorithm(XFRMA_ALG_AUTH_TRUNC.rawValue, header: 72),
            let encryption = [EncryptionAlgorithm.aes128, .aes192, .aes256].first(where: { $0.keyLength == key.count }),
            let integrity = IntegrityAlgorithm.allCases.first(where: { "hmac(\($0.rawValue))" == hash })
        {
            self.init(
                encryption: encryption, encryptionKey: Secret(key), integrity: integrity, integrityKey: Secret(hashKey))
        } else {
            return nil
        }
    }

    /// The cipher by the kernel's name, and its bits of check value if it is an AEAD.
    fileprivate var cipher: (name: String, tagBits: UInt32?) {
        switch encryption {
        case .aes128, .aes192, .aes256: ("cbc(aes)", nil)
        case .aes128gcm16, .aes192gcm16, .aes256gcm16: ("rfc4106(gcm(aes))", 128)
        case .chacha20poly1305: ("rfc7539esp(chacha20,poly1305)", 128)
        }
    }
}

extension NetlinkWriter {
    fileprivate mutating func append(_ keys: KernelSA.Keys) {
        let (name, tagBits) = keys.cipher
        if let tagBits {
            algorithm(XFRMA_ALG_AEAD.rawValue, name, keys.encryptionKey, [tagBits])
            return
        }
        algorithm(XFRMA_ALG_CRYPT.rawValue, name, keys.encryptionKey, [])
        if let integrity = keys.integrity {
            algorithm(
                XFRMA_ALG_AUTH_TRUNC.rawValue, "hmac(\(integrity.rawValue))", keys.integrityKey,
                [UInt32(integrity.tagLength * 8)])
        }
    }

    /// `xfrm_algo` and its kin: a name of 64 bytes, the key's bits and others, the key.
    private mutating func algorithm(_ type: UInt32, _ name: String, _ key: Secret, _ bits: [UInt32]) {
        var body = NetlinkWriter()
        body.append(name.utf8)
        body.append(repeatElement(0, count: 64 - name.utf8.count))
        for number in [UInt32(key.count * 8)] + bits { body.append(number) }
        key.withUnsafeBytes { body.append($0) }
        attribute(type, body.bytes)
        body.wipe()
    }

    mutating func append(_ mark: KernelMark) {
        var body = NetlinkWriter()
        body.append(mark.value)
        body.append(mark.mask)
        attribute(XFRMA_MARK.rawValue, body.bytes)
    }

    /// `xfrm_lifetime_cfg`.
    mutating func append(_ lifetime: KernelLifetime) {
        for limit in [lifetime.softBytes, lifetime.hardBytes, lifetime.softPackets, lifetime.hardPackets] {
            append(limit ?? .max)
        }
        for seconds in [
            lifetime.softSeconds, lifetime.hardSeconds, lifetime.softUseSeconds, lifetime.hardUseSeconds,
        ] {
            append(seconds ?? 0)
        }
    }

    /// `xfrm_usersa_id`.
    mutating func append(_ id: KernelSAID) {
        appendAddress(id.destination)
        append(id.spi.bigEndian)
        append(UInt16(id.destination.family.number))
        append([XFRM.esp, 0])
    }
}

extension NetlinkAttributes {
    var mark: KernelMark? {
        guard let bytes = self[XFRMA_MARK.rawValue]?.bytes, bytes.count >= 8 else { return nil }
        return KernelMark(value: bytes.host(UInt32.self, at: 0), mask: bytes.host(UInt32.self, at: 4))
    }
}

extension ArraySlice<UInt8> {
    /// `xfrm_lifetime_cfg`.
    func lifetime(at offset: Int) -> KernelLifetime {
        func limit(_ index: Int, none: UInt64) -> UInt64? {
            let value = host(UInt64.self, at: offset + index * 8)
            return value == none ? nil : value
        }
        var lifetime = KernelLifetime()
        lifetime.softBytes = limit(0, none: .max)
        lifetime.hardBytes = limit(1, none: .max)
        lifetime.softPackets = limit(2, none: .max)
        lifetime.hardPackets = limit(3, none: .max)
        lifetime.softSeconds = limit(4, none: 0)
        lifetime.hardSeconds = limit(5, none: 0)
        lifetime.softUseSeconds = limit(6, none: 0)
        lifetime.hardUseSeconds = limit(7, none: 0)
        return lifetime
    }

    /// `xfrm_usersa_id`; nil for one that is not of ESP between IP addresses.
    func associationID(at offset: Int) -> KernelSAID? {
        guard let family = IPAddress.Family(number: UInt8(truncatingIfNeeded: host(UInt16.self, at: offset + 20))),
            host(UInt8.self, at: offset + 22) == XFRM.esp
        else { return nil }
        return KernelSAID(
            destination: address(family, at: offset), spi: UInt32(bigEndian: host(UInt32.self, at: offset + 16)))
    }
}
