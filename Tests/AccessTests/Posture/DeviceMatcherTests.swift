import Base
import Testing

@testable import Access

@Suite struct DeviceMatcherTests {
    private let laptop = EndpointRecord.sample(
        "1", host: "FIN-LT-042.corp.example", macs: ["00:11:22:33:44:55", "00:11:22:33:44:66"],
        addresses: ["10.1.0.10"], user: "CORP\\ann")

    private func match(
        _ records: [EndpointRecord], address text: String = "10.1.0.10", mac: String? = nil, host: String? = nil,
        user: String? = nil, pinned: [EndpointKey] = [], least: MatchLevel = .user, now: WallTime = noon
    ) -> DeviceFacts.Match {
        let place = Whereabouts(
            address: address(text), mac: mac.map { MACAddress($0)! }, hostName: host, user: user, pinned: pinned)
        return EndpointDirectory(records).facts(of: place, least: least, now: now).sources[0].match
    }

    @Test func levelsComeInTheirOrder() {
        #expect(match([laptop], address: "10.9.9.9", mac: "00:11:22:33:44:66") == .found(laptop, by: .mac))
        #expect(match([laptop]) == .found(laptop, by: .address))
        #expect(match([laptop], address: "10.9.9.9", host: "fin-lt-042") == .found(laptop, by: .hostName))
        #expect(match([laptop], address: "10.9.9.9", user: "ann@example.org") == .found(laptop, by: .user))
        #expect(match([laptop], address: "10.9.9.9") == .none(isCertain: false))
        #expect(match([laptop], address: "10.9.9.9", mac: "00:11:22:33:44:77") == .none(isCertain: true))
    }

    /// A device with two cards is one device by either.
    @Test func bothCardsAreTheSameDevice() {
        for card in laptop.macs { #expect(match([laptop], mac: card.description) == .found(laptop, by: .mac)) }
    }

    /// Two devices with one address in turn: the card says which one is there, and the record of the other one, which
    /// had the address a moment ago, is not taken for it.
    @Test func anAddressThatChangedHandsIsNotTheFormerDevice() {
        let other = EndpointRecord.sample("2", macs: ["00:11:22:33:44:99"])
        #expect(match([laptop, other], mac: "00:11:22:33:44:99") == .found(other, by: .mac))
        #expect(match([laptop], mac: "00:11:22:33:44:99") == .none(isCertain: true))
        #expect(match([laptop], mac: "00:11:22:33:44:99", host: "fin-lt-042", user: "ann@x") == .none(isCertain: true))
    }

    @Test func twoThatFitAreNone() {
        var twin = laptop
        twin.key.id = "2"
        #expect(match([laptop, twin], mac: "00:11:22:33:44:55") == .ambiguous([laptop.key, twin.key], by: .mac))
        // Nothing less sure takes the place of what is ambiguous.
        twin.hostName = "other"
        #expect(match([laptop, twin], host: "other") == .ambiguous([laptop.key, twin.key], by: .address))
    }

    @Test func addressesCountWhileTheyAreFreshAndPrivate() {
        #expect(match([laptop], now: noon.later(3540)) == .none(isCertain: false))
        var roaming = laptop
        roaming.addresses = [address("203.0.113.7")]
        #expect(match([roaming], address: "203.0.113.7") == .none(isCertain: false))
        roaming = laptop
        roaming.seenAt = nil
        #expect(match([roaming]) == .none(isCertain: false))
    }

    @Test func whatIsLessSureThanAskedForDoesNotCount() {
        #expect(match([laptop], address: "10.9.9.9", user: "ann@x", least: .hostName) == .tooWeak(laptop.key, by: .user))
        #expect(match([laptop], least: .mac) == .tooWeak(laptop.key, by: .address))
    }

    @Test func theDeviceOfTheSignInStaysUntilSomethingSpeaksAgainstIt() {
        // An hour later the address has grown old, and the session goes on with its device.
        #expect(match([laptop], pinned: [laptop.key], now: noon.later(7200)) == .found(laptop, by: .session))
        #expect(match([laptop], mac: "00:11:22:33:44:99", pinned: [laptop.key]) == .none(isCertain: true))
        #expect(match([], pinned: [laptop.key]) == .none(isCertain: false))
    }

    @Test func groupAndEmptyCardsSayNothing() {
        var odd = laptop
        odd.macs = [mac("00:00:00:00:00:00"), mac("01:00:5e:00:00:01"), mac("ff:ff:ff:ff:ff:ff")]
        for card in odd.macs {
            #expect(match([odd], address: "10.9.9.9", mac: card.description) == .none(isCertain: false))
        }
    }

    @Test func accountsAreReadAsVendorsWriteThem() {
        for account in ["ann@Example.org", "CORP\\Ann", "ann"] {
            var record = laptop
            record.lastUser = account
            #expect(match([record], address: "10.9.9.9", user: "ann@example.org") == .found(record, by: .user))
        }
        var record = laptop
        record.lastUser = "ann@elsewhere.example"
        #expect(match([record], address: "10.9.9.9", user: "ann@example.org") == .none(isCertain: false))
    }

    /// Changes leave no trace of what was: an index is as one that was built of the records that are left.
    @Test func changesAreWhatTheyWouldBeFromTheBeginning() {
        var random = SmallRandom(11)
        let macs = (0..<6).map { "02:00:00:00:00:0\($0)" }
        func some(_ id: Int) -> EndpointRecord {
            .sample(
                "\(id)", host: random.pick(["a", "b", "A.x"]), macs: random.some(macs),
                addresses: random.some(["10.0.0.1", "10.0.0.2"]), user: random.pick(["ann", "bob", nil]))
        }
        var directory = EndpointDirectory([])
        for _ in 0..<400 {
            if random.chance(3) {
                _ = directory.receive(.removed([EndpointKey(source: "s1", id: "\(random.next() % 8)")]))
            } else {
                _ = directory.receive(.changed([some(Int(random.next() % 8))]))
            }
            let fresh = EndpointDirectory(Array(directory.records.values))
            for text in macs { #expect(Set(directory.keys(mac: mac(text))) == Set(fresh.keys(mac: mac(text)))) }
            for name in ["a", "b"] {
                #expect(Set(directory.keys(hostName: name)) == Set(fresh.keys(hostName: name)))
            }
            for user in ["ann@x", "bob@x"] { #expect(Set(directory.keys(user: user)) == Set(fresh.keys(user: user))) }
            #expect(Set(directory.keys(address: address("10.0.0.1"))) == Set(fresh.keys(address: address("10.0.0.1"))))
        }
    }
}

@Suite struct DHCPLeaseTests {
    private func leases(_ text: String) throws -> DHCPLeases { try DHCPLeases(Array(text.utf8)) }

    @Test func dnsmasqsFileIsRead() throws {
        let leases = try leases(
            """
            1795610000 00:11:22:33:44:55 10.1.0.10 fin-lt-042 01:00:11:22:33:44:55
            0 00:11:22:33:44:66 10.1.0.11 * *
            duid 00:01:00:01:2a
            1795610000 1234 fd00::10 v6host 00:01
            broken line

            """)
        #expect(leases.byAddress[address("10.1.0.10")] == .init(
            mac: mac("00:11:22:33:44:55"), hostName: "fin-lt-042", until: WallTime(nanoseconds: 1_795_610_000_000_000_000)))
        #expect(leases.byAddress[address("10.1.0.11")] == .init(mac: mac("00:11:22:33:44:66")))
        #expect(leases.byAddress[address("fd00::10")]?.hostName == "v6host" && leases.passedOver == 1)
        #expect(leases.lease(of: address("10.1.0.10"), now: WallTime(nanoseconds: 1_795_610_000_000_000_000)) == nil)
    }

    @Test func iscsFileIsReadAndTheLastEntryHolds() throws {
        let leases = try leases(
            """
            # The format of this file is documented in the dhcpd.leases(5) manual page.
            authoring-byte-order little-endian;
            lease 10.1.0.10 {
              starts 3 2026/11/25 10:00:00;
              ends 3 2026/11/25 22:00:00;
              binding state active;
              hardware ethernet 00:11:22:33:44:01;
              client-hostname "OLD";
            }
            lease 10.1.0.10 {
              ends 3 2026/11/25 23:00:00;
              binding state active;
              next binding state free;
              hardware ethernet 00:11:22:33:44:55;
              client-hostname "FIN-LT-042";
            }
            lease 10.1.0.11 {
              ends never;
              binding state free;
              hardware ethernet 00:11:22:33:44:66;
            }
            """)
        #expect(leases.byAddress == [
            address("10.1.0.10"): .init(
                mac: mac("00:11:22:33:44:55"), hostName: "fin-lt-042", until: WallTime(rfc3339: "2026-11-25T23:00:00Z"))
        ])
    }

    @Test func keasFileIsReadByItsHeader() throws {
        let leases = try leases(
            """
            address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context,pool_id
            10.1.0.10,00:11:22:33:44:55,01:00,3600,1795610000,1,0,0,fin-lt-042.corp.example,0,,0
            10.1.0.12,00:11:22:33:44:77,,3600,1795610000,1,0,0,gone,0,,0
            10.1.0.12,00:11:22:33:44:77,,3600,1795610000,1,0,0,gone,2,,0
            half
            """)
        #expect(leases.byAddress.count == 1 && leases.passedOver == 1)
        #expect(leases.byAddress[address("10.1.0.10")]?.hostName == "fin-lt-042")
    }

    @Test func otherFilesAreRefusedAndNothingTraps() throws {
        #expect(throws: DHCPLeases.Fault.self) { try leases("root:x:0:0:root:/root:/bin/bash\n") }
        #expect(throws: DHCPLeases.Fault.self) { try leases("address,hwaddr\n10.0.0.1,aa\n") }
        #expect(try leases("\n \n").byAddress.isEmpty)
        var random = SmallRandom(5)
        let words = ["lease", "10.1.0.1", "{", "}", ";", "ends", "epoch", "0", "-1", "99999999999999", "hardware",
            "ethernet", "\"", "client-hostname", "address,hwaddr,expire,hostname", ",", "\n", " ", "duid", "*", "\u{0}"]
        for _ in 0..<2000 {
            let text = (0..<20).map { _ in random.pick(words) }.joined(separator: random.pick(["", " ", "\n"]))
            _ = try? leases(text)
        }
    }
}
