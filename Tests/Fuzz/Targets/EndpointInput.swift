import Access
import Base
import Cryptography
import HTTP
import JSONText
@testable import Vendors

/// What an endpoint protection platform answers, and a profile that an administrator gives: the first byte says which.
func fuzzEndpointInput(_ bytes: [UInt8]) {
    var input = InputReader(bytes)
    let door = Int(input.byte())
    let rest = input.remainder()
    guard door % 8 != 7 else { return fuzzProfile(String(decoding: rest, as: UTF8.self)) }
    let vendor = EndpointProfile.names[door % EndpointProfile.names.count]
    guard let profile = EndpointProfile.named(vendor) else { return }
    let call = profile.callNames[door / 16 % profile.callNames.count].name
    fuzzCall(connection(vendor), profile, call, rest)
}

private let moment = WallTime(nanoseconds: 1_768_471_200_000_000_000)

private func connection(_ kind: String) -> EndpointConnection {
    var connection = EndpointConnection(id: "x", kind: kind)
    connection.url = kind == "gravityzone" ? "https://cloud.gravityzone.bitdefender.com" : "https://acme.sentinelone.net"
    if kind == "defender" || kind == "heimdal" { connection.url = nil }
    connection.key = Secret(Array("key".utf8))
    connection.values = ["customer": "1", "tenant": "t", "client-id": "c", "signature-days": "99999999999999999"]
    return connection
}

private func fuzzCall(_ connection: EndpointConnection, _ profile: EndpointProfile, _ call: String, _ body: [UInt8]) {
    var mirror = EndpointMirror(connection, profile)
    let known = #"{"id":"a","clientInfoId":1,"isActive":true,"isManaged":true}"#
    guard let row = try? JSONTree.parse(known) else { return }
    _ = mirror.take(listing: [row], isComplete: true, now: moment)
    let isSingle = profile.perEndpointCalls.contains(call)
    do throws(VendorFailure) {
        var run = try CallRun(
            connection, profile, call: call, isSingle ? .endpoint(id: "a") : .all, entropy: [1], now: moment)
        let first = run.request?.url.authority
        let rows = try run.receive(HTTPResponse(status: 200, body: body))
        precondition(run.request == nil || run.request?.url.authority == first, "the credentials go to another host")
        if call == profile.listingName {
            let result = mirror.take(listing: rows, isComplete: false, now: moment)
            precondition(result.change.removed.count <= 1 && mirror.count >= 0, "a part of a listing removes endpoints")
        } else if isSingle {
            _ = mirror.take(rows, of: call, endpoint: "a", now: moment)
        } else {
            _ = mirror.take(rows, of: call, now: moment)
        }
        _ = KeyLife.end(in: rows, profile).map { KeyLife.warning(of: connection, profile, end: $0, now: moment) }
    } catch {
        precondition(!error.description.isEmpty && error.description.utf8.count < 8192, "a failure that no one can read")
    }
    let source = PostureSource(
        name: "x", vendor: connection.kind, supports: profile.supports(infers: true), completedAt: moment)
    for record in mirror.records {
        for attribute in PostureAttribute.allCases {
            if case .value(_, let time) = record.outcome(attribute, of: source, now: moment).outcome {
                precondition(time <= moment + .seconds(600), "a value from the future")
            }
        }
    }
}

private func fuzzProfile(_ text: String) {
    do throws(ProfileFault) {
        let profile = try EndpointProfile(text)
        var connection = connection(EndpointConnection.custom)
        connection.allowsAnyHost = true
        for name in profile.callNames.map(\.name) { fuzzCall(connection, profile, name, Array(#"{"a":[{"i":"1"}]}"#.utf8)) }
    } catch {
        precondition(!error.reason.isEmpty && error.reason.utf8.count < 8192, "a fault that no one can read")
    }
}

func endpointInputSeeds() -> [[UInt8]] {
    let answers: [(UInt8, String)] = [
        (0, #"{"value":[{"id":"a","onboardingStatus":"Onboarded","healthStatus":"Active","riskScore":"None"}]}"#),
        (0x20, #"{"value":[{"machineId":"a","status":"New","severity":"High","category":"Malware","evidence":[]}]}"#),
        (1, #"{"id":"01-0","result":{"items":[{"id":"a","macs":["020000000001"],"isManaged":true}],"pagesCount":2}}"#),
        (0x11, #"{"id":"01-0","result":{"id":"a","riskScore":{"value":"81%"},"lastSeen":"2026-01-15T08:01:02"}}"#),
        (2, #"[{"clientInfoId":1,"agentVersion":"4.6.2","lastSeen":"2026-01-15T08:01:02"}]"#),
        (0x12, #"{"vdfDate":"2026-01-15T08:01:02","clientInfoId":1}"#),
        (3, #"{"data":[{"id":"a","isActive":true,"osType":"windows","activeThreats":1e9}],"pagination":{"nextCursor":"x="}}"#),
        (3, #"{"errors":[{"code":4010010,"title":"Authentication Failed","detail":null}]}"#),
        (
            7,
            "title: A\nauthorization: \"K {key}\"\ncalls:\n  a: {path: /a, items: \"a[]\", every: 60, paging: {page: true}}\n"
                + "endpoint: {id: i}\nattributes:\n  infected: {cases: [{when: {x: {above: 3}}, then: true}]}\n"
        ),
    ]
    return answers.map { [$0.0] + Array($0.1.utf8) }
}
