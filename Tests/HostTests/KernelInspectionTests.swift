import Testing

@testable import Host

extension KernelDataPath {
    /// As a tunnel's opening does it, which a kernel without XFRM interfaces refuses.
    fileprivate func clampSegments(of interface: String, to mss: Int) throws {
        try clamp.set(interface, mss: mss)
    }

    /// As a child's installing does it, which a kernel without ESP refuses.
    fileprivate func want(_ policy: KernelPolicy) throws {
        for changed in book.hold([policy], by: 1) { try xfrm.replacePolicy(changed) }
    }
}

/// What went from the kernel without a word to us, as far as a kernel without ESP goes; the kernel lab does the rest.
@Suite("A look at what the data path has in the kernel")
struct KernelInspectionTests {
    let lab: KernelLab
    let path: KernelDataPath

    init() throws {
        lab = try KernelLab()
        path = try KernelDataPath(in: lab.namespace)
    }

    /// All that was told, in the data path's words.
    private func told() async -> [String] {
        await path.release()
        var told: [String] = []
        for await event in path.events {
            if case .mended(_, let what) = event { told.append(what) } else { told.append("\(event)") }
        }
        return told
    }

    @Test("Segment sizes that went with the firewall's rules are there again, which is told once")
    func segmentSizes() async throws {
        try await path.clampSegments(of: "gh0", to: 1360)
        #expect(try await path.inspect() == 0)
        try lab.exec("nft flush ruleset")
        #expect(try await path.inspect() == 1)
        #expect(try lab.exec("nft list table inet \(SegmentClamp.table)").contains("\"gh0\" : 1360"))
        #expect(try await path.inspect() == 0)
        let told = await told()
        #expect(told.count == 1 && told.first?.contains("segment sizes") == true, "\(told)")
    }

    @Test("A policy that went is back, and one with our numbers that nobody wants is gone")
    func policies() async throws {
        let xfrm = try Netlink(.xfrm, in: lab.namespace)
        try await path.want(KernelIPsecTests.policy)
        #expect(try await path.inspect() == 0)
        #expect(try xfrm.deletePolicy(KernelIPsecTests.policy.id))
        var unwanted = KernelIPsecTests.policy
        unwanted.interfaceID += 1
        try xfrm.addPolicy(unwanted)
        #expect(try await path.inspect() == 2)
        #expect(try xfrm.policies() == [KernelIPsecTests.policy])
        #expect(try await path.inspect() == 0)
        let told = await told()
        #expect(told.count == 2 && told.allSatisfy { $0.hasPrefix("found in a look at the kernel: 1 ") }, "\(told)")
    }

    @Test("Nothing is touched once the data path has ended")
    func afterTheEnd() async throws {
        try await path.clampSegments(of: "gh0", to: 1360)
        await path.release()
        try lab.exec("nft flush ruleset")
        #expect(try await path.inspect() == 0)
        #expect(try lab.exec("nft list ruleset").isEmpty)
    }
}
