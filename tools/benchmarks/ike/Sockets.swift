internal import Base
internal import Glibc

enum Sockets {
    /// A UDP socket on a port of one of our addresses, connected to a port of the responder.
    static func open(from address: IPAddress, port: UInt16, to remote: IPAddress, port remotePort: UInt16 = 500) throws -> Int32 {
        let descriptor = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        guard descriptor >= 0 else { throw Refusal("no socket: \(String(cString: strerror(errno)))") }
        var size: Int32 = 4 << 20
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &size, 4)
        guard call({ Glibc.bind(descriptor, $0, $1) }, address, port) else {
            throw Refusal("cannot have \(address) port \(port): \(String(cString: strerror(errno)))")
        }
        guard call({ Glibc.connect(descriptor, $0, $1) }, remote, remotePort) else {
            throw Refusal("no way to \(remote): \(String(cString: strerror(errno)))")
        }
        return descriptor
    }

    private static func call(
        _ function: (UnsafePointer<sockaddr>, socklen_t) -> Int32, _ address: IPAddress, _ port: UInt16
    ) -> Bool {
        var endpoint = sockaddr_in()
        endpoint.sin_family = sa_family_t(AF_INET)
        endpoint.sin_port = in_port_t(port).bigEndian
        withUnsafeMutableBytes(of: &endpoint.sin_addr) { $0.copyBytes(from: address.bytes) }
        return withUnsafePointer(to: endpoint) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                function($0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
