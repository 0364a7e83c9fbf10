# The peer is behind a NAT that gives it another port in the middle of its traffic: the gateway's kernel says so, and
# packets follow with the same keys.
outside_of_peer=203.0.113.77
# translated PORT: the peer's NAT port comes out as this one, from now on.
translated() {
    on internet nft -f - <<<"table ip nat
        delete table ip nat
        table ip nat {
            chain post {
                type nat hook postrouting priority srcnat
                ip saddr ${endpoints[0]} udp sport 4500 snat to $outside_of_peer:$1
                ip saddr ${endpoints[0]} udp sport 500 snat to $outside_of_peer:$(($1 + 1))
            }
        }"
    on internet conntrack -F >"$folder/conntrack" 2>&1
}
ip -n "$lab-internet" addr add "$outside_of_peer/32" dev lo
translated 20000
data_path=kernel initiation=respond peer_address=$outside_of_peer phase1="remoteID: ${endpoints[0]}"
aws_endpoint 1
gateway_starts
gateway_adds branch 28800 3600 "$suite"
swanctl_on aws1 --initiate --child net --timeout 60 >"$folder/initiate" || die "The peer cannot connect."
online 1
traffic
sends_to() { on gateway ip xfrm state | grep -A 6 "src $customer" | grep -q "encap type espinudp sport 4500 dport $1"; }
check "ESP goes to the port that the NAT gave" sends_to 20000
before=$(key_marks)
start from-vpc vpc ping -n -i 0.1 "$client"
translated 30000
soon 30 "packets follow to the other port" sends_to 30000
traffic
stop from-vpc INT || true
check "no SA was renewed" test "$(key_marks)" == "$before"
check "the tunnel stayed online" are_online 1
nothing_in_clear
