import Base
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
    }

    @Test(arguments: [
        ("dataPath: magic", "line 1: dataPath is 'magic', must be one of auto, userspace, kernel"),
        ("\nikePort: 70000", "line 2: ikePort must be a port from 1 to 65535"),
        ("listen: [example.org]", "listen: 'example.org' is no IP address"),
        ("colour: red", "unknown key 'colour'"),
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
