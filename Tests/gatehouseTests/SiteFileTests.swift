import Base
import Cryptography
import IKE
import JSONText
import Portal
import PortalFake
import Testing
import Tunnels

@testable import gatehouse

@Suite struct SiteFileTests {
    private let passphrase = Secret(Array("a passphrase of words".utf8))
    private let salt = [UInt8](repeating: 7, count: SealingKey.saltLength)

    private func read(_ text: String, _ passphrase: Secret? = nil) throws -> SiteOrder {
        try SiteFile.read(Array(text.utf8), file: "site.yaml") { passphrase ?? self.passphrase }
    }

    private func complaint(_ text: String, _ passphrase: Secret? = nil) -> String {
        do {
            _ = try read(text, passphrase)
            return "read without complaint"
        } catch {
            return (error as? CommandFailure)?.message ?? "\(error)"
        }
    }

    private func site(_ random: inout SplitMix) -> Site {
        let names = ["plain", "Größe \"x\" # y", "yes", "日本 🐢", "- a: b", "null", "1.5", "(hidden)", "a\tb"]
        return Site(
            connectors: (0..<Int.random(in: 0...3, using: &random)).map { number in
                var connector = Connector.example(id: "c\(number)", isEnabled: .random(using: &random))
                connector.name = names.randomElement(using: &random) ?? ""
                connector.routing = Connector.Routing.allCases.randomElement(using: &random) ?? .static
                connector.initiation = Connector.Initiation.allCases.randomElement(using: &random) ?? .respond
                connector.remoteNetworks = [IPPrefix("2001:db8::/48"), IPPrefix("10.9.0.0/16")].compactMap { $0 }
                connector.tunnels[0].name = "\(number) \(names.randomElement(using: &random) ?? "")"
                connector.tunnels[0].phase1.authentication = .psk(
                    Secret(
                        Bool.random(using: &random)
                            ? Array((names.randomElement(using: &random) ?? "x").utf8)
                            : (1...32).map { _ in UInt8.random(in: 0...255, using: &random) }))
                connector.tunnels[0].phase1.encryption = EncryptionAlgorithm.allCases.shuffled(using: &random)
                connector.tunnels[0].phase1.integrity = IntegrityAlgorithm.allCases.shuffled(using: &random)
                connector.tunnels[0].phase1.dhGroups = DHGroup.allCases.shuffled(using: &random)
                connector.tunnels[0].phase2.pfsGroups = []
                connector.tunnels[0].phase2.esn = .random(using: &random)
                if Bool.random(using: &random) { connector.tunnels[0].inside = nil }
                return connector
            }, settings: Bool.random(using: &random) ? ["b": "no", "a: #": "\"é"] : [:])
    }

    @Test func whatIsExportedIsReadBackExactly() throws {
        var random = SplitMix(state: 11)
        let key = try SealingKey(passphrase: passphrase, salt: salt)
        for _ in 0..<200 {
            let site = site(&random)
            let order = SiteOrder(connectors: site.connectors, settings: site.settings)
            #expect(try SiteFile.text(site, .clear) == SiteFile.text(site, .clear))
            #expect(try read(SiteFile.text(site, .clear)) == order)
            #expect(try read(SiteFile.json(site, .clear).text(isPretty: true)) == order)
            let hidden = try read(SiteFile.text(site, .hidden))
            #expect(hidden.connectors.allSatisfy { $0.tunnels[0].phase1.psk?.count == 0 })
        }
        let site = Site(connectors: [.example(id: "a"), .example(id: "b")])
        let sealed = try SiteFile.text(site, .sealed(key, salt: salt) { [UInt8](repeating: 1, count: $0) })
        #expect(!sealed.contains("correct horse"))
        #expect(try read(sealed).connectors == site.connectors)
        #expect(complaint(sealed, Secret(Array("another passphrase".utf8))).contains("does not open"))
        #expect(complaint(sealed.replacing("id: a\n", with: "id: z\n")).contains("does not open"))
    }

    @Test func faultsAreNamedAllInOneGo() throws {
        let text = try SiteFile.text(Site(connectors: [.example(id: "a"), .example(id: "b")]), .clear)
        let message = complaint(text.replacing("10.0.0.0/16", with: "10.0.0.0/99"))
        #expect(message.contains("connectors[0].remoteNetworks[0] is '10.0.0.0/99'"))
        #expect(message.contains("connectors[1].remoteNetworks[0]"))
        #expect(!message.contains("horse"))
        #expect(complaint(text + "users: []\n").contains("unknown key 'users'"))
        #expect(complaint(text + "users: []\n").contains("line "))
        #expect(complaint(text.replacing("gatehouse: 1", with: "gatehouse: 2")).contains("it reads 1"))
        #expect(complaint("gatehouse: 1\n").contains("needs connectors"), "nothing said is not nothing wanted")
    }
}
