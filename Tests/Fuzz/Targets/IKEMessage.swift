import Base
import Cryptography
import IKE

/// The first byte picks the port; the rest is the datagram.
func fuzzIKEMessage(_ bytes: [UInt8]) {
    guard let first = bytes.first else { return }
    var world = IKEWorld.connected
    var path = IKEWorld.pathAtB
    if first & 1 != 0 {
        path = Path(
            local: Endpoint(path.local.address, 4500), remote: Endpoint(path.remote.address, 4500), isNATPort: true)
    }
    // Another address: a stranger's datagram.
    if first & 2 != 0 { path.remote.port = 1024 }
    let before = world.installed
    world.toB(.datagram(Array(bytes.dropFirst()), path))
    precondition(world.installed == before, "a datagram without proof has changed the data path")
    world.driveB(.seconds(60))
    precondition(world.b.halfOpenCount == 0, "a half-open SA is left behind")
    world.end()
}

func ikeMessageSeeds() -> [[UInt8]] {
    IKEWorld.connected.heard.map { [$0.1.isNATPort ? 1 : 0] + $0.0 }
}
