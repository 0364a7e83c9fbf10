import Glibc

/// Small files of our own that other programs read.
enum StateFile {
    struct Failure: Error, CustomStringConvertible {
        let description: String
        init(_ doing: String) { description = "\(doing): \(String(cString: strerror(errno)))" }
    }

    /// Puts a file in the place of the one that is there: whole, or not at all. Its owner alone may read it.
    static func replace(_ path: String, with text: String) throws(Failure) {
        let fresh = path + ".new"
        let file = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw Failure("opening") }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                close(file)
                throw Failure("writing")
            }
            rest = rest.dropFirst(count)
        }
        guard fsync(file) == 0 else {
            close(file)
            throw Failure("writing")
        }
        close(file)
        guard rename(fresh, path) == 0 else { throw Failure("renaming") }
    }

    /// Removes a file; one that is not there is as well.
    static func remove(_ path: String) throws(Failure) {
        guard unlink(path) == 0 || errno == ENOENT else { throw Failure("removing") }
    }
}
