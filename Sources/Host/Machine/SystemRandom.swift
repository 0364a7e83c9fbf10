import CMnl

/// The kernel's random numbers.
public enum SystemRandom {
    /// 32 bytes, for an engine's generator.
    public static func seed() -> [UInt8] { bytes(32) }

    /// Waits, only in the first moments after boot, until the kernel has gathered enough.
    public static func bytes(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            while initialized < count {
                let got = getrandom(buffer.baseAddress.map { $0 + initialized }, count - initialized, 0)
                // The one failure of a sound call is a signal in between (EINTR).
                if got > 0 { initialized += got }
            }
        }
    }
}
