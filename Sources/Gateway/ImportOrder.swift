import Base
import Host
import Portal
import Tunnels

extension GatewayControl {
    /// The connector that an AWS file and its options make, and what its administrator should know.
    func readImport(_ file: [UInt8], _ request: ImportRequest) throws(APIError) -> (Connector, warnings: [String]) {
        func prefixes(_ texts: [String], _ option: String) throws(APIError) -> [IPPrefix] {
            var prefixes: [IPPrefix] = []
            for text in texts {
                guard let prefix = IPPrefix(text) else {
                    throw .invalid("\(option): '\(text)' is no network such as 10.0.0.0/16.")
                }
                prefixes.append(prefix)
            }
            return prefixes
        }
        var options = ImportOptions(
            localNetworks: try prefixes(request.localNetworks, "localNetworks"),
            remoteNetworks: try prefixes(request.remoteNetworks, "remoteNetworks"), name: request.name,
            connection: request.connection, now: core.machine.clock.wall)
        if let text = request.localAddress {
            guard let address = IPAddress(text) else { throw .invalid("localAddress: '\(text)' is no IP address.") }
            options.localAddress = address
        }
        do {
            let plan = try AWSImport.read(file, options: options)
            return (try plan.connector(), plan.warnings)
        } catch {
            throw .invalid(error.description)
        }
    }
}
