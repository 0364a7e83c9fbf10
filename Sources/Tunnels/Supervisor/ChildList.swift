internal import Base
internal import IKE

/// The child SAs of a tunnel in the order in which they came. A responder's tunnel may serve thousands of peers.
struct ChildList: Sendable {
    struct Child: Sendable {
        var sa: ChildSA
        var isEstablished = false
        /// Replaced by a rekey; it still receives until it is removed.
        var isSuperseded = false

        /// Packets may be sent on it.
        var isCurrent: Bool { isEstablished && !isSuperseded }
    }

    private var list = KeyedList<UInt32, Child>()
    private var currentCount = 0

    var last: Child? { list.last }
    /// Whether packets may be sent on one of them.
    var hasCurrent: Bool { currentCount > 0 }
    var current: [ChildSA] { list.compactMap { $0.value.isCurrent ? $0.value.sa : nil } }
    var spis: [UInt32] { list.map(\.key) }

    /// By the inbound SPI.
    subscript(spiIn: UInt32) -> Child? {
        get { list[spiIn] }
        set {
            if list[spiIn]?.isCurrent == true { currentCount -= 1 }
            if newValue?.isCurrent == true { currentCount += 1 }
            list[spiIn] = newValue
        }
    }
}
