public import Identity
public import Portal

extension FakeGateway {
    public func directories() async throws -> [DirectoryStatus] {
        try note("directories")
        return []
    }

    public func saveDirectory(_ directory: Directory, replacing: Bool, caller: Caller) async throws -> DirectoryStatus {
        try note("\(replacing ? "replace" : "add") directory \(directory.id)", caller)
        var directory = directory
        directory.secret = nil
        return DirectoryStatus(directory: directory)
    }

    public func removeDirectory(id: String, keepsUsers: Bool, caller: Caller) async throws {
        try note("remove directory \(id)\(keepsUsers ? ", keeping users" : "")", caller)
    }

    public func groups(ofDirectory id: String) async throws -> [Directory.ChosenGroup] {
        try note("groups of directory \(id)")
        return []
    }

    public func beginPreview(ofDirectory id: String, caller: Caller) async throws -> DirectoryStatus {
        try note("preview directory \(id)", caller)
        return DirectoryStatus(directory: Directory(id: id, kind: .entra))
    }

    public func beginSync(
        ofDirectory id: String, isFull: Bool, isConfirmed: Bool, caller: Caller
    ) async throws -> DirectoryStatus {
        try note("sync directory \(id)\(isFull ? ", full" : "")\(isConfirmed ? ", confirmed" : "")", caller)
        return DirectoryStatus(directory: Directory(id: id, kind: .entra))
    }

    public func preview(ofDirectory id: String) async throws -> DirectoryPreview {
        throw APIError.notFound("There was no preview of '\(id)' yet.")
    }

    public func apiAccesses() async throws -> [APIAccessStatus] { [] }

    public func addAPIAccess(_ order: APIAccessOrder, caller: Caller) async throws -> APIAccessGrant {
        try note("add API access \(order.id)", caller)
        let access = APIAccessStatus(
            id: order.id, title: order.title, type: order.type, clientID: "c", createdAt: .example(0), lastUsedAt: nil)
        return APIAccessGrant(access: access, clientSecret: "s", gateway: nil)
    }

    public func removeAPIAccess(id: String, caller: Caller) async throws {
        try note("remove API access \(id)", caller)
    }

    public func log(ofAPIAccess id: String, limit: Int) async throws -> [APIAccessLine] { [] }
}
