import Base
import CMnl
import Cryptography
import Glibc
import Tunnels

extension Doctor {
    func clock() -> Finding { Self.clock(SystemClock().wall) }

    static func clock(_ now: WallTime) -> Finding {
        let title = "Clock"
        guard now >= earliest else {
            return Finding(
                id: "clock", title: title, state: .failed,
                detail: "says \(now.rfc3339), which is past: certificates and sign-ins are refused, and the times in "
                    + "the audit trail are wrong",
                remedy: "timedatectl set-ntp true, or set it by hand: date -s 'YYYY-MM-DD HH:MM:SS'")
        }
        return Finding(id: "clock", title: title, state: .ok, detail: now.rfc3339)
    }

    /// 2026-01-01T00:00:00Z: there is no Gatehouse before.
    private static let earliest = WallTime(nanoseconds: 1_767_225_600_000_000_000)

    func clockDiscipline() -> Finding { Self.clockDiscipline(isSynchronized: gh_clock_state() != TIME_ERROR) }

    static func clockDiscipline(isSynchronized: Bool) -> Finding {
        let title = "Clock synchronisation"
        guard !isSynchronized else {
            return Finding(id: "clock-sync", title: title, state: .ok, detail: "synchronised")
        }
        return Finding(
            id: "clock-sync", title: title, state: .warning,
            detail:
                "no time service keeps the clock right: tunnels work, but certificates and sign-ins fail once it is "
                + "minutes off",
            remedy: "apt install systemd-timesyncd && timedatectl set-ntp true")
    }

    /// Does what IKE does with AWS's weakest proposal, which a hardened OpenSSL configuration may forbid.
    func cryptography() -> Finding {
        let title = "OpenSSL"
        do throws(CryptographyError) {
            var random = SeededRandom(seed: SystemRandom.seed())
            for group in [DHGroup.modp1024, .modp2048, .ecp256, .curve25519] {
                let ours = try DHKeyPair(group: group, random: &random)
                let theirs = try DHKeyPair(group: group, random: &random)
                guard try ours.sharedSecret(peer: theirs.publicValue) == theirs.sharedSecret(peer: ours.publicValue)
                else {
                    return Self.cryptography(failure: "\(group.name) gives two ends different secrets")
                }
            }
            return Finding(
                id: "openssl", title: title, state: .ok,
                detail: "Diffie-Hellman works, from AWS's default group 2 (modp1024) to group 31 (curve25519)")
        } catch {
            return Self.cryptography(failure: error.description)
        }
    }

    static func cryptography(failure: String) -> Finding {
        Finding(
            id: "openssl", title: "OpenSSL", state: .failed,
            detail: "\(failure); tunnels that use such a group cannot come up",
            remedy:
                "look for a FIPS or policy setting in openssl.cnf in the folder of `openssl version -d`, or try with "
                + "OPENSSL_CONF=/dev/null"
        )
    }

    func stateDirectory() -> Finding {
        let folder = plan.stateDirectory
        var status = stat()
        guard stat(folder, &status) == 0 else {
            let code = errno
            let parent = folder.split(separator: "/").dropLast().map { "/" + $0 }.joined()
            if code == ENOENT, access(parent.isEmpty ? "/" : parent, W_OK | X_OK) == 0 {
                return Self.stateDirectory(folder, free: Self.freeBytes(parent.isEmpty ? "/" : parent), isNew: true)
            }
            return Self.stateDirectory(folder, failure: code)
        }
        guard status.st_mode & S_IFMT == S_IFDIR else { return Self.stateDirectory(folder, failure: ENOTDIR) }
        guard access(folder, R_OK | W_OK | X_OK) == 0 else { return Self.stateDirectory(folder, failure: errno) }
        return Self.stateDirectory(folder, free: Self.freeBytes(folder), isNew: false)
    }

    private static func freeBytes(_ path: String) -> UInt64? {
        var information = statvfs()
        guard statvfs(path, &information) == 0 else { return nil }
        return UInt64(information.f_bavail).multipliedReportingOverflow(by: UInt64(information.f_frsize)).partialValue
    }

    static func stateDirectory(_ folder: String, failure: Int32) -> Finding {
        Finding(
            id: "state-directory", title: "State folder", state: .failed,
            detail:
                "\(folder): \(String(cString: strerror(failure))); connectors cannot be stored, and no tunnel is known "
                + "after a restart",
            remedy: "install -d -m 0700 -o gatehouse -g gatehouse \(folder), and leave the disk writable")
    }

    static func stateDirectory(_ folder: String, free: UInt64?, isNew: Bool) -> Finding {
        let title = "State folder"
        let place = isNew ? "\(folder) will be made" : folder
        guard let free else { return Finding(id: "state-directory", title: title, state: .ok, detail: place) }
        let size = free >= 1 << 30 ? "\(free >> 30) GiB" : "\(free >> 20) MiB"
        guard free < 256 << 20 else {
            return Finding(id: "state-directory", title: title, state: .ok, detail: "\(place), \(size) free")
        }
        return Finding(
            id: "state-directory", title: title, state: free < 16 << 20 ? .failed : .warning,
            detail: "\(place), only \(size) free: with a full disk no change of a tunnel can be stored or audited",
            remedy: "df -h \(folder); then make room, for instance journalctl --vacuum-size=100M")
    }
}
