import Base
import HTTP
import Portal
import Testing

@testable import Gateway

@Suite struct BootConfigurationTests {
    @Test func anEmptyFileKeepsTheDefaults() throws {
        #expect(try BootConfiguration(yaml: "# nothing yet\n", file: "boot.yaml") == BootConfiguration())
    }

    @Test func readsEveryKey() throws {
        let boot = try BootConfiguration(
            yaml: """
                stateDirectory: /tmp/state
                runtimeDirectory: /tmp/run
                listen: [198.51.100.2, "2001:db8::2"]
                ikePort: 1500
                natPort: 14500
                dataPath: userspace
                logLevel: debug
                statusGroup: monitoring
                """, file: "boot.yaml")
        #expect(boot.databasePath == "/tmp/state/gatehouse.sqlite")
        #expect(boot.controlSocketPath == "/tmp/run/control.sock")
        #expect(boot.listen.map(\.description) == ["198.51.100.2", "2001:db8::2"])
        #expect(boot.ikePort == 1500 && boot.natPort == 14500)
        #expect(boot.dataPath == .userspace && boot.logLevel == .debug && boot.statusGroup == "monitoring")
        #expect(boot.signInPages == nil)
    }

    @Test func readsWhereTheSignInPagesAre() throws {
        let boot = try BootConfiguration(
            yaml: """
                portal:
                  address: https://gate.example.com
                  listen: [10.1.0.1]
                  port: 8443
                  redirectPort: 8080
                  certificate: /etc/gatehouse/portal.crt
                  key: /etc/gatehouse/portal.key
                """, file: "boot.yaml")
        let pages = try #require(boot.signInPages)
        #expect(pages.address.origin == "https://gate.example.com" && pages.address.port == 443)
        #expect(pages.listen.map(\.description) == ["10.1.0.1"] && pages.port == 8443 && pages.redirectPort == 8080)
        #expect(pages.certificate == "/etc/gatehouse/portal.crt" && pages.key == "/etc/gatehouse/portal.key")
        let least = try BootConfiguration(yaml: "portal: {address: 'https://10.1.0.1:8443'}", file: "boot.yaml")
        #expect(least.signInPages?.address.port == 8443 && least.signInPages?.certificate == nil)
    }

    @Test func readsHowCallsLeave() throws {
        let boot = try BootConfiguration(
            yaml: "outgoing: {proxy: 'http://proxy.example:8080', withoutProxy: [corp.example, 10.0.0.0/8]}", file: "b")
        let settings = try boot.outgoing.settings()
        #expect(settings.proxy?.url == "http://proxy.example:8080" && settings.extraCA.isEmpty)
        #expect(settings.proxy?.exceptions == ["corp.example", "10.0.0.0/8"])
        let missing = try BootConfiguration(yaml: "outgoing: {ca: /nowhere/ca.pem}", file: "b")
        let error = #expect(throws: BootConfiguration.Invalid.self) { try missing.outgoing.settings() }
        #expect(error?.description.contains("/nowhere/ca.pem") == true)
    }

    @Test(arguments: [
        ("outgoing: {proxy: 'socks5://x:1'}", "outgoing.proxy must be http://"),
        ("outgoing: {proxy: 'http://ada:secret@x:1'}", "outgoing.proxy must not hold the login"),
        ("outgoing: {colour: red}", "unknown key 'outgoing.colour'"),
        ("dataPath: magic", "line 1: dataPath is 'magic', must be one of auto, userspace, kernel"),
        ("\nikePort: 70000", "line 2: ikePort must be a port from 1 to 65535"),
        ("listen: [example.org]", "listen has 'example.org', which is no IP address"),
        ("colour: red", "unknown key 'colour'"),
        ("portal: yes", "portal must be a mapping"),
        ("portal: {port: 443}", "portal needs an address"),
        ("portal: {address: 'http://gate.example.com'}", "portal.address must be https://"),
        ("portal: {address: 'https://gate.example.com/path'}", "portal.address must be https://"),
        ("portal: {address: 'https://gate.example.com', colour: red}", "unknown key 'portal.colour'"),
        ("portal: {address: 'https://gate.example.com', key: a}", "portal needs both certificate and key"),
        ("portal: {address: 'https://gate.example.com', redirectPort: 443}", "portal has one port"),
        ("- a\n- b", "must be a mapping"),
        ("a: [", "is not YAML"),
    ])
    func saysWhichKeyIsWrongAndWhatIsPossible(yaml: String, message: String) {
        let error = #expect(throws: BootConfiguration.Invalid.self) {
            try BootConfiguration(yaml: yaml, file: "boot.yaml")
        }
        #expect(error?.description.hasPrefix("boot.yaml: ") == true)
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
    }
}
