public import Base
import Cryptography
import HTTP
import Host
public import Portal
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
    /// Nil serves no sign-in pages.
    public var signInPages: SignInPages?
    public var outgoing = Outgoing()

    public init() {}

    public enum DataPathChoice: String, CaseIterable, Sendable { case auto, userspace, kernel }
    public enum LogLevel: String, CaseIterable, Sendable { case debug, info, warning, error }

    /// Where people sign in: the section `portal` of the boot file.
    public struct SignInPages: Hashable, Sendable {
        /// How browsers and identity providers know the pages.
        public var address: SiteAddress
        /// The addresses to listen on; empty means all.
        public var listen: [IPAddress] = []
        /// The port to listen on; nil takes that of the address.
        public var port: UInt16?
        /// Takes unencrypted requests and leads them to the pages; nil for none.
        public var redirectPort: UInt16?
        /// PEM files of the certificate with its chain, and of its key; nil makes a certificate at the first start.
        public var certificate: String?
        public var key: String?

        public init(address: SiteAddress) { self.address = address }
    }

    /// How calls to identity providers and other services leave: the section `outgoing` of the boot file.
    public struct Outgoing: Hashable, Sendable {
        /// A file with CAs in PEM that are trusted besides the system's.
        public var ca: String?
        /// `http://host:port`, or `environment` for what HTTPS_PROXY and NO_PROXY say; nil goes straight.
        public var proxy: String?
        /// A file with `name:password` for the proxy.
        public var proxyLogin: String?
        /// Hosts and networks that are called without the proxy.
        public var withoutProxy: [String] = []

        public init() {}
    }

    /// A key or value of the boot file that cannot be used.
    public struct Invalid: Error, Hashable, Sendable, CustomStringConvertible {
        public var description: String
    }

    /// Reads the boot file: a YAML mapping; a key that is left out keeps its default.
    ///
    /// - Throws: ``Invalid`` naming the key, what is wrong with its value and what is possible.
    public init(yaml: String, file: String) throws(Invalid) {
        self.init()
        let root: Node?
        do {
            root = try Yams.compose(yaml: yaml)
        } catch {
            throw Invalid(description: "\(file): is not YAML: \(error)")
        }
        guard let root, root.null == nil else { return }
        guard let mapping = root.mapping else {
            throw Invalid(description: "\(file): must be a mapping of keys to values")
        }
        for (key, value) in mapping {
            let entry = BootEntry(file: file, key: key, value: value)
            switch entry.name {
            case "stateDirectory": stateDirectory = try entry.text()
            case "runtimeDirectory": runtimeDirectory = try entry.text()
            case "listen": listen = try entry.addresses()
            case "ikePort": ikePort = try entry.port()
            case "natPort": natPort = try entry.port()
            case "dataPath": dataPath = try entry.choice(DataPathChoice.self)
            case "logLevel": logLevel = try entry.choice(LogLevel.self)
            case "statusGroup": statusGroup = try entry.text()
            case "portal": signInPages = try SignInPages(entry)
            case "outgoing": outgoing = try Outgoing(entry)
            default:
                throw entry.unknown(
                    "stateDirectory, runtimeDirectory, listen, ikePort, natPort, dataPath, logLevel, statusGroup, portal, "
                        + "outgoing")
            }
        }
    }

    public var databasePath: String { stateDirectory + "/gatehouse.sqlite" }
    public var machineKeyPath: String { stateDirectory + "/machine.key" }
    public var statusSocketPath: String { runtimeDirectory + "/status.sock" }
    public var controlSocketPath: String { runtimeDirectory + "/control.sock" }
}

extension BootConfiguration.SignInPages {
    fileprivate init(_ section: BootEntry) throws(BootConfiguration.Invalid) {
        let entries = try section.entries()
        guard let entry = entries.first(where: { $0.name == "address" }) else {
            throw section.invalid("needs an address, such as https://gate.example.com")
        }
        guard let address = SiteAddress(try entry.text()) else {
            throw entry.invalid("must be https:// with a host and perhaps a port, and no path")
        }
        self.init(address: address)
        for entry in entries {
            switch entry.name {
            case "address": break
            case "listen": listen = try entry.addresses()
            case "port": port = try entry.port()
            case "redirectPort": redirectPort = try entry.port()
            case "certificate": certificate = try entry.text()
            case "key": key = try entry.text()
            default: throw entry.unknown("address, listen, port, redirectPort, certificate, key")
            }
        }
        guard (certificate == nil) == (key == nil) else {
            throw section.invalid("needs both certificate and key, or neither")
        }
        guard redirectPort != (port ?? address.port) else {
            throw section.invalid("has one port for encrypted and for unencrypted requests")
        }
    }
}

extension BootConfiguration.Outgoing {
    fileprivate init(_ section: BootEntry) throws(BootConfiguration.Invalid) {
        self.init()
        for entry in try section.entries() {
            switch entry.name {
            case "ca": ca = try entry.text()
            case "proxy":
                let text = try entry.text()
                guard text == "environment" || OutgoingSettings.Proxy(text) != nil else {
                    throw entry.invalid("must be http://host:port, https://host:port or environment")
                }
                guard !text.contains("@") else {
                    throw entry.invalid("must not hold the login; name its file in proxyLogin")
                }
                proxy = text
            case "proxyLogin": proxyLogin = try entry.text()
            case "withoutProxy": withoutProxy = try entry.texts()
            default: throw entry.unknown("ca, proxy, proxyLogin, withoutProxy")
            }
        }
    }

    /// Reads the files that are named.
    ///
    /// - Throws: ``BootConfiguration/Invalid`` naming the one that cannot be used.
    func settings() throws(BootConfiguration.Invalid) -> OutgoingSettings {
        func read(_ path: String, _ key: String) throws(BootConfiguration.Invalid) -> [UInt8] {
            guard let text = SystemFile.read(path), !text.isEmpty else {
                throw BootConfiguration.Invalid(
                    description: "outgoing.\(key): the file \(path) cannot be read or is empty")
            }
            return Array(text.utf8)
        }
        var settings = OutgoingSettings()
        if let ca {
            settings.extraCA = try read(ca, "ca")
            guard String(decoding: settings.extraCA, as: UTF8.self).contains("-----BEGIN CERTIFICATE-----") else {
                throw BootConfiguration.Invalid(description: "outgoing.ca: the file \(ca) holds no certificate in PEM")
            }
        }
        switch proxy {
        case nil: break
        case "environment"?: settings.proxy = OutgoingSettings.Proxy.ofEnvironment
        case let url?: settings.proxy = OutgoingSettings.Proxy(url, exceptions: withoutProxy)
        }
        if let proxyLogin {
            let line = try read(proxyLogin, "proxyLogin").split(separator: UInt8(ascii: "\n")).first ?? []
            settings.proxy?.login = Secret(line)
        }
        return settings
    }
}

/// One key of the boot file with its value.
private struct BootEntry {
    let file: String
    let key: Node
    let value: Node
    var section = ""

    var name: String { key.string ?? "?" }

    func invalid(_ text: String) -> BootConfiguration.Invalid {
        let line = key.mark.map { "line \($0.line): " } ?? ""
        return BootConfiguration.Invalid(description: "\(file): \(line)\(section)\(name) \(text)")
    }

    func unknown(_ known: String) -> BootConfiguration.Invalid {
        let line = key.mark.map { "line \($0.line): " } ?? ""
        return BootConfiguration.Invalid(
            description: "\(file): \(line)unknown key '\(section)\(name)'; known are \(known)")
    }

    func text() throws(BootConfiguration.Invalid) -> String {
        guard let text = value.string, !text.isEmpty else { throw invalid("needs a text") }
        return text
    }

    func port() throws(BootConfiguration.Invalid) -> UInt16 {
        guard let number = value.int, let port = UInt16(exactly: number), port > 0 else {
            throw invalid("must be a port from 1 to 65535")
        }
        return port
    }

    func addresses() throws(BootConfiguration.Invalid) -> [IPAddress] {
        guard let list = value.sequence else { throw invalid("must be a list of addresses") }
        var addresses: [IPAddress] = []
        for item in list {
            guard let address = item.string.flatMap(IPAddress.init) else {
                throw invalid("has '\(item.string ?? "?")', which is no IP address")
            }
            addresses.append(address)
        }
        return addresses
    }

    func texts() throws(BootConfiguration.Invalid) -> [String] {
        guard let list = value.sequence?.map(\.string), !list.contains(nil) else {
            throw invalid("must be a list of texts")
        }
        return list.compactMap(\.self)
    }

    func choice<Choice: RawRepresentable & CaseIterable>(
        _: Choice.Type
    ) throws(BootConfiguration.Invalid) -> Choice where Choice.RawValue == String {
        let raw = try text()
        guard let choice = Choice(rawValue: raw) else {
            throw invalid("is '\(raw)', must be one of \(Choice.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return choice
    }

    func entries() throws(BootConfiguration.Invalid) -> [BootEntry] {
        guard let mapping = value.mapping else { throw invalid("must be a mapping of keys to values") }
        return mapping.map { BootEntry(file: file, key: $0.key, value: $0.value, section: name + ".") }
    }
}
