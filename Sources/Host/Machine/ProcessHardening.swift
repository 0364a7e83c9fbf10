import CMnl
import Glibc

/// Keeps the keys in this process's memory out of core dumps, debuggers of the same user, and swap.
public enum ProcessHardening {
    /// Applies what it can and returns, in words, what it could not. Called once, at start.
    ///
    /// Memory is locked only where nothing limits that: under a limit, locking what is to come would make allocations
    /// fail later on.
    public static func apply() -> [String] {
        var complaints: [String] = []
        func complain(_ what: String) { complaints.append("\(what): \(String(cString: strerror(errno)))") }
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        if setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none) != 0 {
            complain("core dumps cannot be switched off")
        }
        if gh_set_dumpable(0) != 0 { complain("the process cannot be closed to debuggers") }
        guard mayLockMemory else {
            complaints.append(
                "memory is not locked, so keys may reach swap: give the service LimitMEMLOCK=infinity, or encrypt swap")
            return complaints
        }
        if mlockall(Int32(MCL_CURRENT) | Int32(MCL_FUTURE) | GH_MCL_ONFAULT) != 0 {
            complain("memory cannot be locked, so keys may reach swap")
        }
        return complaints
    }

    /// Other processes of the same user may read this one's memory.
    static var isDumpable: Bool { gh_get_dumpable() != 0 }

    private static var mayLockMemory: Bool {
        if Capabilities.effective?.contains(.ipcLock) == true { return true }
        var limit = rlimit()
        return getrlimit(__rlimit_resource_t(GH_RLIMIT_MEMLOCK), &limit) == 0 && limit.rlim_cur == rlim_t.max
    }
}
