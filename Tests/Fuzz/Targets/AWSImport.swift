import Base
import Cryptography
import Tunnels

/// The whole way from a file's bytes to a plan or to words for a person.
func fuzzAWSImport(_ bytes: [UInt8]) {
    guard bytes.count <= 1 << 16 else { return }
    do throws(ImportError) {
        let plan = try AWSImport.read(bytes)
        let shown = plan.table() + plan.json()
        if let connector = try? plan.connector() {
            for case let key? in connector.tunnels.map(\.phase1.psk) { requireHidden(key, in: shown) }
        }
    } catch {
        precondition(!error.reason.isEmpty && !error.remedy.isEmpty, "an error that says nothing")
        precondition(error.description.utf8.count < 4096, "an error that no one can read")
        if let line = error.line { precondition(line >= 1, "a line that no file has") }
    }
}

/// A key of some length appears nowhere, whole.
private func requireHidden(_ key: Secret, in text: String) {
    let bytes = key.exposedBytes
    // Shorter ones may well be a word of the table.
    guard bytes.count >= 16 else { return }
    precondition(!text.contains(String(decoding: bytes, as: UTF8.self)), "a key is shown")
}
