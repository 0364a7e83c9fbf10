public import Base
import Yams

/// What the daemon must know before it can open its store: places, addresses, the data path. Everything else lives in
/// the store and is changed through the control socket.
public struct BootConfiguration: Hashable, Sendable {
    /// Holds the database and the machine key; survives reboots.
    public var stateDirectory = "/var/lib/gatehouse"
    /// Holds the two sockets; emptied at boot.
    public var runtimeDirectory = "/run/gatehouse"
    /// The addresses that IKE and ESP are received on; empty means all.
    public var listen: [IPAddress] = []
    public var ikePort: UInt16 = 500
    public var natPort: UInt16 = 4500
    public var dataPath = DataPathChoice.auto
    public var logLevel = LogLevel.info
    /// The group that may read the status socket; nil leaves it to the daemon's own group.
    public var statusGroup: String?

    public init() {}

    public enum DataPathChoice: String, CaseIterable, Sendable { case auto, userspace, kernel }
    public enum LogLevel: String, CaseIterable, Sendable { case debug, info, warning, error }

    /// A key or value of the boot file that cannot be used.
    public struct Invalid: Error, Hashable, Sendable, CustomStringConvertible {
        public var description: String
    }

    /// Reads the boot file: a YAML mapping; a key that is left out keeps its default.
    ///
    /// - Throws: ``Invalid`` naming the key, what is wrong with its value and what is possible.
    public init(yaml: String, file: String) throws(Invalid) {
        self.init()
        func invalid(_ text: String) -> Invalid { Invalid(description: "\(file): \(text)") }
        let root: Node?
        do {
            root = try Yams.compose(yaml: yaml)
        } catch {
            throw invalid("is not YAML: \(error)")
        }
        guard let root, root.null == nil else { return }
        guard let mapping = root.mapping else { throw invalid("must be a mapping of keys to values") }
        for (key, value) in mapping {
            let line = key.mark.map { "line \($0.line): " } ?? ""
            func text() throws(Invalid) -> String {
                guard let text = value.string, !text.isEmpty else {
                    throw invalid("\(line)\(key.string ?? "?") needs a text")
                }
                return text
            }
            func choice<Choice: RawRepresentable & CaseIterable>(_: Choice.Type) throws(Invalid) -> Choice
            where Choice.RawValue == String {
                let raw = try text()
                guard let choice = Choice(rawValue: raw) else {
                    let all = Choice.allCases.map(\.rawValue).joined(separator: ", ")
                    throw invalid("\(line)\(key.string ?? "?") is '\(raw)', must be one of \(all)")
                }
                return choice
            }
            func port() throws(Invalid) -> UInt16 {
                guard let number = value.int, let port = UInt16(exactly: number), port > 0 else {
                    throw invalid("\(line)\(key.string ?? "?") must be a port from 1 to 65535")
                }
                return port
            }
            switch key.string {
            case "stateDirectory": stateDirectory = try text()
            case "runtimeDirectory": runtimeDirectory = try text()
            case "listen":
                guard let list = value.sequence else { throw invalid("\(line)listen must be a list of addresses") }
                listen = []
                for item in list {
                    guard let address = item.string.flatMap(IPAddress.init) else {
                        throw invalid("\(line)listen: '\(item.string ?? "?")' is no IP address")
                    }
                    listen.append(address)
                }
            case "ikePort": ikePort = try port()
            case "natPort": natPort = try port()
            case "dataPath": dataPath = try choice(DataPathChoice.self)
            case "logLevel": logLevel = try choice(LogLevel.self)
            case "statusGroup": statusGroup = try text()
            default:
                throw invalid(
                    "\(line)unknown key '\(key.string ?? "?")'; known are stateDirectory, runtimeDirectory, listen, "
                        + "ikePort, natPort, dataPath, logLevel, statusGroup")
            }
        }
    }

    public var databasePath: String { stateDirectory + "/gatehouse.sqlite" }
    public var machineKeyPath: String { stateDirectory + "/machine.key" }
    public var statusSocketPath: String { runtimeDirectory + "/status.sock" }
    public var controlSocketPath: String { runtimeDirectory + "/control.sock" }
}
