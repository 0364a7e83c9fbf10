/// The devices that AWS has downloads for and that have no reader here: refused by their names. The Generic text names
/// none of them in AWS's own words, so that a note in it ("for our Sophos") does not count.
struct DeviceWithoutReader: ImportFormat {
    let title = "a configuration for a device without a reader"

    func recognises(_ document: ImportDocument) -> Bool { Self.device(document) != nil }

    func read(_ document: ImportDocument, _ context: ImportContext) throws(ImportError) -> VPNConnection {
        let found = Self.device(document)
        throw ImportError(
            .unreadableFormat, at: (found?.line).map { Place(line: $0.number) },
            "this is a configuration for \(found?.name ?? "another device"), which Gatehouse does not read",
            remedy: ImportFormats.useInstead)
    }

    private static let commands: [(start: String, name: String)] = [
        ("/ip ipsec", "MikroTik RouterOS"), ("/ip/ipsec", "MikroTik RouterOS"), ("create net ipsec", "F5 BIG-IP"),
        ("tmsh create net ipsec", "F5 BIG-IP"), ("add vpn tunnel ", "Check Point"),
    ]

    private static let names: [(word: StaticString, name: String)] = [
        ("MikroTik", "MikroTik RouterOS"), ("RouterOS", "MikroTik RouterOS"), ("WatchGuard", "WatchGuard"),
        ("Firebox", "WatchGuard"), ("ZyXEL", "Zyxel ZyWALL"), ("Zyxel", "Zyxel ZyWALL"), ("ZyWALL", "Zyxel ZyWALL"),
        ("BIG-IP", "F5 BIG-IP"), ("F5 Networks", "F5 BIG-IP"), ("Barracuda", "Barracuda"), ("Sophos", "Sophos"),
        ("Astaro", "Sophos"), ("Meraki", "Cisco Meraki"), ("Check Point", "Check Point"),
        ("Checkpoint", "Check Point"), ("CGW Tunnel IP", "Check Point"), ("SmartDashboard", "Check Point"),
        ("SmartConsole", "Check Point"), ("Gaia", "Check Point"), ("Citrix", "Citrix"),
    ]

    private static func device(_ document: ImportDocument) -> (name: String, line: ImportDocument.Line)? {
        for line in document.lines {
            if let found = commands.first(where: { line.text.hasPrefix($0.start) }) { return (found.name, line) }
        }
        // A page that merely speaks of a device is none of its configurations.
        guard document.has(part: "Your VPN Connection ID") || document.has(part: "Amazon Web Services"),
            !document.has(part: "Outside IP Addresses")
        else { return nil }
        for (word, name) in names where document.has(part: word) {
            if let line = document.lines.first(where: { $0.text.containsBytes(word) }) { return (name, line) }
        }
        return nil
    }
}
