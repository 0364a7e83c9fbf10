public import Base

/// What the person who imports adds to the file.
public struct ImportOptions: Hashable, Codable, Sendable {
    /// Networks on our side that may use the tunnels.
    public var localNetworks: [IPPrefix]
    /// Networks behind AWS. No AWS file names them, and they are never guessed.
    public var remoteNetworks: [IPPrefix]
    /// The address of this host that the tunnels start from; behind a NAT it differs from the file's. Where the file
    /// names no customer address, this is it.
    public var localAddress: IPAddress?
    /// What the connector is called; nil takes the `Name` tag or the connection ID.
    public var name: String?
    /// Which connection of a file that holds several, such as `vpn-0a1b2c3d4e5f60718`.
    public var connection: String?
    /// Lets old telemetry be called old; nil says nothing about it.
    public var now: WallTime?

    public init(
        localNetworks: [IPPrefix] = [], remoteNetworks: [IPPrefix] = [], localAddress: IPAddress? = nil,
        name: String? = nil, connection: String? = nil, now: WallTime? = nil
    ) {
        self.localNetworks = localNetworks
        self.remoteNetworks = remoteNetworks
        self.localAddress = localAddress
        self.name = name
        self.connection = connection
        self.now = now
    }
}

/// AWS Site-to-Site VPN files in, plans out. Any bytes give a plan or an ``ImportError``.
public enum AWSImport {
    /// Reads one file of any format: what it says, with defaults and warnings.
    public static func read(_ bytes: [UInt8], options: ImportOptions = ImportOptions()) throws(ImportError)
        -> ImportPlan
    {
        let context = try Self.context(options)
        return try PlanRules(context: context).plan(try connection(bytes, context))
    }

    /// What the file says and no more, before defaults.
    public static func connection(
        _ bytes: [UInt8], options: ImportOptions = ImportOptions()
    ) throws(ImportError) -> VPNConnection {
        try connection(bytes, try context(options))
    }

    private static func context(_ options: ImportOptions) throws(ImportError) -> ImportContext {
        do {
            return ImportContext(options: options, profile: try VendorProfile.aws())
        } catch {
            throw ImportError(.unsupported, error.description, remedy: "This is a fault of Gatehouse: report it.")
        }
    }

    private static func connection(_ bytes: [UInt8], _ context: ImportContext) throws(ImportError) -> VPNConnection {
        var document = try ImportDocument(bytes)
        // A text on one line with its line breaks written as \n; JSON and XML mend themselves where needed.
        if document.lines.count <= 2, document.firstByte != UInt8(ascii: "{"),
            document.firstByte != UInt8(ascii: "["), !document.text.containsBytes("<vpn_connection"),
            document.text.containsBytes("\\n"), let mended = document.unescaped()
        {
            document = mended
        }
        if let other = AWSOutput.refusal(of: document) { throw other }
        if let enclosed = try EnclosedText.document(in: document, connection: context.options.connection) {
            document = enclosed
        }
        return try ImportFormats.format(of: document).read(document, context)
    }
}
