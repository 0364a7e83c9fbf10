internal import Base
internal import Cryptography
internal import Glibc
internal import IKE

enum Clock {
    static func now() -> Tick {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return Tick(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    /// Nanoseconds of CPU that this thread has used.
    static func cpu() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// What a reading of ``cpu()`` adds to the time between it and the next one: a system call is dear beside an input.
    static let cost: Int64 = {
        let readings = (0..<2001).map { _ in cpu() }
        return zip(readings.dropFirst(), readings).map { $0 - $1 }.sorted()[1000]
    }()

    static func seed() -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<32).map { _ in generator.next() }
    }
}

extension ConnectionConfiguration {
    /// The one suite that all is measured with, but for the group.
    static func bench(_ options: Options, local: IPAddress, remote: IPAddress?) -> ConnectionConfiguration {
        let everything = TrafficSelector(first: .v4(0), last: .v4(.max))
        var configuration = ConnectionConfiguration(
            name: "fleet", localAddress: local, remoteAddress: remote,
            authentication: .psk(Secret(Array(options.psk.utf8))),
            ikeProposals: [
                IKEProposal(encryption: [.aes128], integrity: [.sha256], prf: [.sha256], groups: [options.group])
            ],
            espProposals: [ESPProposal(encryption: [.aes128gcm16], integrity: [], groups: [])],
            localSelectors: [everything], remoteSelectors: [everything])
        // The measured side alone decides what is sent.
        configuration.dpdDelay = .zero
        // As kernel-libipsec, which charon's children are in, does no other ESP.
        configuration.forceUDPEncapsulation = true
        return configuration
    }
}
