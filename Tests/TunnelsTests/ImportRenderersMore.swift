import Base
import Cryptography
import IKE

extension ImportRenderer {
    static let ios = ImportRenderer(name: "Cisco IOS", lacks: [.mtu, .dpdRetries, .dpdTimeout]) { connection in
        connection.each("!") { index, tunnel in
            let name = "\(connection.id)-\(index)"
            let bits1 = Words.bits(tunnel.encryption1)
            let bits2 = Words.bits(tunnel.encryption2)
            let phase1 =
                connection.version == 1
                ? """
                crypto isakmp policy \(200 + index)
                   encryption aes \(bits1)
                   authentication pre-share
                   group \(tunnel.group1.rawValue)
                   lifetime \(tunnel.lifetime1)
                   hash \(Words.short(tunnel.integrity1))
                exit
                crypto keyring keyring-\(name)
                   local-address \(connection.local)
                   pre-shared-key address \(tunnel.remote) key \(tunnel.key)
                exit
                crypto isakmp profile isakmp-\(name)
                   local-address \(connection.local)
                   match identity address \(tunnel.remote)
                   keyring keyring-\(name)
                exit
                crypto isakmp keepalive \(connection.dpdInterval) \(connection.dpdInterval) on-demand
                """
                : """
                crypto ikev2 proposal PROPOSAL\(index + 1)
                   encryption aes-cbc-\(bits1)
                   integrity \(Words.plain(tunnel.integrity1))
                   group \(tunnel.group1.rawValue)
                exit
                crypto ikev2 policy POLICY\(index + 1)
                   match address local \(connection.local)
                   proposal PROPOSAL\(index + 1)
                exit
                crypto ikev2 keyring KEYRING\(index + 1)
                   peer \(tunnel.remote)
                      address \(tunnel.remote)
                      pre-shared-key \(tunnel.key)
                   exit
                exit
                crypto ikev2 profile IKEV2-PROFILE-\(index + 1)
                   match address local \(connection.local)
                   match identity remote address \(tunnel.remote)
                   authentication remote pre-share
                   authentication local pre-share
                   keyring local KEYRING\(index + 1)
                   lifetime \(tunnel.lifetime1)
                   dpd \(connection.dpdInterval) 10 on-demand
                exit
                """
            return """
                \(phase1)
                crypto ipsec transform-set ipsec-prop-\(name) esp-aes \(bits2) esp-\(
                    Words.short(tunnel.integrity2))-hmac
                   mode tunnel
                exit
                crypto ipsec profile ipsec-\(name)
                   set pfs group\(tunnel.group2.rawValue)
                   set security-association lifetime seconds \(tunnel.lifetime2)
                   set transform-set ipsec-prop-\(name)
                   \(connection.version == 2 ? "set ikev2-profile IKEV2-PROFILE-\(index + 1)" : "")
                exit
                crypto ipsec df-bit clear
                interface Tunnel\(index + 1)
                   ip address \(tunnel.ours) 255.255.255.252
                   ip virtual-reassembly
                   tunnel source \(connection.local)
                   tunnel destination \(tunnel.remote)
                   tunnel mode ipsec ipv4
                   tunnel protection ipsec profile ipsec-\(name)
                   ip tcp adjust-mss \(connection.mss)
                   no shutdown
                exit
                router bgp \(connection.localASN)
                   neighbor \(tunnel.theirs) remote-as \(connection.remoteASN)
                   neighbor \(tunnel.theirs) activate
                   neighbor \(tunnel.theirs) timers 3 \(connection.hold) \(connection.hold)
                   address-family ipv4 unicast
                      neighbor \(tunnel.theirs) remote-as \(connection.remoteASN)
                      neighbor \(tunnel.theirs) default-originate
                      network 0.0.0.0
                   exit
                exit
                """
        }
    }

    static let asa = ImportRenderer(name: "Cisco ASA", lacks: [.local, .mtu, .dpdRetries, .dpdTimeout]) { connection in
        connection.each("!") { index, tunnel in
            let name = "\(connection.id)-\(index)"
            let ike = "ikev\(connection.version)"
            func cipher(_ algorithm: EncryptionAlgorithm) -> String { algorithm == .aes256 ? "aes-256" : "aes" }
            let hash = Words.short(tunnel.integrity1)
            let phase1 =
                connection.version == 1
                ? "  authentication pre-share\n  hash \(hash)\n  lifetime \(tunnel.lifetime1)"
                : "  integrity \(hash)\n  prf \(hash)\n  lifetime seconds \(tunnel.lifetime1)"
            let transform =
                connection.version == 1
                ? """
                crypto ipsec ikev1 transform-set ipsec-prop-\(name) esp-\(cipher(tunnel.encryption2))  esp-\(
                    Words.short(tunnel.integrity2))-hmac
                """
                : """
                crypto ipsec ikev2 ipsec-proposal ipsec-prop-\(name)
                  protocol esp encryption \(cipher(tunnel.encryption2))
                  protocol esp integrity sha-\(Words.hash(tunnel.integrity2))
                """
            let set =
                connection.version == 1
                ? "set ikev1 transform-set ipsec-prop-\(name)" : "set ikev2 ipsec-proposal ipsec-prop-\(name)"
            let key =
                connection.version == 1
                ? "   ikev1 pre-shared-key \(tunnel.key)"
                : "   ikev2 remote-authentication pre-shared-key \(tunnel.key)\n"
                    + "   ikev2 local-authentication pre-shared-key \(tunnel.key)"
            return """
                crypto \(ike) enable 'outside_interface'
                crypto \(ike) policy \(200 + index)
                  encryption \(cipher(tunnel.encryption1))
                  group \(tunnel.group1.rawValue)
                \(phase1)
                \(transform)
                crypto ipsec profile ipsec-\(name)
                  set pfs group\(tunnel.group2.rawValue)
                  set security-association lifetime seconds \(tunnel.lifetime2)
                  \(set)
                exit
                crypto ipsec df-bit clear-df 'outside_interface'
                sysopt connection tcpmss \(connection.mss)
                tunnel-group \(tunnel.remote) type ipsec-l2l
                tunnel-group \(tunnel.remote) ipsec-attributes
                \(key)
                   isakmp keepalive threshold \(connection.dpdInterval) retry 10
                exit
                interface Tunnel\(index + 1)
                  nameif Tunnel-int-\(name)
                  ip address \(tunnel.ours) 255.255.255.252
                  tunnel source interface 'outside_interface'
                  tunnel destination \(tunnel.remote)
                  tunnel mode ipsec ipv4
                  tunnel protection ipsec profile ipsec-\(name)
                exit
                router bgp \(connection.localASN)
                  address-family ipv4 unicast
                    neighbor \(tunnel.theirs) remote-as \(connection.remoteASN)
                    neighbor \(tunnel.theirs) timers 3 \(connection.hold) \(connection.hold)
                    network 0.0.0.0
                  exit-address-family
                exit
                """
        }
    }

    static let panos = ImportRenderer(name: "PAN-OS", lacks: [.mss], gcm: true) { connection in
        connection.each("!") { index, tunnel in
            let name = "\(connection.id)-\(index)"
            let ike = "ikev\(connection.version)"
            return """
                 configure
                 edit network ike crypto-profiles ike-crypto-profiles ike-crypto-\(name)
                  set dh-group group\(tunnel.group1.rawValue)
                  set hash \(Words.plain(tunnel.integrity1))
                  set lifetime seconds  \(tunnel.lifetime1)
                  set encryption \(Words.dashed(tunnel.encryption1))
                  top
                 edit network ike gateway ike-\(name)
                  \(connection.version == 2 ? "set protocol version ikev2" : "")
                  set protocol \(ike) dpd interval \(connection.dpdInterval) retry \(connection.dpdRetries) enable yes
                  set protocol \(ike) ike-crypto-profile ike-crypto-\(name) exchange-mode main
                  set authentication pre-shared-key key \(tunnel.key)
                  set local-address ip \(connection.local)
                  set local-address interface ethernet1/1
                  set peer-address ip \(tunnel.remote)
                 top
                 edit network ike crypto-profiles ipsec-crypto-profiles ipsec-\(name)
                  set esp authentication \(Words.plain(tunnel.integrity2))
                  set esp encryption \(Words.dashed(tunnel.encryption2))
                  set dh-group group\(tunnel.group2.rawValue) lifetime seconds \(tunnel.lifetime2)
                 top
                 edit network interface tunnel
                  set ip \(tunnel.ours)/30
                  set units tunnel.\(index + 1)
                  set mtu \(connection.mtu)
                 top
                 edit network tunnel ipsec ipsec-tunnel-\(index + 1)
                  set auto-key ike-gateway ike-\(name)
                  set auto-key ipsec-crypto-profile ipsec-\(name)
                  set tunnel-interface tunnel.\(index + 1)
                  set anti-replay yes
                 edit network virtual-router default protocol bgp
                  set enable yes
                  set router-id \(connection.local)
                  set local-as \(connection.localASN)
                   edit peer-group AmazonBGP
                    edit peer amazon-tunnel-\(name)
                     set connection-options keep-alive-interval 10
                     set connection-options hold-time \(connection.hold)
                     set enable yes
                     set local-address ip \(tunnel.ours)/30
                     set local-address interface tunnel.\(index + 1)
                     set peer-as \(connection.remoteASN)
                     set peer-address ip \(tunnel.theirs)
                     top
                 edit network virtual-router default protocol bgp policy
                  set export rules vr-export action allow
                  set match address-prefix 192.168.0.0/16 exact yes
                 top
                """
        }
    }

    static let sonicos = ImportRenderer(name: "SonicOS", lacks: [.mtu, .mss]) { connection in
        connection.each("!") { index, tunnel in
            let name = "\(connection.id)-\(index + 1)"
            return """
                config
                address-object ipv4 AWSVPC network 172.30.0.0/16
                vpn policy tunnel-interface \(name)
                gateway primary \(tunnel.remote)
                bound-to interface X1
                auth-method shared-secret
                shared-secret \(tunnel.key)
                ike-id local ip \(connection.local)
                ike-id peer ip \(tunnel.remote)
                proposal ike exchange \(connection.version == 2 ? "ikev2" : "main")
                proposal ike encryption aes-\(Words.bits(tunnel.encryption1))
                proposal ike authentication \(Words.plain(tunnel.integrity1))
                proposal ike dh-group \(tunnel.group1.rawValue)
                proposal ike lifetime \(tunnel.lifetime1)
                end
                config
                proposal ipsec lifetime \(tunnel.lifetime2)
                proposal ipsec authentication \(Words.plain(tunnel.integrity2))
                proposal ipsec encryption aes\(Words.bits(tunnel.encryption2))
                proposal ipsec perfect-forward-secrecy dh-group \(tunnel.group2.rawValue)
                proposal ipsec protocol ESP
                keep-alive
                enable
                commit
                end
                !  - DPD Interval             : \(connection.dpdInterval)
                !  - DPD Retries              : \(connection.dpdRetries)
                config
                tunnel-interface vpn T\(index + 1)
                ip-assignment VPN static
                ip \(tunnel.ours) netmask 255.255.255.252
                exit
                router bgp \(connection.localASN)
                neighbor \(tunnel.theirs) remote-as \(connection.remoteASN)
                neighbor \(tunnel.theirs) timers 3 \(connection.hold)
                exit
                """
        }
    }

    static let openswan = ImportRenderer(
        name: "Openswan", lacks: [.inside, .mtu, .mss, .bgp, .hold, .dpdRetries], gcm: false
    ) { connection in
        connection.each("") { index, tunnel in
            """
            conn Tunnel\(index + 1)
            \tauthby=secret
            \tauto=start
            \tleft=%defaultroute
            \tleftid=\(connection.local)
            \tright=\(tunnel.remote)
            \ttype=tunnel
            \tikelifetime=\(tunnel.lifetime1)s
            \tkeylife=\(tunnel.lifetime2)s
            \tphase2alg=\(Words.plain(tunnel.encryption2))-\(Words.plain(tunnel.integrity2));dh\(tunnel.group2.rawValue)
            \tike=\(Words.plain(tunnel.encryption1))-\(Words.plain(tunnel.integrity1));dh\(tunnel.group1.rawValue)
            \tauth=esp
            \tkeyexchange=ike
            \tikev2=\(connection.version == 2 ? "insist" : "never")
            \tleftsubnet=<LOCAL NETWORK>
            \trightsubnet=<REMOTE NETWORK>
            \tdpddelay=\(connection.dpdInterval)
            \tdpdtimeout=\(connection.dpdInterval * connection.dpdRetries)
            \tdpdaction=restart_by_peer
            \(connection.local) \(tunnel.remote): PSK "\(tunnel.key)"
            """
        }
    }

    static let pfsense = ImportRenderer(
        name: "pfSense", lacks: [.local, .inside, .mtu, .mss, .bgp, .hold]
    ) { connection in
        connection.each("!") { index, tunnel in
            """
            Go to VPN-->IPSec. Add a new Phase1 entry (click + button )
             a. Disabled : uncheck
             b. Key Exchange version :V\(connection.version)
             e. Remote Gateway: \(tunnel.remote)
             f. Description: Amazon-IKE-\(connection.id)-\(index)
             a. Authentication Method: Mutual PSK
             c. My identifier : My IP address
             e. Pre-Shared Key: \(tunnel.key)
             a. Encryption algorithm : \(Words.plain(tunnel.encryption1))
             b. Hash algorithm :  \(Words.plain(tunnel.integrity1))
             c. DH key group :  \(tunnel.group1.rawValue)
             d. Lifetime : \(tunnel.lifetime1) seconds
             d. Dead Peer Detection : Enable DPD
                Delay between requesting peer acknowledgement : \(connection.dpdInterval) seconds
                Number of consecutive failures allowed before disconnect : \(connection.dpdRetries) retries
            Expand the VPN configuration clicking in "+" and then create a new Phase2 entry as follows:
             b. Mode : Tunnel
             c. Local Network : Type: LAN subnet
                Address :  ! Enter your local network CIDR in the Address tab
             a. Protocol : ESP
             b. Encryption algorigthms :\(Words.plain(tunnel.encryption2))
              c. Hash algorithms : \(Words.plain(tunnel.integrity2))
              d. PFS key group :   \(tunnel.group2.rawValue)
            e. Lifetime : \(tunnel.lifetime2) seconds
            """
        }
    }

    static let windows = ImportRenderer(
        name: "Windows Server",
        lacks: [
            .identifiers, .version, .inside, .mtu, .mss, .bgp, .hold, .phase1, .lifetime1, .dpdInterval, .dpdRetries,
            .dpdTimeout,
        ]
    ) { connection in
        connection.tunnels.enumerated().map { index, tunnel in
            """
            \(connection.gateway) Tunnel\(index + 1)
            -----------------------------------------
            Local Tunnel Endpoint:       \(connection.local)
            Remote Tunnel Endpoint:      \(tunnel.remote)
            Endpoint 1:                  [Your_Static_Route_IP_Prefix]
            Endpoint 2:                  [Your_VPC_CIDR_Block]
            Preshared key:               \(tunnel.key)

            netsh advfirewall consec add rule Name="\(connection.gateway) Tunnel \(index + 1)" ^
            Enable=Yes Profile=any Type=Static Mode=Tunnel ^
            LocalTunnelEndpoint=Windows_Server_Private_IP_address ^
            RemoteTunnelEndpoint=\(tunnel.remote) Endpoint1=Your_Static_Route_IP_Prefix ^
            Endpoint2=Your_VPC_CIDR_Block Protocol=Any Action=RequireInClearOut ^
            Auth1=ComputerPSK Auth1PSK=\(tunnel.key) ^
            QMSecMethods=ESP:\(Words.plain(tunnel.integrity2).uppercased())-\(
                Words.plain(tunnel.encryption2).uppercased())+\(tunnel.lifetime2 / 60)min+100000kb ^
            ExemptIPsecProtectedConnections=No ApplyAuthz=No QMPFS=dhgroup\(tunnel.group2.rawValue)

            """
        }.joined().replacing("\n", with: "\r\n")
    }

    static let generic = ImportRenderer(name: "Generic", lacks: [], gcm: true) { connection in
        connection.each("") { _, tunnel in
            """
            #1: Internet Key Exchange Configuration
            Configure the IKE SA as follows:
              - IKE version              : IKEv\(connection.version)
              - Authentication Method    : Pre-Shared Key
              - Pre-Shared Key           : \(tunnel.key)
              - Authentication Algorithm : \(Words.plain(tunnel.integrity1))
              - Encryption Algorithm     : \(Words.dashed(tunnel.encryption1))
              - Lifetime                 : \(tunnel.lifetime1) seconds
              - Phase 1 Negotiation Mode : main
              - Diffie-Hellman           : Group \(tunnel.group1.rawValue)
            #2: IPSec Configuration
              - Protocol                 : esp
              - Authentication Algorithm : hmac-\(Words.plain(tunnel.integrity2))
              - Encryption Algorithm     : \(Words.dashed(tunnel.encryption2))
              - Lifetime                 : \(tunnel.lifetime2) seconds
              - Mode                     : tunnel
              - Perfect Forward Secrecy  : Diffie-Hellman Group \(tunnel.group2.rawValue)
              - DPD Interval             : \(connection.dpdInterval)
              - DPD Retries              : \(connection.dpdRetries)
              - TCP MSS Adjustment       : \(connection.mss) bytes
            #3: Tunnel Interface Configuration
            Outside IP Addresses:
              - Customer Gateway         : \(connection.local)
              - Virtual Private Gateway  : \(tunnel.remote)
            Inside IP Addresses
              - Customer Gateway         : \(tunnel.ours)/30
              - Virtual Private Gateway  : \(tunnel.theirs)/30
              - Tunnel interface MTU     : \(connection.mtu) bytes
            #4: Border Gateway Protocol (BGP) Configuration:
              - Customer Gateway ASN     : \(connection.localASN)
              - Virtual Private  Gateway ASN : \(connection.remoteASN)
              - Neighbor IP Address      : \(tunnel.theirs)
              - Neighbor Hold Time       : \(connection.hold)
            """
        }
    }

    static let strongSwan = ImportRenderer(
        name: "strongSwan", lacks: [.mss, .bgp, .hold, .dpdRetries], gcm: true
    ) { connection in
        connection.each("") { index, tunnel in
            let mark = 100 * (index + 1)
            return """
                conn Tunnel\(index + 1)
                \tauto=start
                \tleft=%defaultroute
                \tleftid=\(connection.local)
                \tright=\(tunnel.remote)
                \ttype=tunnel
                \tleftauth=psk
                \trightauth=psk
                \tkeyexchange=ikev\(connection.version)
                \tike=\(suite(tunnel.encryption1, tunnel.integrity1))-\(tunnel.group1.name)
                \tikelifetime=\(tunnel.lifetime1)s
                \tesp=\(suite(tunnel.encryption2, tunnel.integrity2))-\(tunnel.group2.name)
                \tlifetime=\(tunnel.lifetime2)s
                \tleftsubnet=0.0.0.0/0
                \trightsubnet=0.0.0.0/0
                \tdpddelay=\(connection.dpdInterval)s
                \tdpdtimeout=\(connection.dpdInterval * connection.dpdRetries)s
                \tdpdaction=restart
                \tmark=\(mark)
                \(connection.local) \(tunnel.remote) : PSK "\(tunnel.key)"
                ip addr add \(tunnel.ours)/30 remote \(tunnel.theirs)/30 dev Tunnel\(index + 1)
                ip link set Tunnel\(index + 1) up mtu \(connection.mtu)
                """
        }
    }

    private static func suite(_ encryption: EncryptionAlgorithm, _ integrity: IntegrityAlgorithm) -> String {
        encryption.isAEAD
            ? "\(Words.plain(encryption))-prf\(Words.plain(integrity))"
            : "\(Words.plain(encryption))-\(Words.plain(integrity))"
    }

    static let all = [
        generic, strongSwan, openswan, vyatta, vyos, ios, asa, junos, screenos, fortios, fortiosSteps, panos, pfsense,
        sonicos, yamaha, windows,
    ]
}
