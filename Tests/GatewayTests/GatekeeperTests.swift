import Access
import Base
import Cryptography
import Foundation
import Glibc
import Host
import Portal
import Store
import Synchronization
import Testing

@testable import Gateway

/// How the gatekeeper begins and ends, with a real store and a kernel that refuses every table.
@Suite(.timeLimit(.minutes(5))) struct GatekeeperTests {
    /// A folder for one test, which goes when the value does.
    private final class Place: Sendable {
        let path = FileManager.default.temporaryDirectory.path + "/gatehouse-gatekeeper-\(UUID().uuidString)"
        var bootPath: String { path + "/gate.nft" }

        init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
        deinit { try? FileManager.default.removeItem(atPath: path) }

        /// What the next boot finds; nil where there is no such file.
        var bootFile: String? { try? String(contentsOfFile: bootPath, encoding: .utf8) }
    }

    private func store(_ path: String? = nil, gate: String) throws -> Store {
        let store = try Store(
            path: path, key: SealingKey(Secret([UInt8](repeating: 1, count: MachineKey.length))),
            random: SystemRandom.bytes, wall: { SystemClock().wall })
        try store.set("gate.enabled", to: gate, by: Change(actor: "test"))
        return store
    }

    /// Its table is sought on a bus that has none.
    private func gatekeeper(_ store: Store, _ place: Place) throws -> Gatekeeper {
        try Gatekeeper(
            inbox: Inbox(),
            machine: Gatekeeper.Machine(
                clock: SystemClock(), table: GateTable(try Netlink(.route)), conntrack: try Netlink(.netfilter),
                route: try Netlink(), bootPath: place.bootPath),
            store: store, log: EventLog { SystemClock().wall })
    }

    // MARK: - The beginning

    @Test func withoutTheGateThatIsWantedNothingStarts() async throws {
        let place = try Place()
        let keeper = try gatekeeper(try store(gate: "on"), place)
        let error = await #expect(throws: Gatekeeper.GateBroken.self) { try await keeper.start(patience: 0) }
        #expect(error?.description.contains("The gate is not as it should be") == true)
        #expect(place.bootFile?.contains("table inet gatehouse") == true, "the next boot is closed")
    }

    @Test func whereNoGateIsWantedNoneIsNeeded() async throws {
        let place = try Place()
        let keeper = try gatekeeper(try store(gate: "off"), place)
        try await keeper.start()
        #expect(place.bootFile == nil)
    }

    /// The one part of the store that cannot be read says whether there is a gate.
    @Test func whatCannotBeReadOpensNothing() async throws {
        let place = try Place()
        let path = place.path + "/gatehouse.db"
        let store = try store(path, gate: "on")
        try "closed".write(toFile: place.bootPath, atomically: true, encoding: .utf8)
        let keeper = try gatekeeper(store, place)
        let program = "import sqlite3; c = sqlite3.connect('\(path)'); c.execute('DROP TABLE setting'); c.commit()"
        let pipe = try #require(popen("python3 -c \"\(program)\"", "re"))
        try #require(pclose(pipe) == 0)
        await #expect(throws: StoreError.self) { try await keeper.start() }
        #expect(place.bootFile == "closed")
        try store.close()
    }

    // MARK: - The end

    @Test func whoAsksBehindTheStopIsAnswered() async throws {
        let keeper = try gatekeeper(try store(gate: "off"), try Place())
        let isAsked = Mutex(false)
        let (ready, continuation) = AsyncStream<Void>.makeStream()
        let end = Gatekeeper.Order.end(.all, .signedOut, actor: "test")
        let order = Task {
            try await withCheckedThrowingContinuation { (reply: Gatekeeper.Reply) in
                // Both come in while the last batch is at work.
                keeper.inbox.put(
                    .call { keeper in
                        keeper.inbox.put(.order(end, reply))
                        keeper.inbox.put(.call { _ in isAsked.withLock { $0 = true } })
                    })
                keeper.inbox.put(.stop(isHandedOver: false))
                continuation.finish()
            }
        }
        for await _ in ready {}
        await keeper.run()
        #expect(isAsked.withLock { $0 })
        await #expect(throws: Gatekeeper.Stopping.self) { _ = try await order.value }
        // So is who comes later still.
        #expect(await keeper.ask { _ in true } == nil)
        await #expect(throws: Gatekeeper.Stopping.self) { _ = try await keeper.carryOut(end) }
    }

    // MARK: - Neighbours

    @Test func aNeighbourThatIsGoneIsForgotten() async throws {
        let keeper = try gatekeeper(try store(gate: "off"), try Place())
        let loop = Task { await keeper.run() }
        // TEST-NET-1: the kernel's own table has it not.
        let address = try #require(IPAddress("192.0.2.77"))
        let neighbour = KernelNeighbour(
            address: address, interface: 2, hardwareAddress: [2, 0, 0, 0, 0, 1], isValid: true)
        for gone in [Gatekeeper.Message.neighbourRemoved(address), .neighboursLost] {
            keeper.inbox.put(.neighbours([neighbour]))
            #expect(await keeper.ask { $0.engine.mac(of: address) != nil } == true)
            keeper.inbox.put(gone)
            #expect(await keeper.ask { $0.engine.mac(of: address) != nil } == false)
        }
        keeper.inbox.put(.stop(isHandedOver: false))
        await loop.value
    }
}

/// Settings that somebody has written and nobody can read.
@Suite struct BrokenSettingsTests {
    @Test func theyLetNobodyInWhoWasMeantToStayOut() {
        let (settings, faults) = AccessSettings.read([
            "session.sites": "a, ,b", "gate.interfaces": "eth1,no such name", "gate.exempt": "10.1.0.5,nonsense",
        ])
        #expect(settings.sites == .only([]) && settings.interfaces == ["eth1"] && settings.exempt.isEmpty)
        #expect(faults.count == 3)
        // An empty list would be every interface.
        #expect(AccessSettings.read(["gate.interfaces": "a/b"]).0.interfaces == ["lo"])
        #expect(AccessSettings.read(["gate.interfaces": ""]).0.interfaces.isEmpty)
    }

    @Test func aSiteThatBringsThemIsRefusedAndToldWhichTheyAre() throws {
        let error = #expect(throws: APIError.self) {
            try GatewayControl.refuseUnreadable(["session.limit": "5", "session.sites": ", ,", "gate.enabled": "on"])
        }
        #expect(error?.status == 422)
        #expect(error?.message.contains("session.limit") == true && error?.message.contains("session.sites") == true)
        try GatewayControl.refuseUnreadable(["session.limit": "3600", "gate.enabled": "off"])
    }
}
