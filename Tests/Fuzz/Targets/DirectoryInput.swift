import Base
import Cryptography
import HTTP
@testable import Identity
@testable import Vendors

/// What a directory answers: the first byte says which one, the second with what status, the rest is the body.
func fuzzDirectoryInput(_ bytes: [UInt8]) {
    var input = InputReader(bytes)
    let kinds: [Directory.Kind] = [.entra, .okta, .google, .activeDirectory]
    let door = Int(input.byte()) % (kinds.count + 1)
    guard door < kinds.count else { return fuzzStoredDirectory(input.remainder()) }
    let status = [200, 200, 200, 401, 403, 404, 410, 429, 503][Int(input.byte()) % 9]
    var directory = Directory(id: "corp", kind: kinds[door])
    directory.host = "acme.okta.com"
    directory.tenant = "contoso.example"
    directory.customer = "C01234567"
    directory.clientID = kinds[door] == .entra ? "22222222-2222-2222-2222-222222222222" : nil
    directory.secret = Secret(Array("abcdef".utf8))
    directory.groups = ["g", "00g00000000000000009", "ec22655c-8eb2-432a-b4ea-8b8a254bffff"].map { .init(id: $0, name: $0) }
    let body = input.remainder()
    let answers = kinds[door] == .activeDirectory ? ldapAnswers(body) : webAnswers(status, body)
    let cursors: [[String: String]?] = [
        nil, ["users": "https://graph.microsoft.com/v1.0/users/delta?t", "groups": "x", "since": "2024-05-01T00:00:00.000Z"],
        ["dc": "", "usn": "5", "invocation": ""],
    ]
    for cursor in cursors {
        guard var reader = try? directory.reader(since: cursor) else { continue }
        var mirror = DirectoryMirror()
        read: for _ in 0..<4 {
            for answer in answers {
                guard reader.question != nil else { break read }
                do throws(DirectoryFault) {
                    try reader.receive(answer, into: &mirror, now: fuzzTime)
                } catch {
                    precondition(!error.description.isEmpty, "a fault without words")
                    break read
                }
                if case .web(let request) = reader.question {
                    let own = ["graph.microsoft.com", "acme.okta.com", "admin.googleapis.com"]
                    precondition(own.contains(request.url.authority), "led to \(request.url.authority)")
                }
            }
        }
        check(mirror, directory)
    }
}

private let fuzzTime = WallTime(nanoseconds: 1_795_521_600_000_000_000)

private func check(_ mirror: DirectoryMirror, _ directory: Directory) {
    let roll = DirectoryRoll(directory, mirror) { $0.contains("@") }
    for entry in roll.entries.values {
        precondition(roll.entries[entry.email] == entry, "somebody is not under their address")
        precondition(entry.email == entry.email.lowercased(), "an address that is not in lower case")
        precondition(mirror.person(entry.key)?.isActive == true, "somebody comes whose account may not be used")
    }
    precondition(DirectoryMirror(bytes: mirror.bytes)?.peopleCount == mirror.peopleCount, "what is stored cannot be read")
    var whole = DirectoryMirror()
    for part in mirror.pushes(run: "r", size: 3) { whole.take(part) }
    precondition(whole.peopleCount == mirror.peopleCount && whole.groupCount == mirror.groupCount, "parts make another whole")
}

private func webAnswers(_ status: Int, _ body: [UInt8]) -> [DirectoryAnswer] {
    // A line before the first empty byte is a header.
    let parts = body.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
    let link = parts.count > 1 ? String(decoding: parts[0], as: UTF8.self) : ""
    let headers = [HTTPResponse.Header("Link", link), .init("Retry-After", link), .init("x-rate-limit-reset", link)]
    return [.web(HTTPResponse(status: status, headers: headers, body: Array(parts[parts.count - 1])))]
}

/// Entries of attributes with names that matter, taken from the bytes.
private func ldapAnswers(_ body: [UInt8]) -> [DirectoryAnswer] {
    let names = [
        "objectguid", "samaccountname", "userprincipalname", "mail", "displayname", "givenname", "sn", "useraccountcontrol",
        "accountexpires", "primarygroupid", "objectsid", "cn", "member", "member;range=0-1", "member;range=2-*",
        "member;range=1-x", "defaultnamingcontext", "dsservicename", "dnshostname", "highestcommittedusn", "invocationid",
    ]
    var input = InputReader(body)
    var answers: [DirectoryAnswer] = []
    while !input.isAtEnd, answers.count < 16 {
        var attributes = ["objectguid": [[UInt8](repeating: input.byte(), count: 16)]]
        for _ in 0..<(input.byte() % 6) { attributes[names[Int(input.byte()) % names.count], default: []].append(input.piece()) }
        let entry = LDAPEntry(dn: "CN=\(input.byte() % 4),DC=corp", attributes: attributes)
        answers.append(.search(LDAPResult(entries: [entry], cookie: input.byte() % 4 == 0 ? [1] : [])))
    }
    return answers
}

/// What lies in the store, and a key file that somebody gave.
private func fuzzStoredDirectory(_ bytes: [UInt8]) {
    if let mirror = DirectoryMirror(bytes: bytes) { check(mirror, Directory(id: "corp", kind: .okta)) }
    do throws(DirectoryFault) {
        let key = try ServiceAccountKey(Secret(bytes))
        precondition(key.privateKey.count > 0, "a key file without a key")
    } catch {
        precondition(!error.description.isEmpty, "a fault without words")
    }
}

func directoryInputSeeds() -> [[UInt8]] {
    let base = "https://graph.microsoft.com/v1.0"
    let texts: [(UInt8, String)] = [
        (0, #"{"value":[{"id":"1","mail":"ada@x","accountEnabled":true},{"id":"2","@removed":{"reason":"changed"}}],"@odata.deltaLink":"\#(base)/users/delta?d"}"#),
        (0, ##"{"value":[{"id":"g","displayName":"G","members@delta":[{"@odata.type":"#microsoft.graph.user","id":"1"}]}],"@odata.nextLink":"\##(base)/groups/delta?n"}"##),
        (1, "<https://acme.okta.com/api/v1/groups?after=1>; rel=\"next\"\u{0}" + #"[{"id":"g","lastMembershipUpdated":"2024-05-01T00:00:00.000Z","profile":{"name":"G"}}]"#),
        (1, "\u{0}" + #"[{"id":"1","status":"ACTIVE","lastUpdated":"2024-05-01T00:00:00.000Z","profile":{"login":"a@x","email":"a@x"}}]"#),
        (2, #"{"groups":[{"id":"g","name":"G"}],"users":[{"id":"1","primaryEmail":"a@x","suspended":false}],"members":[{"id":"1","type":"USER"},{"id":"n","type":"GROUP"},{"id":"C","type":"CUSTOMER"}],"nextPageToken":"t"}"#),
    ]
    var seeds = texts.map { [$0.0, 0] + Array($0.1.utf8) }
    var mirror = DirectoryMirror()
    mirror.put(.init(mail: "ada@x", firstName: "Ada", isActive: true), "1")
    mirror.putGroup("g", name: "G")
    mirror.add("1", toGroup: "g")
    mirror.putAlias("cn=1", for: "1")
    seeds.append([4] + mirror.bytes)
    seeds.append([3, 0, 1, 2, 7, 0, 3] + Array("512".utf8) + [3, 0, 3] + Array("a@x".utf8) + [1, 1, 9, 1, 13, 0, 12] + Array("CN=1,DC=corp".utf8) + [2, 1])
    return seeds
}
