import Base
import COpenSSL
import Cryptography
import ESP
import Glibc

/// What sealing and opening an ESP packet costs beside the bare OpenSSL calls for the same cipher, suite by suite, on
/// one thread. Rounds alternate and the figures are medians of CPU time, so that other work on the machine counts
/// little.
///
///     bench-esp [BYTES [ROUNDS]]      inner packet length, 1400; rounds, 15
@main struct BenchESP {
    private static let suites: [(EncryptionAlgorithm, IntegrityAlgorithm?)] = [
        (.aes128gcm16, nil), (.aes256gcm16, nil), (.chacha20poly1305, nil), (.aes128, .sha1), (.aes128, .sha256),
        (.aes256, .sha256), (.aes256, .sha384), (.aes256, .sha512),
    ]

    static func main() {
        let arguments = CommandLine.arguments.dropFirst().map { Int($0) }
        guard arguments.count <= 2, !arguments.contains(nil) else {
            print("bench-esp [BYTES [ROUNDS]]")
            exit(2)
        }
        let length = min(max(arguments.first.flatMap { $0 } ?? 1400, 20), 65535)
        let rounds = max(arguments.dropFirst().first.flatMap { $0 } ?? 15, 1)
        for (encryption, integrity) in suites {
            let name = encryption.rawValue + (integrity.map { "_" + $0.rawValue } ?? "")
            guard let bench = Bench(encryption, integrity, length) else {
                print("\(name) is not available")
                continue
            }
            var times: [(bare: Double, seal: Double, open: Double)] = []
            for _ in 0..<rounds { times.append(bench.round()) }
            let bare = median(times.map(\.bare)), seal = median(times.map(\.seal)), open = median(times.map(\.open))
            func figure(_ what: String, _ value: Double, _ unit: String) {
                let scaled = (value * 1000).rounded() / 1000
                print("figure esp_\(what)_\(name)_\(length) \(scaled) \(unit)")
            }
            figure("bare", 1e3 / bare, "Mpps")
            figure("seal", 1e3 / seal, "Mpps")
            figure("open", 1e3 / open, "Mpps")
            figure("seal_rate", Double(length) * 8 / seal, "Gbit/s")
            figure("seal_of_bare", bare / seal, "ratio")
            figure("open_of_bare", bare / open, "ratio")
        }
    }

    private static func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
}

/// One suite: an outbound SA, the inbound SA that fits it, and bare contexts with the same key.
private final class Bench {
    private static let count = 256
    private let outbound: OutboundSA
    private let inbound: InboundSA
    private let bare: BareCipher
    private let length: Int
    private let total: Int
    private let packets: UnsafeMutableRawBufferPointer
    private let template: [UInt8]

    init?(_ encryption: EncryptionAlgorithm, _ integrity: IntegrityAlgorithm?, _ length: Int) {
        let key = [UInt8](repeating: 0x42, count: encryption.keyLength + encryption.saltLength)
        let integrityKey = [UInt8](repeating: 0x17, count: integrity?.keyLength ?? 0)
        let all = SelectorPair(local: [Selector(.all(.ipv4))], remote: [Selector(.all(.ipv4))])
        guard
            let outbound = try? OutboundSA(
                spi: 1, encryption: encryption, integrity: integrity, encryptionKey: Secret(key),
                integrityKey: Secret(integrityKey), extendedSequence: false),
            let inbound = try? InboundSA(
                spi: 1, encryption: encryption, integrity: integrity, encryptionKey: Secret(key),
                integrityKey: Secret(integrityKey), extendedSequence: false, replayWindow: 2048, selectors: all),
            let bare = BareCipher(encryption, integrity, key, integrityKey)
        else { return nil }
        self.outbound = outbound
        self.inbound = inbound
        self.bare = bare
        self.length = length
        total = outbound.format.sealedLength(length)
        packets = .allocate(byteCount: total * Self.count, alignment: 64)
        var packet = [UInt8](repeating: 0x5A, count: length)
        packet.replaceSubrange(
            0..<20,
            with: [
                0x45, 0, UInt8(length >> 8), UInt8(length & 255), 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
            ])
        template = packet
    }

    deinit { packets.deallocate() }

    /// Nanoseconds of CPU per packet.
    func round() -> (bare: Double, seal: Double, open: Double) {
        var (bareTime, sealTime, openTime) = (0.0, 0.0, 0.0)
        let batches = 16
        for _ in 0..<batches {
            fill()
            bareTime += timed {
                for index in 0..<Self.count { bare.encrypt(slot(index), length) }
            }
            fill()
            sealTime += timed {
                for index in 0..<Self.count { _ = outbound.seal(slot(index), length: length) }
            }
            var opened = 0
            openTime += timed {
                for index in 0..<Self.count {
                    if case .packet = inbound.open(slot(index)) { opened += 1 }
                }
            }
            guard opened == Self.count else {
                print("only \(opened) of \(Self.count) packets were opened")
                exit(1)
            }
        }
        let packets = Double(batches * Self.count)
        return (bareTime / packets, sealTime / packets, openTime / packets)
    }

    private func slot(_ index: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: packets[index * total..<(index + 1) * total])
    }

    private func fill() {
        for index in 0..<Self.count {
            UnsafeMutableRawBufferPointer(rebasing: slot(index)[outbound.format.headerLength...]).copyBytes(
                from: template)
        }
    }

    private func timed(_ body: () -> Void) -> Double {
        func now() -> Double {
            var time = timespec()
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
            return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
        }
        let start = now()
        body()
        return now() - start
    }
}

/// The OpenSSL calls that no implementation on EVP can do without: IV, associated data, payload, tag.
private final class BareCipher {
    private let context: OpaquePointer
    private let mac: OpaquePointer?
    private let isAEAD: Bool
    private var iv = [UInt8](repeating: 0, count: 16)
    private var tag = [UInt8](repeating: 0, count: 64)

    init?(
        _ encryption: EncryptionAlgorithm, _ integrity: IntegrityAlgorithm?, _ key: [UInt8], _ integrityKey: [UInt8]
    ) {
        let name =
            switch encryption {
            case .aes128: "AES-128-CBC"
            case .aes192: "AES-192-CBC"
            case .aes256: "AES-256-CBC"
            case .aes128gcm16: "AES-128-GCM"
            case .aes192gcm16: "AES-192-GCM"
            case .aes256gcm16: "AES-256-GCM"
            case .chacha20poly1305: "ChaCha20-Poly1305"
            }
        guard let cipher = EVP_CIPHER_fetch(nil, name, nil), let context = EVP_CIPHER_CTX_new(),
            EVP_EncryptInit_ex2(context, cipher, key, nil, nil) == 1, EVP_CIPHER_CTX_set_padding(context, 0) == 1
        else { return nil }
        EVP_CIPHER_free(cipher)
        self.context = context
        isAEAD = encryption.isAEAD
        guard let integrity else {
            mac = nil
            return
        }
        guard let hmac = EVP_MAC_fetch(nil, "HMAC", nil), let mac = EVP_MAC_CTX_new(hmac) else { return nil }
        EVP_MAC_free(hmac)
        var digest = Array(integrity.rawValue.utf8CString)
        let isSet = digest.withUnsafeMutableBufferPointer { name in
            var parameters = [
                OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name.baseAddress, 0),
                OSSL_PARAM_construct_end(),
            ]
            return EVP_MAC_init(mac, integrityKey, integrityKey.count, &parameters) == 1
        }
        guard isSet else { return nil }
        self.mac = mac
    }

    deinit {
        EVP_CIPHER_CTX_free(context)
        EVP_MAC_CTX_free(mac)
    }

    func encrypt(_ packet: UnsafeMutableRawBufferPointer, _ length: Int) {
        guard let bytes = packet.assumingMemoryBound(to: UInt8.self).baseAddress else { return }
        var written: Int32 = 0
        let whole = isAEAD ? length : (length + 15) / 16 * 16
        let payload = bytes + (packet.count - whole) / 2
        iv[11] &+= 1
        EVP_EncryptInit_ex(context, nil, nil, nil, iv)
        if isAEAD { EVP_EncryptUpdate(context, nil, &written, bytes, 8) }
        EVP_EncryptUpdate(context, payload, &written, payload, Int32(whole))
        if isAEAD {
            EVP_EncryptFinal_ex(context, &tag, &written)
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, &tag)
        } else if let mac {
            var size = 0
            EVP_MAC_init(mac, nil, 0, nil)
            EVP_MAC_update(mac, bytes, whole + 24)
            EVP_MAC_final(mac, &tag, &size, tag.count)
        }
    }
}
