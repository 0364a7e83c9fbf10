# The words that scenarios are written in, in the lab's guest. Sourced; what stands in tools/lib is at hand too.
#
# The hosts are those of tools/lib/topology.sh: client - gateway - internet - aws1, aws2 - vpc. A scenario ends at the
# first step that fails. Waiting is always for a condition and has an end; times are generous, for a loaded machine.

source /lab/tools/lib/common.sh
for part in topology peers sample; do source "/lab/tools/lib/$part.sh"; done
lab=lab folder=/lab/out binaries=/lab/bin
# What carries the gateway's packets. A scenario may say kernel or userspace.
data_path=auto
# Daemons start slowly in an emulated machine on a loaded host.
start_patience=120
# The peers are strongSwan on the kernel's ESP.
strongswan_esp=kernel
# AWS's own default, and what the sample file says.
suite=aes128-sha1-modp1024

# done_with TEXT: one step was seen to work.
done_with() { printf 'ok - %s\n' "$*"; }

# check "WHAT" COMMAND…: must hold now.
check() {
    local what=$1
    shift
    "$@" || die "not true: $what"
    done_with "$what"
}

# soon SECONDS "WHAT" COMMAND…: must become true in that time.
soon() {
    wait_for "$@" || die "not within $1 s: $2"
    done_with "$2"
}

# aws_endpoint NUMBER [IKE [ESP]]: strongSwan, as AWS has configured it for the sample file.
aws_endpoint() {
    local i=$(($1 - 1)) ike=${2:-$suite}
    start_strongswan "aws$1" "${endpoints[i]}" "$customer" "$local_network" "${keys[i]}" \
        "$ike" "${3:-$ike}" "${inside_aws[i]}"
    done_with "strongSwan answers as endpoint $1: $ike"
}

# behind_nat: the gateway gets a private address, and the internet's first router translates it to the public one.
behind_nat() {
    gateway_address=192.168.77.2
    ip -n "$lab-gateway" -batch - <<<"addr flush dev wan
        addr add $gateway_address/24 dev wan
        route replace default via 192.168.77.1"
    ip -n "$lab-internet" -batch - <<<"addr add 192.168.77.1/24 dev customer
        addr add $customer/32 dev lo"
    on internet nft -f - <<<"table ip nat {
            chain post {
                type nat hook postrouting priority srcnat
                ip saddr $gateway_address snat to $customer
            }
        }"
    done_with "the gateway is behind a NAT"
}

# ike_blocked / ike_free: the internet drops IKE in both directions, and ESP passes; or lets it pass again.
ike_blocked() {
    on internet nft -f - <<<"table inet block {
            chain forward {
                type filter hook forward priority 0
                udp dport 500 drop
                # Behind the four zero bytes that ESP in UDP cannot begin with.
                udp dport 4500 @th,64,32 0 drop
            }
        }"
}
ike_free() { on internet nft delete table inet block; }

# gateway_starts: gatehoused, with what it has stored.
gateway_starts() {
    start_gatehoused gateway
    done_with "gatehoused runs"
}

# gateway_imports [OPTION…]: the sample file.
gateway_imports() {
    gatehouse gateway import aws-vpn "$sample" --local-network "$local_network" --remote-network "$remote_network" \
        "$@" >"$folder/import" 2>&1 || die "The import failed: $(cat "$folder/import")"
    done_with "the AWS file is imported"
}

# gateway_adds NAME IKE_LIFETIME CHILD_LIFETIME SUITE: a connector by hand to endpoint 1, lifetimes in seconds; SUITE is
# strongSwan's word for it, as in aes256gcm16-prfsha384-ecp384. $dpd_delay is in seconds (10);
# $selectors, "LOCAL REMOTE", makes it policy-based; $phase1 and $phase2 are further lines of either; $initiation is
# initiate or respond; $certificates is a folder with gateway.pem, gateway.key and ca.pem, in the place of the PSK.
gateway_adds() {
    local encryption=${4%%-*} rest=${4#*-} group integrity inside="${inside_ours[0]} ${inside_aws[0]}"
    integrity=${rest%-*} group=${rest##*-}
    [[ -z ${selectors:-} ]] || inside=
    connector "$folder/$1.yaml" "$1" "${initiation:-initiate}" "${gateway_address:-$customer}" \
        "${peer_address:-${endpoints[0]}}" "$local_network" \
        "$remote_network" "${keys[0]}" "$encryption" "${integrity#prf}" "$(dh_number "$group")" \
        "$inside"
    sed -i "s/lifetimeSeconds: 28800/lifetimeSeconds: $2/; s/lifetimeSeconds: 3600/lifetimeSeconds: $3/
        s/delaySeconds: 10/delaySeconds: ${dpd_delay:-10}/" "$folder/$1.yaml"
    [[ -z ${selectors:-} ]] || sed -i "s|localSelectors: .*|localSelectors: [${selectors% *}]|
        s|remoteSelectors: .*|remoteSelectors: [${selectors#* }]|" "$folder/$1.yaml"
    [[ -z ${phase1:-} ]] || sed -i "s|^    phase1:|&\n      $phase1|" "$folder/$1.yaml"
    [[ -z ${phase2:-} ]] || sed -i "s|^    phase2:|&\n      $phase2|" "$folder/$1.yaml"
    [[ -z ${certificates:-} ]] || sed -i "s|^      psk: .*|      remoteID: peer.example.org\n      certificate: {certificateFile: $certificates/gateway.pem, privateKeyFile: $certificates/gateway.key, authorityFiles: [$certificates/ca.pem]}|" \
        "$folder/$1.yaml"
    gatehouse gateway connector add --file "$folder/$1.yaml" >"$folder/add" 2>&1 ||
        die "connector add failed: $(cat "$folder/add")"
    done_with "connector $1 is stored: $4"
}

# make_certificates FOLDER: a CA, and certificates of the gateway and the peer, with keys on P-256.
make_certificates() {
    local end
    mkdir -p "$1"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj '/O=Lab/CN=Lab CA' \
        -addext 'keyUsage=critical,keyCertSign,cRLSign' -keyout "$1/ca.key" -out "$1/ca.pem" 2>>"$folder/openssl"
    for end in gateway peer; do
        echo "subjectAltName=DNS:$end.example.org" >"$1/$end.names"
        openssl ecparam -name prime256v1 -genkey -noout -out "$1/$end.key"
        openssl req -new -key "$1/$end.key" -subj "/O=Lab/CN=$end" |
            openssl x509 -req -CA "$1/ca.pem" -CAkey "$1/ca.key" -CAcreateserial -days 30 -out "$1/$end.pem" \
                -extfile "$1/$end.names" 2>>"$folder/openssl"
    done
    done_with "certificates of both ends by one CA"
}

# outside_is_ipv6: the gateway, the internet and endpoint 1 get IPv6 addresses, and talk by those.
outside_is_ipv6() {
    customer=2001:db8:1::7 endpoints[0]=2001:db8:2::13
    on internet sysctl -qw net.ipv6.conf.all.forwarding=1
    ip -n "$lab-gateway" -batch - <<<"addr add $customer/64 dev wan nodad
        route add ::/0 via 2001:db8:1::1"
    ip -n "$lab-internet" -batch - <<<"addr add 2001:db8:1::1/64 dev customer nodad
        addr add 2001:db8:2::1/64 dev aws1 nodad"
    ip -n "$lab-aws1" -batch - <<<"addr add ${endpoints[0]}/64 dev wan nodad
        route add ::/0 via 2001:db8:2::1"
    done_with "the outside is IPv6"
}

# dh_number NAME: the IANA number of a Diffie-Hellman group.
dh_number() {
    local -A numbers=([modp1024]=2 [modp1536]=5 [modp2048]=14 [modp3072]=15 [modp4096]=16 [modp6144]=17 [modp8192]=18
        [ecp256]=19 [ecp384]=20 [ecp521]=21 [modp2048s256]=24 [curve25519]=31)
    echo "${numbers[$1]:?no number for the group $1}"
}

online_tunnels() { tunnels gateway | jq '[.[] | select(.state == "online")] | length'; }
are_online() { [[ $(online_tunnels) == "$1" ]]; }
# online NUMBER [SECONDS]: so many tunnels come online.
online() { soon "${2:-60}" "$1 online" are_online "$1"; }

active_endpoint() { tunnels gateway | jq -r 'first(.[] | select(.isActive) | .remoteAddress) // empty'; }
is_active() { [[ $(active_endpoint) == "$1" ]]; }

reaches() { on "$1" ping -q -n -c 1 -W 1 "$2"; }
# traffic [SECONDS]: the client reaches the VPC, and then loses none of 20 packets.
traffic() {
    local text
    soon "${1:-30}" "the VPC answers the client" reaches client "$vpc"
    text=$(on client ping -q -n -c 20 -i 0.05 -W 3 "$vpc") || die "The VPC stopped answering: $text"
    [[ $text == *' 0% packet loss'* ]] || die "Packets were lost: $(grep transmitted <<<"$text")"
    done_with "20 pings, none lost"
}

# pings_begin [INTERVAL]: a stream of pings in the background; pings_end tells what became of it in $sent and $lost. Lost
# is what was not answered before the last answer: what comes after that was still under way.
pings_begin() { start pings client ping -n -i "${1:-0.05}" -W 3 "$vpc"; }
pings_end() {
    stop pings INT || true
    read -r sent lost <<<"$(awk -F 'icmp_seq=' '/bytes from/ { number = $2 + 0; if (!seen[number]++) answered++
        if (number > last) last = number } END { print last + 0, last - answered }' "$folder/pings.log")"
    rm -f "$folder/pings.log"
}
answered_pings() { grep -c 'bytes from' "$folder/pings.log"; }
more_answers_than() { (($(answered_pings) > $1)); }
# none_lost: ends the stream when it has seen what happens now, however soon the test's own part was done.
none_lost() {
    soon 30 "pings go on" more_answers_than "$(($(answered_pings) + 20))"
    pings_end
    ((lost == 0)) || die "$lost of $sent pings were lost."
    done_with "$sent pings under way, none lost"
}

# kernel_carries HOST: packets went through the SAs of a host's kernel.
kernel_carries() { [[ $(on "$1" ip -s xfrm state) =~ [1-9][0-9]*\(bytes\) ]]; }
# endpoint_carries: packets of the tunnels went through an endpoint's kernel.
endpoint_carries() { kernel_carries aws1 || kernel_carries aws2; }

# key_marks: what changes with the keys, as the endpoint names it: the SPIs of its IKE SAs and child SAs.
key_marks() {
    swanctl_on aws1 --list-sas --raw | grep -oE '(initiator-spi|responder-spi|spi-in|spi-out)=[0-9a-f]+' | sort
}

# nothing_in_clear: no packet of the inner networks was seen on the internet.
nothing_in_clear() {
    local clear
    clear=$(tcpdump -nr "$folder/internet.pcap" "(src net $local_network and dst net $remote_network) or \
(src net $remote_network and dst net $local_network)" 2>/dev/null | head -n 3)
    [[ -z $clear ]] || die "In the clear: $clear"
    done_with "nothing was seen in the clear"
}

# events KIND: how often that has happened, by the gateway's log.
events() {
    gatehouse gateway events --limit 500 --json |
        jq -s "[.[] | if type == \"array\" then .[] else . end | select(.kind == \"$1\")] | length"
}

# tells WORDS: the gateway's events speak of it.
tells() { [[ $(gatehouse gateway events --limit 200) == *"$1"* ]]; }

# clean_stop: gatehoused ends in an orderly way and leaves nothing.
clean_stop() {
    stop gateway || die "gatehoused ended with an error."
    [[ -z $(on gateway ip xfrm state) ]] || die "It left SAs: $(on gateway ip xfrm state)"
    [[ -z $(ip -n "$lab-gateway" -o link show | grep -E ': (gh|xfrm)[0-9]') ]] || die "It left an interface."
    done_with "a clean stop leaves nothing"
}
