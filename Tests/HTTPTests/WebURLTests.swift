import Base
import Cryptography
import HTTP
import Testing

@Suite struct WebURLTests {
    @Test func aURLIsTakenApart() throws {
        let url = try #require(WebURL("https://Login.Example.com:8443/a/b?x=1&y=2"))
        #expect(url.host == "login.example.com" && url.port == 8443)
        #expect(url.path == "/a/b" && url.query == "x=1&y=2")
        #expect(url.origin == "https://login.example.com:8443")
        #expect(url.description == "https://login.example.com:8443/a/b?x=1&y=2")
        #expect(WebURL("HTTPS://example.com")?.description == "https://example.com/")
        #expect(WebURL("https://[2001:DB8::1]:444/")?.authority == "[2001:db8::1]:444")
        #expect(WebURL("https://example.com:443/x")?.origin == "https://example.com")
    }

    @Test(arguments: [
        "", "http://example.com/", "ftp://example.com/", "https://", "https:///x", "https://a@example.com/",
        "https://user:pw@example.com/", "https://example.com/#f", "https://example.com/a b", "https://exa\nmple.com/",
        "https://example.com:0/", "https://example.com:99999/", "https://example.com:x/", "https://[::1/", "https://[::g]/",
        "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://1.2.3.4.5/",
        "https://exämple.com/", "https://a..b/", "https://example.com/\u{0}", "https://example.com/\\evil",
    ]) func otherTextsAreRefused(_ text: String) { #expect(WebURL(text) == nil) }

    @Test func longURLsAreRefused() {
        #expect(WebURL("https://example.com/" + String(repeating: "a", count: 4000)) != nil)
        #expect(WebURL("https://example.com/" + String(repeating: "a", count: 5000)) == nil)
    }

    @Test(arguments: [
        ("/x", "https://a.example/x"), ("//b.example/y", "https://b.example/y"), ("?q=1", "https://a.example/d/e?q=1"),
        ("f", "https://a.example/d/f"), ("https://c.example/", "https://c.example/"), ("/x#frag", "https://a.example/x"),
        ("", "https://a.example/d/e"),
    ]) func referencesAreResolved(_ reference: String, _ expected: String) throws {
        let base = try #require(WebURL("https://a.example/d/e"))
        #expect(base.resolving(reference)?.description == expected)
    }

    @Test(arguments: ["http://a.example/x", "javascript:alert(1)", "//user@b.example/", "file:///etc/passwd"])
    func referencesAwayFromHTTPSLeadNowhere(_ reference: String) throws {
        #expect(try #require(WebURL("https://a.example/d/e")).resolving(reference) == nil)
    }

    @Test func aQueryGrows() throws {
        let url = try #require(WebURL("https://a.example/d"))
        #expect(url.adding([("a b", "c&d=é")]).query == "a%20b=c%26d%3D%C3%A9")
        #expect(url.adding([("a", "1")]).adding([("b", "2")]).query == "a=1&b=2")
    }
}

@Suite struct AddressPolicyTests {
    @Test(arguments: [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.255", "169.254.169.254", "172.16.0.1",
        "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.168.1.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1",
        "255.255.255.255", "::", "::1", "fe80::1", "fec0::1", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1", "::ffff:10.0.0.1",
        "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "2002:a00:1::1", "2002:7f00:1::", "2001::1", "100::1",
    ]) func specialAddressesAreForAdministratorsAlone(_ text: String) throws {
        let address = try #require(IPAddress(text))
        #expect(!AddressPolicy.publicOnly.permits(address))
        #expect(AddressPolicy.anywhere.permits(address))
    }

    @Test(arguments: [
        "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.167.1.1", "223.255.255.255",
        "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1",
    ]) func publicAddressesArePermitted(_ text: String) throws {
        #expect(AddressPolicy.publicOnly.permits(try #require(IPAddress(text))))
    }
}

@Suite struct OutgoingSettingsTests {
    @Test func aProxyIsRead() throws {
        let proxy = try #require(OutgoingSettings.Proxy("http://ada:pw%40@Proxy.example:8080/"))
        #expect(proxy.url == "http://proxy.example:8080")
        #expect(proxy.login?.exposedBytes == Array("ada:pw%40".utf8))
        #expect(!"\(proxy)".contains("pw"))
        #expect(OutgoingSettings.Proxy("https://proxy.example")?.url == "https://proxy.example:3128")
        #expect(OutgoingSettings.Proxy("https://proxy.example:443")?.port == 443)
        for text in ["proxy", "socks5://x:1", "http://", "http://x/path", "http://x:0"] {
            #expect(OutgoingSettings.Proxy(text) == nil)
        }
    }

    @Test func exceptionsGoStraight() throws {
        let proxy = try #require(
            OutgoingSettings.Proxy("http://p:1", exceptions: [".corp.example", "10.0.0.0/8", "one.example", "::1"]))
        for host in ["a.corp.example", "corp.example", "10.2.3.4", "one.example", "x.one.example", "::1"] {
            #expect(proxy.excepts(host), "\(host)")
        }
        for host in ["acorp.example", "example", "11.2.3.4", "corp.example.evil", "::2"] {
            #expect(!proxy.excepts(host), "\(host)")
        }
        #expect(try #require(OutgoingSettings.Proxy("http://p:1", exceptions: ["*"])).excepts("any.example"))
    }

    @Test func theEnvironmentIsRead() {
        let all = ["https_proxy": "proxy.example:8080", "NO_PROXY": "localhost, .corp.example"]
        let proxy = OutgoingSettings.proxy { all[$0] }
        #expect(proxy?.url == "http://proxy.example:8080" && proxy?.exceptions == ["localhost", ".corp.example"])
        #expect(OutgoingSettings.proxy { _ in nil } == nil)
    }
}
