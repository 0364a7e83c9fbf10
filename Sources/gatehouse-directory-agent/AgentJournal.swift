import Base
import Foundation

/// Says what happened: time, type and details, a line each, on standard output and in a file.
final class AgentJournal: Sendable {
    private let file: FileHandle?

    /// - Throws: ``AgentFailure`` when the file cannot be written.
    init(file path: String?) throws {
        guard let path else {
            file = nil
            return
        }
        if !FileManager.default.fileExists(atPath: path) {
            _ = FileManager.default.createFile(atPath: path, contents: nil)
        }
        guard let handle = FileHandle(forWritingAtPath: path) else {
            throw AgentFailure("The log \(path) cannot be written.")
        }
        _ = try? handle.seekToEnd()
        file = handle
    }

    static var now: WallTime { WallTime(nanoseconds: Int64(Date().timeIntervalSince1970 * 1e9)) }

    func write(_ type: String, _ details: String) {
        let name = type + String(repeating: " ", count: max(1, 14 - type.count))
        let line = Data("\(Self.now.rfc3339)  \(name)\(details)\n".utf8)
        try? FileHandle.standardOutput.write(contentsOf: line)
        try? file?.write(contentsOf: line)
    }
}
