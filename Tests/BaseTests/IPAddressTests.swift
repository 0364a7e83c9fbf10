import Base
import Testing

@Suite struct IPAddressTests {
    @Test(arguments: ["0.0.0.0", "255.255.255.255", "198.51.100.7", "::", "::1", "2001:db8::1", "2001:db8:0:1:1:1:1:1", "fe80::1:0:0:1"])
    func printsWhatItRead(text: String) throws {
        #expect(try #require(IPAddress(text)).description == text)
    }

    @Test(arguments: ["", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4 ", ":::", "1::2::3", "2001:db8", "12345::", "::1%eth0", "+1::", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8"])
    func refusesWhatIsNoAddress(text: String) { #expect(IPAddress(text) == nil) }
}
