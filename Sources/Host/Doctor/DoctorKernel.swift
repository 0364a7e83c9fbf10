import Base
import Glibc
import Tunnels

extension Doctor {
    func capabilities() -> Finding {
        Self.capabilities(Capabilities.effective ?? [])
    }

    static func capabilities(_ present: Capabilities) -> Finding {
        let needed: [(Capabilities, String, String)] = [
            (.netAdmin, "CAP_NET_ADMIN", "no interface, route or IPsec state can be made"),
            (.netRaw, "CAP_NET_RAW", "raw ESP and probes of the far end do not work"),
            (.netBindService, "CAP_NET_BIND_SERVICE", "UDP port 500 cannot be opened"),
        ]
        let missing = needed.filter { !present.contains($0.0) }
        let title = "Rights of the process"
        guard !missing.isEmpty else {
            return Finding(
                id: "capabilities", title: title, state: .ok, detail: needed.map(\.1).joined(separator: ", "))
        }
        let names = missing.map(\.1)
        return Finding(
            id: "capabilities", title: title, state: .failed,
            detail: missing.map { "without \($0.1) \($0.2)" }.joined(separator: "; "),
            remedy: "run as root, or put AmbientCapabilities=\(names.joined(separator: " ")) into the unit "
                + "(systemctl edit gatehoused)")
    }

    func tunnelDevice() -> Finding {
        let descriptor = open("/dev/net/tun", O_RDWR | O_CLOEXEC)
        let code = errno
        if descriptor >= 0 { close(descriptor) }
        return Self.tunnelDevice(failure: descriptor >= 0 ? nil : code)
    }

    static func tunnelDevice(failure code: Int32?) -> Finding {
        let title = "TUN device"
        guard let code else {
            return Finding(id: "tun-device", title: title, state: .ok, detail: "/dev/net/tun can be opened")
        }
        let remedy =
            switch code {
            case EACCES, EPERM:
                "chmod 0666 /dev/net/tun, or DeviceAllow=/dev/net/tun rw in the unit (systemctl edit gatehoused)"
            default: "modprobe tun; for a container: --device /dev/net/tun"
            }
        return Finding(
            id: "tun-device", title: title, state: .failed,
            detail: "/dev/net/tun: \(String(cString: strerror(code))); the userspace data path cannot make a "
                + "tunnel's interface",
            remedy: remedy)
    }

    func kernelESP(_ esp: KernelESP) -> Finding {
        let title = "ESP in the kernel"
        switch esp {
        case .withoutInterfaces(let reason):
            return Finding(
                id: "kernel-esp", title: title, state: .warning,
                detail: "there, but no XFRM interface can be made (\(reason)); tunnels run in userspace, which costs "
                    + "more of the processor",
                remedy: "modprobe xfrm_interface; if there is no such module, boot a kernel with CONFIG_XFRM_INTERFACE "
                    + "(apt install linux-image-amd64)")
        case .available(let suites):
            return Finding(
                id: "kernel-esp", title: title, state: .ok, detail: "there, with \(suites.joined(separator: " and "))")
        case .missing(let reason):
            return Finding(
                id: "kernel-esp", title: title, state: .warning,
                detail: "missing (\(reason)); tunnels run in userspace, which costs more of the processor",
                remedy: "modprobe esp4 esp6; if there is no such module, boot a kernel with CONFIG_INET_ESP and "
                    + "CONFIG_INET6_ESP (apt install linux-image-amd64)")
        case .unknown(let reason):
            return Finding(
                id: "kernel-esp", title: title, state: .warning,
                detail: "could not be tried (\(reason)); `auto` then takes userspace for the tunnels",
                remedy: "run it with CAP_NET_ADMIN: sudo gatehouse doctor")
        }
    }

    /// What `auto` picks and whether what the configuration asks for works.
    func dataPath(_ esp: KernelESP, _ tunnelDevice: Finding) -> Finding {
        let title = "Data path"
        let hasUserspace = tunnelDevice.state == .ok
        let hasKernel = esp.isAvailable
        let whyNotKernel = esp.whyNot
        func finding(_ state: Finding.State, _ detail: String, _ remedy: String? = nil) -> Finding {
            Finding(id: "data-path", title: title, state: state, detail: detail, remedy: remedy)
        }
        switch plan.dataPath {
        case "kernel":
            return hasKernel
                ? finding(.ok, "the kernel, as configured")
                : finding(
                    .failed, "the configuration asks for the kernel, but \(whyNotKernel): no tunnel can be built",
                    "set dataPath: auto in /etc/gatehouse/gatehoused.yaml")
        case "userspace":
            return hasUserspace
                ? finding(.ok, "userspace, as configured")
                : finding(
                    .failed, "the configuration asks for userspace, but there is no TUN device: no tunnel can be built",
                    tunnelDevice.remedy)
        default:
            if hasKernel { return finding(.ok, "auto picks the kernel") }
            return hasUserspace
                ? finding(.ok, "auto picks userspace: \(whyNotKernel)")
                : finding(
                    .failed,
                    "auto finds nothing: \(whyNotKernel) and there is no TUN device, so no tunnel can be built",
                    tunnelDevice.remedy)
        }
    }

    func nftables() -> Finding {
        let title = "nftables"
        do throws(NetlinkError) {
            let generation = try Netlink(.netfilter).nftablesGeneration()
            return Finding(id: "nftables", title: title, state: .ok, detail: "there, generation \(generation)")
        } catch {
            return Finding(
                id: "nftables", title: title, state: .warning,
                detail: "\(error); who may use a tunnel cannot be decided on this host",
                remedy: error.errno == EPERM ? "run it with CAP_NET_ADMIN: sudo gatehouse doctor" : "modprobe nf_tables"
            )
        }
    }

    func policies() -> Finding {
        do throws(NetlinkError) {
            return Self.policies(try Netlink(.xfrm).policies(), remoteNetworks: plan.remoteNetworks)
        } catch {
            guard error.errno != EPROTONOSUPPORT else {
                return Finding(
                    id: "xfrm-policies", title: "IPsec policies of others", state: .ok,
                    detail: "the kernel is built without them")
            }
            return Finding(
                id: "xfrm-policies", title: "IPsec policies of others", state: .warning,
                detail: "\(error); whether another program takes packets meant for tunnels is not known",
                remedy: "run it with CAP_NET_ADMIN: sudo gatehouse doctor")
        }
    }

    /// Policies that can take packets on their way into a tunnel. Those of an XFRM interface see no others' packets,
    /// and inbound ones see only what has come out of ESP.
    static func policies(_ present: [KernelPolicy], remoteNetworks: [IPPrefix]) -> Finding {
        let title = "IPsec policies of others"
        let general = present.filter { $0.interfaceID == 0 && $0.direction != .input }
        let rivals = general.filter { policy in
            remoteNetworks.contains { $0.contains(policy.destination) || policy.destination.contains($0) }
        }
        guard let first = rivals.first else {
            let detail = general.isEmpty ? "none" : "\(general.count), for other networks than those of the tunnels"
            return Finding(id: "xfrm-policies", title: title, state: .ok, detail: detail)
        }
        return Finding(
            id: "xfrm-policies", title: title, state: .failed,
            detail: "\(rivals.count) of another program, such as \(first.source) to \(first.destination), take packets "
                + "for the networks behind the tunnels: these are "
                + (first.isBlock ? "dropped" : "encrypted by the other"),
            remedy: "ip xfrm policy; then stop the program that made them")
    }
}
