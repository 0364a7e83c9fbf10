import Base
import Cryptography
import IKE

extension ImportRenderer {
    static let vyatta = ImportRenderer(
        name: "Vyatta", lacks: [.mss, .dpdRetries], sharesTerms: true, gcm: true
    ) { connection in
        connection.each("!") { index, tunnel in
            """
            set vpn ipsec ike-group AWS lifetime '\(tunnel.lifetime1)'
            set vpn ipsec ike-group AWS key-exchange 'ikev\(connection.version)'
            set vpn ipsec ike-group AWS proposal 1 dh-group '\(tunnel.group1.rawValue)'
            set vpn ipsec ike-group AWS proposal 1 encryption '\(Words.plain(tunnel.encryption1))'
            set vpn ipsec ike-group AWS proposal 1 hash '\(Words.plain(tunnel.integrity1))'
            set vpn ipsec site-to-site peer \(tunnel.remote) authentication mode 'pre-shared-secret'
            set vpn ipsec site-to-site peer \(tunnel.remote) authentication pre-shared-secret '\(tunnel.key)'
            set vpn ipsec site-to-site peer \(tunnel.remote) ike-group 'AWS'
            set vpn ipsec site-to-site peer \(tunnel.remote) local-address '\(connection.local)'
            set vpn ipsec site-to-site peer \(tunnel.remote) vti bind 'vti\(index)'
            set vpn ipsec site-to-site peer \(tunnel.remote) vti esp-group 'AWS'
            \(vyattaGroups(connection, tunnel))
            \(vyattaInside(connection, index, tunnel))
            set protocols bgp \(connection.localASN) neighbor \(tunnel.theirs) remote-as '\(connection.remoteASN)'
            set protocols bgp \(connection.localASN) neighbor \(tunnel.theirs) timers holdtime '\(connection.hold)'
            set protocols bgp \(connection.localASN) network 0.0.0.0/0
            """
        }
    }

    /// The newer form: peers with names, keys apart from them, BGP without the number in front.
    static let vyos = ImportRenderer(name: "VyOS", lacks: [.dpdRetries], sharesTerms: true, gcm: true) { connection in
        connection.each("!") { index, tunnel in
            """
            set vpn ipsec authentication psk AWS\(index) id '\(connection.local)'
            set vpn ipsec authentication psk AWS\(index) id '\(tunnel.remote)'
            set vpn ipsec authentication psk AWS\(index) secret '\(tunnel.key)'
            set vpn ipsec ike-group AWS lifetime '\(tunnel.lifetime1)'
            set vpn ipsec ike-group AWS key-exchange 'ikev\(connection.version)'
            set vpn ipsec ike-group AWS proposal 1 dh-group '\(tunnel.group1.rawValue)'
            set vpn ipsec ike-group AWS proposal 1 encryption '\(Words.plain(tunnel.encryption1))'
            set vpn ipsec ike-group AWS proposal 1 hash '\(Words.plain(tunnel.integrity1))'
            set vpn ipsec site-to-site peer aws\(index) authentication mode 'pre-shared-secret'
            set vpn ipsec site-to-site peer aws\(index) ike-group 'AWS'
            set vpn ipsec site-to-site peer aws\(index) local-address '\(connection.local)'
            set vpn ipsec site-to-site peer aws\(index) remote-address '\(tunnel.remote)'
            set vpn ipsec site-to-site peer aws\(index) vti bind 'vti\(index)'
            set vpn ipsec site-to-site peer aws\(index) vti esp-group 'AWS'
            \(vyattaGroups(connection, tunnel))
            \(vyattaInside(connection, index, tunnel))
            set interfaces vti vti\(index) ip adjust-mss '\(connection.mss)'
            set protocols bgp system-as '\(connection.localASN)'
            set protocols bgp neighbor \(tunnel.theirs) remote-as '\(connection.remoteASN)'
            set protocols bgp neighbor \(tunnel.theirs) timers holdtime '\(connection.hold)'
            """
        }
    }

    private static func vyattaGroups(_ connection: RandomConnection, _ tunnel: RandomConnection.Tunnel) -> String {
        """
        set vpn ipsec esp-group AWS lifetime '\(tunnel.lifetime2)'
        set vpn ipsec esp-group AWS mode 'tunnel'
        set vpn ipsec esp-group AWS pfs 'dh-group\(tunnel.group2.rawValue)'
        set vpn ipsec esp-group AWS proposal 1 encryption '\(Words.plain(tunnel.encryption2))'
        set vpn ipsec esp-group AWS proposal 1 hash '\(Words.plain(tunnel.integrity2))'
        set vpn ipsec ike-group AWS dead-peer-detection interval '\(connection.dpdInterval)'
        set vpn ipsec ike-group AWS dead-peer-detection timeout '\(connection.dpdInterval * connection.dpdRetries)'
        """
    }

    private static func vyattaInside(
        _ connection: RandomConnection, _ index: Int, _ tunnel: RandomConnection.Tunnel
    ) -> String {
        """
        set interfaces vti vti\(index) address '\(tunnel.ours)/30'
        set interfaces vti vti\(index) mtu '\(connection.mtu)'
        """
    }

    static let junos = ImportRenderer(name: "JunOS", lacks: [], gcm: true) { connection in
        connection.each("#") { index, tunnel in
            let name = "\(connection.id)-\(index + 1)"
            return """
                set security ike proposal ike-prop-\(name) authentication-method pre-shared-keys
                set security ike proposal ike-prop-\(name) authentication-algorithm \(dashedHash(tunnel.integrity1))
                set security ike proposal ike-prop-\(name) encryption-algorithm \(Words.dashed(tunnel.encryption1))
                set security ike proposal ike-prop-\(name) lifetime-seconds \(tunnel.lifetime1)
                set security ike proposal ike-prop-\(name) dh-group group\(tunnel.group1.rawValue)
                set security ike policy ike-pol-\(name) mode main
                set security ike policy ike-pol-\(name) proposals ike-prop-\(name)
                set security ike policy ike-pol-\(name) pre-shared-key ascii-text \(tunnel.key)
                # This should be set to the interface that IP address \(connection.local) is
                # associated with.
                set security ike gateway gw-\(name) ike-policy ike-pol-\(name)
                set security ike gateway gw-\(name) external-interface ge-0/0/0.0
                set security ike gateway gw-\(name) address \(tunnel.remote)
                \(connection.version == 2 ? "set security ike gateway gw-\(name) version v2-only" : "")
                set security ipsec proposal ipsec-prop-\(name) protocol esp
                set security ipsec proposal ipsec-prop-\(name) authentication-algorithm hmac-\(
                    dashedHash(tunnel.integrity2))\(tunnel.integrity2 == .sha1 ? "-96" : "")
                set security ipsec proposal ipsec-prop-\(name) encryption-algorithm \(Words.dashed(tunnel.encryption2))
                set security ipsec proposal ipsec-prop-\(name) lifetime-seconds \(tunnel.lifetime2)
                set security ipsec policy ipsec-pol-\(name) perfect-forward-secrecy keys group\(tunnel.group2.rawValue)
                set security ipsec policy ipsec-pol-\(name) proposals ipsec-prop-\(name)
                set security ipsec vpn \(name) bind-interface st0.\(index + 1)
                set security ipsec vpn \(name) ike gateway gw-\(name)
                set security ipsec vpn \(name) ike ipsec-policy ipsec-pol-\(name)
                set security ike gateway gw-\(name) dead-peer-detection interval \(
                    connection.dpdInterval) threshold \(connection.dpdRetries)
                set interfaces st0.\(index + 1) family inet address \(tunnel.ours)/30
                set interfaces st0.\(index + 1) family inet mtu \(connection.mtu)
                set security flow tcp-mss ipsec-vpn mss \(connection.mss)
                set protocols bgp group ebgp type external
                set protocols bgp group ebgp neighbor \(tunnel.theirs) export EXPORT-DEFAULT
                set protocols bgp group ebgp neighbor \(tunnel.theirs) peer-as \(connection.remoteASN)
                set protocols bgp group ebgp neighbor \(tunnel.theirs) hold-time \(connection.hold)
                set protocols bgp group ebgp neighbor \(tunnel.theirs) local-as \(connection.localASN)
                """
        }
    }

    /// `sha1`, `sha-256`.
    private static func dashedHash(_ algorithm: IntegrityAlgorithm) -> String {
        algorithm == .sha1 ? "sha1" : "sha-\(Words.hash(algorithm))"
    }

    static let screenos = ImportRenderer(name: "ScreenOS", lacks: [.dpdRetries, .dpdTimeout]) { connection in
        connection.each("#") { index, tunnel in
            let name = "\(connection.id)-\(index + 1)"
            let ikev2 = connection.version == 2 ? "ikev2 " : ""
            func hash(_ algorithm: IntegrityAlgorithm) -> String {
                algorithm == .sha1 ? "sha-1" : "sha2-\(Words.hash(algorithm))"
            }
            return """
                set ike p1-proposal ike-prop-\(name) preshare group\(tunnel.group1.rawValue) esp \(
                    Words.plain(tunnel.encryption1)) \(hash(tunnel.integrity1)) second \(tunnel.lifetime1)
                # should be set to the interface that IP address \(connection.local) is
                set ike gateway \(ikev2)gw-\(name) address \(tunnel.remote) id \(
                    tunnel.remote) main outgoing-interface ethernet0/0 preshare "\(
                    tunnel.key)" proposal ike-prop-\(name)
                set ike p2-proposal ipsec-prop-\(name) group\(tunnel.group2.rawValue) esp \(
                    Words.plain(tunnel.encryption2)) \(hash(tunnel.integrity2)) second \(tunnel.lifetime2)
                set ike gateway gw-\(name) dpd-liveness interval \(connection.dpdInterval)
                set vpn IPSEC-\(name) gateway gw-\(name) replay tunnel proposal ipsec-prop-\(name)
                set interface tunnel.\(index + 1) zone Trust
                set interface tunnel.\(index + 1) ip \(tunnel.ours)/30
                set interface tunnel.\(index + 1) mtu \(connection.mtu)
                set vpn IPSEC-\(name) bind interface tunnel.\(index + 1)
                set flow vpn-tcp-mss \(connection.mss)
                set vrouter trust-vr
                set protocol bgp \(connection.localASN)
                set hold-time \(connection.hold)
                set network 0.0.0.0/0
                set enable
                set neighbor \(tunnel.theirs) remote-as \(connection.remoteASN)
                set neighbor \(tunnel.theirs) enable
                exit
                exit
                """
        }
    }

    static let fortios = ImportRenderer(name: "FortiOS", lacks: [], gcm: false) { connection in
        connection.each("!") { index, tunnel in
            let name = "\(connection.id)-\(index)"
            return """
                config vpn ipsec phase1-interface
                edit \(name) ! Name must be shorter than 15 chars
                  set interface "wan1"
                  \(connection.version == 2 ? "set ike-version 2" : "")
                  set dpd enable
                  set local-gw \(connection.local)
                  set dhgrp \(tunnel.group1.rawValue)
                  set proposal \(Words.plain(tunnel.encryption1))-\(Words.plain(tunnel.integrity1))
                  set keylife \(tunnel.lifetime1)
                  set remote-gw \(tunnel.remote)
                  set psksecret \(tunnel.key)
                  set dpd-retryinterval \(connection.dpdInterval)
                  set dpd-retrycount \(connection.dpdRetries)
                 next
                end
                config vpn ipsec phase2-interface
                 edit "\(name)"
                  set phase1name "\(name)"
                  set proposal \(Words.plain(tunnel.encryption2))-\(Words.plain(tunnel.integrity2))
                  set dhgrp \(tunnel.group2.rawValue)
                  set keylifeseconds \(tunnel.lifetime2)
                 next
                config system interface
                 edit "\(name)"
                  set vdom "root"
                  set ip \(tunnel.ours) 255.255.255.255
                  set tcp-mss \(connection.mss)
                  set remote-ip \(tunnel.theirs)
                  set mtu \(connection.mtu)
                 next
                config router bgp
                 set as \(connection.localASN)
                 config neighbor
                  edit \(tunnel.theirs)
                   set remote-as \(connection.remoteASN)
                   set holdtime-timer \(connection.hold)
                  end
                config router bgp
                config network
                 edit 1
                  set prefix 192.168.0.0 255.255.0.0
                 next
                end
                """
        }
    }

    static let fortiosSteps = ImportRenderer(
        name: "FortiOS, steps", lacks: [.dpdInterval, .dpdRetries, .dpdTimeout, .hold]
    ) { connection in
        connection.each("!") { index, tunnel in
            let name = "\(connection.id)-\(index)"
            return """
                Go to VPN-->IPSec--> AutoKey, create Phase 1
                 a. Name: \(name) ! Name must be shorter than 15 chars, best if shorter than 12
                 b. Remote Gateway: Static IP Address
                 c. IP address: \(tunnel.remote)
                 d. Local Interface: wan1
                 e. Mode: Main
                 f. Authentication Method: Pre-shared Key
                 g. Pre-Shared Key: \(tunnel.key)
                 h. Select "Enable IPsec Interface Mode"
                 i. Ike Version: \(connection.version)
                 j. Local-gateway: Select Specify and enter \(connection.local)
                 k. Encryption: \(Words.plain(tunnel.encryption1))
                 l. Authentication: \(Words.plain(tunnel.integrity1))
                 m. DH group: \(tunnel.group1.rawValue)     ! and deselect 5
                 n. Keylife: \(tunnel.lifetime1) seconds
                ! #2: IPSec Configuration
                Go to VPN-->IPSec--> AutoKey, create Phase 2
                 a. Name: \(name)
                 b. Phase 1: \(name)
                 c. Encryption: \(Words.plain(tunnel.encryption2))
                 d. Authentication: \(Words.plain(tunnel.integrity2))
                 f. DH group: \(tunnel.group2.rawValue)
                 g. Keylife: \(tunnel.lifetime2) seconds
                ! #3: Tunnel Interface Configuration
                 a. IP : \(tunnel.ours)
                 b. Remote IP: \(tunnel.theirs)
                config system interface
                 edit "\(name)"
                  set tcp-mss \(connection.mss)
                  set mtu \(connection.mtu)
                 next
                ! #4: Border Gateway Protocol (BGP) Configuration
                config router bgp
                 set as \(connection.localASN)
                 config neighbor
                  edit \(tunnel.theirs)
                   set remote-as \(connection.remoteASN)
                  end
                """
        }
    }

    static let yamaha = ImportRenderer(name: "Yamaha", lacks: [.mtu]) { connection in
        connection.each("#") { index, tunnel in
            let n = index + 1
            let groups: [UInt16: String] = [2: "modp1024", 14: "modp2048", 15: "modp3072", 16: "modp4096"]
            return """
                tunnel select \(n)
                \(connection.version == 2 ? "ipsec ike version \(n) 2" : "")
                ipsec ike encryption \(n) \(tunnel.encryption1 == .aes256 ? "aes256-cbc" : "aes-cbc")
                ipsec ike group \(n) \(groups[tunnel.group1.rawValue] ?? "group\(tunnel.group1.rawValue)")
                ipsec ike hash \(n) \(Words.short(tunnel.integrity1))
                ipsec ike pre-shared-key \(n) text \(tunnel.key)
                ipsec tunnel 20\(n)
                ipsec sa policy 20\(n) \(n) esp \(tunnel.encryption2 == .aes256 ? "aes256-cbc" : "aes-cbc")  \(
                    Words.short(tunnel.integrity2))-hmac
                ipsec ike duration ike-sa \(n) \(tunnel.lifetime1)
                ipsec ike duration ipsec-sa \(n) \(tunnel.lifetime2)
                ipsec ike pfs \(n) on
                ipsec ike keepalive use \(n) on dpd \(connection.dpdInterval) \(connection.dpdRetries)
                ipsec ike local address \(n) \(connection.local)
                ipsec ike remote address \(n) \(tunnel.remote)
                ipsec ike local address id <id> 0.0.0.0/0
                ip tunnel address \(tunnel.ours)/30
                ip tunnel remote address \(tunnel.theirs)
                ip tunnel tcp mss limit \(connection.mss)
                tunnel enable \(n)
                tunnel select none
                bgp use on
                bgp autonomous-system \(connection.localASN)
                bgp neighbor \(n) \(connection.remoteASN) \(tunnel.theirs) hold-time=\(connection.hold) local-address=\(
                    tunnel.ours)
                bgp import filter 1 equal 0.0.0.0/0
                """
        }
    }
}
