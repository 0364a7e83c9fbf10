import Base
import Testing

@Suite struct IPAddressTests {
    @Test(arguments: [
        "0.0.0.0", "255.255.255.255", "198.51.100.7", "::", "::1", "2001:db8::1", "2001:db8:0:1:1:1:1:1",
        "fe80::1:0:0:1", "1::", "2001:0:0:1::1",
    ])
    func printsWhatItRead(text: String) throws {
        #expect(try #require(IPAddress(text)).description == text)
    }

    @Test(arguments: [
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"), ("::ffff:192.0.2.1", "::ffff:c000:201"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("0:0:0:0:0:0:0:0", "::"),
    ])
    func writesIPv6AsRFC5952Does(text: String, canonical: String) throws {
        #expect(try #require(IPAddress(text)).description == canonical)
    }

    @Test(arguments: [
        "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4 ", ":::", "1::2::3", "2001:db8", "12345::",
        "::1%eth0", "+1::", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8", "1.2.3.-4", "::1.2.3",
    ])
    func refusesWhatIsNoAddress(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test func readsAndWritesNetworkOrder() throws {
        let address = try #require(IPAddress("198.51.100.7"))
        #expect(address.bytes == [198, 51, 100, 7])
        #expect(IPAddress(bytes: address.bytes) == address)
        let six = try #require(IPAddress("2001:db8::ff"))
        #expect(six.bytes.count == 16 && six.bytes.last == 0xFF)
        #expect(IPAddress(bytes: six.bytes) == six)
        #expect(IPAddress(bytes: [1, 2, 3]) == nil)
    }

    @Test(arguments: [
        ("10.1.2.3", true), ("172.16.0.1", true), ("172.32.0.1", false), ("192.168.9.9", true), ("100.64.0.1", true),
        ("100.128.0.1", false), ("8.8.8.8", false), ("fd00::1", true), ("2001:db8::1", false),
    ])
    func knowsPrivateRanges(text: String, isPrivate: Bool) throws {
        #expect(try #require(IPAddress(text)).isPrivate == isPrivate)
    }

    @Test(arguments: [("169.254.1.2", true), ("fe80::1", true), ("febf::1", true), ("fec0::1", false), ("169.253.0.1", false)])
    func knowsLinkLocalRanges(text: String, isLinkLocal: Bool) throws {
        #expect(try #require(IPAddress(text)).isLinkLocal == isLinkLocal)
    }
}

@Suite struct IPPrefixTests {
    @Test(arguments: [
        ("10.1.2.3/16", "10.1.0.0", "10.1.255.255"), ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
        ("192.0.2.1/32", "192.0.2.1", "192.0.2.1"), ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("2001:db8::5/126", "2001:db8::4", "2001:db8::7"), ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("::1/128", "::1", "::1"),
    ])
    func spansFirstToLast(text: String, first: String, last: String) throws {
        let prefix = try #require(IPPrefix(text))
        #expect(prefix.first.description == first && prefix.last.description == last)
    }

    @Test(arguments: ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8", "::/129", "10.0.0/8", "10.0.0.0/8/8", ""])
    func refusesWhatIsNoNetwork(text: String) {
        #expect(IPPrefix(text) == nil)
    }

    @Test func containsWhatLiesWithin() throws {
        let prefix = try #require(IPPrefix("10.1.0.0/16"))
        #expect(prefix.contains(try #require(IPAddress("10.1.255.255"))))
        #expect(!prefix.contains(try #require(IPAddress("10.2.0.0"))))
        #expect(!prefix.contains(try #require(IPAddress("::a01:1"))))
        #expect(prefix.contains(try #require(IPPrefix("10.1.128.0/17"))))
        #expect(!prefix.contains(try #require(IPPrefix("10.0.0.0/8"))))
    }
}
