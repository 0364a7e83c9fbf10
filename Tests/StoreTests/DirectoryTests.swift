import Access
import Base
import Cryptography
import Foundation
import GRDB
import Identity
import Testing

@testable import Store

@Suite struct DirectoryStoreTests {
    private let change = Change(actor: "test")

    private func directory(_ id: String = "corp") -> Directory {
        var directory = Directory(id: id, kind: .entra)
        directory.tenant = "contoso.example"
        directory.clientID = "client"
        directory.secret = Secret(Array("unmistakable-secret".utf8))
        directory.groups = [.init(id: "g", name: "VPN")]
        return directory
    }

    @Test func directoriesAreKeptWithTheirSecretsSealed() throws {
        let folder = try TemporaryFolder()
        let store = try folder.store()
        try store.save(directory(), replacing: false, by: change)
        #expect(try store.directories().directories == [directory()])
        #expect(throws: StoreError.directoryExists("corp")) { try store.save(directory(), replacing: false, by: change) }
        #expect(throws: StoreError.directoryUnknown("x")) { try store.save(directory("x"), replacing: true, by: change) }
        let audit = try store.audit(limit: 10)
        #expect(audit.map(\.action) == ["directory-added"])
        #expect(audit[0].definition?.contains("unmistakable-secret") == false)
        let hexadecimal = Array("unmistakable-secret".utf8).hexadecimal
        #expect(audit[0].definition?.contains(hexadecimal) == false)
        try store.removeDirectory("corp", by: change)
        #expect(throws: StoreError.directoryUnknown("corp")) { try store.removeDirectory("corp", by: change) }
    }

    @Test func whatWasReadIsKeptBesideItAndGoesWithIt() throws {
        let store = try TemporaryFolder().store()
        try store.save(directory(), replacing: false, by: change)
        #expect(try store.standing(ofDirectory: "corp") == DirectoryStanding())
        #expect(try store.mirror(ofDirectory: "corp") == nil)
        var standing = DirectoryStanding()
        standing.cursor = ["users": "https://…"]
        standing.lastSyncAt = WallTime(rfc3339: "2026-11-24T10:00:00Z")
        var mirror = DirectoryMirror()
        mirror.put(.init(mail: "ada@corp.example", isActive: true), "1")
        try store.keep(standing, ofDirectory: "corp", mirror: mirror)
        standing.users = 1
        try store.keep(standing, ofDirectory: "corp")
        #expect(try store.standing(ofDirectory: "corp") == standing)
        #expect(try store.mirror(ofDirectory: "corp")?.person("1")?.mail == "ada@corp.example")
        try store.removeDirectory("corp", by: change)
        #expect(try store.mirror(ofDirectory: "corp") == nil)
        // What comes too late for one that was removed is nobody's.
        try store.keep(standing, ofDirectory: "corp")
        #expect(try store.standing(ofDirectory: "corp") == DirectoryStanding())
    }

    @Test func aReadingThatWasStoppedIsKeptUntilItIsOver() throws {
        let store = try TemporaryFolder().store()
        try store.save(directory(), replacing: false, by: change)
        var whole = DirectoryMirror()
        whole.put(.init(mail: "ada@corp.example", isActive: true), "1")
        var partial = whole
        partial.put(.init(mail: "ben@corp.example", isActive: true), "2")
        var standing = DirectoryStanding()
        try store.keep(standing, ofDirectory: "corp", mirror: whole)
        let now = WallTime(nanoseconds: 1_795_521_600_000_000_000)
        standing.progress = DirectoryProgress(
            bookmark: ["next": ["https://…"], "open": ["g1", "g2"]], choice: "c", isFull: true, requests: 3, stoppedAt: now,
            goesOnAt: now)
        try store.keep(standing, ofDirectory: "corp", partial: partial)
        try store.keep(standing, ofDirectory: "corp")
        #expect(try store.standing(ofDirectory: "corp") == standing)
        #expect(try store.partialMirror(ofDirectory: "corp")?.peopleCount == 2)
        #expect(try store.mirror(ofDirectory: "corp")?.peopleCount == 1)
        standing.progress = nil
        try store.keep(standing, ofDirectory: "corp")
        #expect(try store.partialMirror(ofDirectory: "corp") == nil)
        #expect(try store.mirror(ofDirectory: "corp")?.peopleCount == 1)
    }

    @Test func usersKeepTheirOrigins() throws {
        let store = try TemporaryFolder().store()
        var ada = User(
            email: "ada@corp.example", source: "corp", groups: ["Corp Users"], tags: ["VPN"],
            createdAt: WallTime(nanoseconds: 0))
        ada.origins = [.init(directory: "corp", key: "1", isActive: false, team: "Corp Users", tags: [], hasDisabled: true)]
        var ben = ada
        ben.email = "ben@corp.example"
        ben.origins = []
        try store.write([ada, ben].map { (.user($0, action: "user-added", detail: nil), "directory corp") })
        #expect(try store.users() == [ada, ben])
    }

    @Test func anAPIAccessIsKnownByAHashAndHasALog() throws {
        let store = try TemporaryFolder().store()
        let access = APIAccess(
            id: "hq", title: "Head office", kind: .activeDirectory, clientID: "c1", createdAt: WallTime(nanoseconds: 0))
        try store.add(access, secretHash: [1, 2, 3], by: change)
        #expect(throws: StoreError.accessExists("hq")) { try store.add(access, secretHash: [1], by: change) }
        #expect(try store.secretHash(ofClient: "c1")?.hash == [1, 2, 3] && store.secretHash(ofClient: "c2") == nil)
        for number in 1...3 { try store.log("signed-in", "time \(number)", ofAccess: "hq") }
        #expect(try store.log(ofAccess: "hq", limit: 2).map(\.details) == ["time 3", "time 2"])
        #expect(try store.apiAccesses().first?.lastUsedAt != nil)
        #expect(throws: StoreError.accessUnknown("x")) { try store.log(ofAccess: "x", limit: 1) }
        try store.removeAPIAccess("hq", by: change)
        #expect(try store.secretHash(ofClient: "c1") == nil)
    }
}
