import Base
import Cryptography
import Testing

@testable import IKE

/// Which SAs are between two identities.
struct DirectoryTests {
    @Test func anSAIsFoundByItsTwoIdentitiesUntilItIsForgotten() {
        var directory = Directory()
        let (here, there, elsewhere) = (IKEIdentity.fqdn("here"), IKEIdentity.fqdn("there"), IKEIdentity.fqdn("elsewhere"))
        directory.noteContact(2, here, there)
        directory.noteContact(1, here, there)
        directory.noteContact(1, here, there)
        directory.noteContact(3, here, elsewhere)
        directory.noteContact(4, nil, there)
        #expect(directory.contacts(here, there) == [1, 2])
        #expect(directory.contacts(nil, there) == [4])
        #expect(directory.contacts(there, here).isEmpty)
        // The peer has proven to be someone else than was expected.
        directory.noteContact(2, here, elsewhere)
        #expect(directory.contacts(here, there) == [1])
        #expect(directory.contacts(here, elsewhere) == [2, 3])
        for spi in UInt64(0)...5 { directory.forgetContact(spi) }
        #expect(directory.hasNoContacts)
    }

    /// However an SA ends, it stays in no index.
    @Test(arguments: ["terminate", "silence", "rekey", "refusal"]) func nothingIsFiledOfSAsThatAreGone(_ end: String) {
        var pair = Pair()
        if end == "refusal" {
            var other = Pair.configuration(.b)
            other.authentication = .psk(Secret(Array("another".utf8)))
            pair.give(.b, .configure(Pair.id, other))
            pair.give(.a, .initiate(Pair.id))
        } else {
            pair.connect()
            #expect(!pair.a.engine.directory.hasNoContacts && !pair.b.engine.directory.hasNoContacts)
        }
        switch end {
        case "silence": pair.loses = { _ in true }
        case "rekey":
            pair.give(.a, .rekeyIKE(Pair.id))
            pair.drive(.seconds(5))
        default: break
        }
        pair.give(.a, .terminate(Pair.id))
        if end == "silence" { pair.give(.b, .terminate(Pair.id)) }
        pair.drive(.seconds(400))
        #expect(pair.a.engine.ikeSACount == 0 && pair.b.engine.ikeSACount == 0)
        #expect(pair.a.engine.directory.hasNoContacts && pair.b.engine.directory.hasNoContacts)
    }

    /// What a restart brings back is filed again.
    @Test func anSAThatIsRestoredIsFoundAgain() {
        var pair = Pair()
        pair.connect()
        let restored = Engine(
            restoring: pair.a.engine.snapshot(), configuration: EngineConfiguration(), seed: [1], now: pair.now)
        #expect(!restored.directory.hasNoContacts)
    }
}
