import Glibc
import Logging
import Portal
import PortalFake
import Testing

@Suite struct SocketFileTests {
    private func start(_ directory: String, group: String? = nil) async throws -> Portal {
        try await Portal.start(
            PortalConfiguration(runtimeDirectory: directory, statusGroup: group), api: FakeGateway(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func entry(_ path: String) -> stat? {
        var entry = stat()
        return lstat(path, &entry) == 0 ? entry : nil
    }

    @Test func theStatusSocketIsForItsGroupAndTheControlSocketForTheOwner() async throws {
        let directory = ScratchDirectory()
        let portal = try await start(directory.path)
        #expect(entry(directory.path + "/status.sock")?.st_mode == S_IFSOCK | 0o660)
        #expect(entry(directory.path + "/control.sock")?.st_mode == S_IFSOCK | 0o600)
        await portal.stop()
        #expect(entry(directory.path + "/status.sock") == nil)
        #expect(entry(directory.path + "/control.sock") == nil)
    }

    @Test(.enabled(if: getuid() == 0, "only root may give a file to any group"))
    func theStatusSocketGetsTheConfiguredGroup() async throws {
        let directory = ScratchDirectory()
        let portal = try await start(directory.path, group: "daemon")
        #expect(entry(directory.path + "/status.sock")?.st_gid == 1)
        #expect(entry(directory.path + "/control.sock")?.st_gid == getgid())
        await portal.stop()
    }

    @Test func anUnknownGroupIsNamed() async throws {
        let directory = ScratchDirectory()
        await #expect {
            _ = try await start(directory.path, group: "no-such-group")
        } throws: { error in
            "\(error)".contains("there is no group 'no-such-group'") && "\(error)".contains("groupadd")
        }
        #expect(entry(directory.path + "/status.sock") == nil)
    }

    @Test func aSecondDaemonIsRefusedAndTheFirstLivesOn() async throws {
        let directory = ScratchDirectory()
        let portal = try await start(directory.path)
        await #expect {
            _ = try await start(directory.path)
        } throws: { ($0 as? PortalError)?.kind == .alreadyRunning && "\($0)".contains("another gatehoused runs") }
        let reply = try await RawClient.exchange(directory.path + "/status.sock", "GET", "/v1/tunnels")
        #expect(reply.status == 200)
        await portal.stop()
        // And afterwards the place is free.
        let next = try await start(directory.path)
        await next.stop()
    }

    @Test func aSocketThatSomeoneElseAnswersIsLeftAlone() async throws {
        let directory = ScratchDirectory()
        let stranger = try Listener(directory.path + "/control.sock")
        await #expect(throws: PortalError.self) { _ = try await start(directory.path) }
        #expect(entry(directory.path + "/control.sock") != nil)
        #expect(entry(directory.path + "/status.sock") == nil)
        stranger.close()
    }

    @Test func aStaleSocketIsReplaced() async throws {
        let directory = ScratchDirectory()
        // What kill -9 leaves: the file without the process.
        try Listener(directory.path + "/status.sock").close()
        #expect(entry(directory.path + "/status.sock") != nil)
        let portal = try await start(directory.path)
        let reply = try await RawClient.exchange(directory.path + "/status.sock", "GET", "/v1/tunnels")
        #expect(reply.status == 200)
        await portal.stop()
    }

    @Test func aFileInTheWayIsNotRemoved() async throws {
        let directory = ScratchDirectory()
        let path = directory.path + "/status.sock"
        close(open(path, O_CREAT | O_WRONLY, 0o600))
        await #expect { _ = try await start(directory.path) } throws: { "\($0)".contains("is in the way") }
        #expect(entry(path).map { $0.st_mode & S_IFMT } == S_IFREG)
    }

    @Test func aPathThatIsTooLongIsRefusedInWords() async throws {
        let directory = ScratchDirectory()
        let long = directory.path + "/" + String(repeating: "d", count: 120)
        mkdir(long, 0o700)
        await #expect { _ = try await start(long) } throws: { "\($0)".contains("a socket's path may have 107") }
        unlink(long + "/gatehoused.lock")
        rmdir(long)
    }
}

/// A socket that listens until it is closed, and leaves its file.
private struct Listener {
    private let descriptor: Int32

    init(_ path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(result == 0)
        listen(descriptor, 5)
    }

    func close() {
        // A child process that another test is just starting may hold a copy for a moment.
        shutdown(descriptor, Int32(SHUT_RDWR))
        Glibc.close(descriptor)
    }
}
