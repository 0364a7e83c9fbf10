#!/usr/bin/env bash
# What a handshake (IKE_SA_INIT and IKE_AUTH with a pre-shared key) costs the responder: gatehoused beside
# strongSwan's charon, driven alternately by the same fleet of initiators, 16 at a time, each with an identity of its
# own. A responder is pinned to the first core, the fleet to the second. The figure is utime+stime of the responder.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"
source "$root/tools/lib/topology.sh"
source "$root/tools/lib/peers.sh"

handshakes=1500 rounds=3 groups=(modp1024 modp2048 ecp256 curve25519)
while [[ $# -gt 0 ]]; do
    case $1 in
    --handshakes) handshakes=$2 && shift ;;
    --rounds) rounds=$2 && shift ;;
    --groups) read -ra groups <<<"${2//,/ }" && shift ;;
    *)
        echo "tools/bench ike [--handshakes 1500] [--rounds 3] [--groups modp1024,modp2048,ecp256,curve25519]"
        [[ $1 == -h || $1 == --help ]] && exit 0 || exit 2
        ;;
    esac
    shift
done
[[ $(id -u) -eq 0 ]] || die "tools/bench needs root, to make network namespaces."
[[ $(nproc) -ge 2 ]] || die "tools/bench ike needs two cores: one for the responder, one for the fleet."
need_packages "${packages_of_lab[@]}" "${packages_of_strongswan[@]}" "${packages_to_build[@]}" taskset=util-linux
step "Building"
build release gatehoused gatehouse bench-ike

folder=$(mktemp -d /tmp/gh-ike-XXXXXX)
lab=${folder#/tmp/}
hosts=(fleet gatehouse strongswan)
finish() {
    local status=$?
    trap - EXIT INT TERM HUP
    [[ $status -eq 0 ]] || tail -n 15 "$folder"/*.log 2>/dev/null || true
    lab_remove
    rm -rf "$folder"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

declare -A network=([gatehouse]=10.99.1 [strongswan]=10.99.2)
psk=benchSecret_0123456789.abcdef
for host in "${hosts[@]}"; do
    ip netns add "$lab-$host"
    ip -n "$lab-$host" link set lo up
done
for peer in gatehouse strongswan; do
    link fleet "$peer" "$peer" wan
    ip -n "$lab-$peer" addr add "${network[$peer]}.254/24" dev wan
    for ((i = 1; i <= 16; i++)); do ip -n "$lab-fleet" addr add "${network[$peer]}.$i/24" dev "$peer"; done
done

declare -A number=([modp1024]=2 [modp1536]=5 [modp2048]=14 [modp3072]=15 [modp4096]=16 [ecp256]=19 [ecp384]=20
    [ecp521]=21 [curve25519]=31)

# Clock ticks of CPU that a process has used.
cpu() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"; }

pinned() { taskset --all-tasks --cpu-list --pid 0 "${processes[$1]}" >/dev/null; }

up_gatehouse() {
    local dh=$1
    start_gatehoused gatehouse
    cat >"$folder/fleet.yaml" <<YAML
id: fleet
name: fleet
initiation: respond
localNetworks: ["10.2.0.0/16"]
remoteNetworks: ["10.1.0.0/16"]
tunnels:
  - name: fleet-1
    phase1:
      localAddress: ${network[gatehouse]}.254
      psk: "$psk"
      encryption: [aes128]
      integrity: [sha256]
      dhGroups: [${number[$dh]}]
      lifetimeSeconds: 28800
      dpd: {delaySeconds: 3600, timeoutSeconds: 7200, action: clear}
    phase2:
      encryption: [aes128gcm16]
      integrity: []
      pfsGroups: []
      lifetimeSeconds: 3600
      localSelectors: ["0.0.0.0/0"]
      remoteSelectors: ["0.0.0.0/0"]
YAML
    gatehouse gatehouse connector add "$folder/fleet.yaml" >/dev/null
}

# charon without a data path refuses the child, which spares it work: that favours it. Its guards against floods are
# off and its tables large, as its own documentation advises for load.
up_strongswan() {
    local dh=$1 d=$folder/strongswan
    mkdir -p "$d/swanctl"
    rm -f "$d/vici"
    cat >"$d/strongswan.conf" <<CONF
charon-systemd {
    load = random nonce openssl pem pkcs1 pubkey x509 kdf hmac gcm kernel-netlink socket-default vici
    ikesa_table_size = 4096
    ikesa_table_segments = 4
    cookie_threshold = 0
    block_threshold = 0
    dos_protection = no
    journal {
        default = -1
    }
    filelog {
        stderr {
            default = -1
        }
    }
    plugins {
        vici {
            socket = unix://$d/vici
        }
    }
}
swanctl {
    load = random openssl pem pkcs1
    socket = unix://$d/vici
}
CONF
    cat >"$d/swanctl/swanctl.conf" <<CONF
connections {
    fleet {
        version = 2
        proposals = aes128-sha256-$dh
        local_addrs = ${network[strongswan]}.254
        remote_addrs = %any
        dpd_delay = 0
        mobike = no
        local {
            auth = psk
            id = ${network[strongswan]}.254
        }
        remote {
            auth = psk
            id = %any
        }
        children {
            net {
                local_ts = 0.0.0.0/0
                remote_ts = 0.0.0.0/0
                esp_proposals = aes128gcm16
            }
        }
    }
}
secrets {
    ike-fleet {
        secret = "$psk"
    }
}
CONF
    STRONGSWAN_CONF=$d/strongswan.conf start strongswan strongswan /usr/sbin/charon-systemd
    wait_for 20 "strongSwan" swanctl_on strongswan --load-all || die "strongSwan does not answer."
}

# run_fleet PEER GROUP COUNT: prints the seconds that the handshakes took and how many got a child.
run_fleet() {
    on fleet timeout 300 taskset --cpu-list 1 "$binaries/bench-ike" --local "${network[$1]}" \
        --remote "${network[$1]}.254" --psk "$psk" --group "${number[$2]}" --handshakes "$3" --at-a-time 16
}

per_round=$((handshakes / rounds))
declare -A figures=()
for dh in "${groups[@]}"; do
    [[ -n ${number[$dh]:-} ]] || die "The group '$dh' is not known."
    step "$dh: $rounds rounds of $per_round handshakes with each"
    declare -A ticks=([gatehouse]=0 [strongswan]=0) seconds=([gatehouse]=0 [strongswan]=0)
    declare -A children=([gatehouse]=0 [strongswan]=0)
    for peer in gatehouse strongswan; do
        "up_$peer" "$dh"
        pinned "$peer"
    done
    for ((round = 1; round <= rounds; round++)); do
        for peer in gatehouse strongswan; do
            before=$(cpu "${processes[$peer]}")
            answer=$(run_fleet "$peer" "$dh" "$per_round") || die "The fleet failed against $peer: $answer"
            read -r took with_child <<<"$answer"
            children[$peer]=$((children[$peer] + with_child))
            after=$(cpu "${processes[$peer]}")
            ticks[$peer]=$((ticks[$peer] + after - before))
            seconds[$peer]=$(awk -v a="${seconds[$peer]}" -v b="$took" 'BEGIN { print a + b }')
        done
    done
    for peer in gatehouse strongswan; do
        figures[$dh.$peer.cpu]=$(awk -v t="${ticks[$peer]}" -v hz="$(getconf CLK_TCK)" -v n="$((per_round * rounds))" \
            'BEGIN { printf "%.0f", t / hz / n * 1e6 }')
        figures[$dh.$peer.rate]=$(awk -v s="${seconds[$peer]}" -v n="$((per_round * rounds))" \
            'BEGIN { printf "%.0f", n / s }')
        note "$peer: ${figures[$dh.$peer.cpu]} µs of CPU a handshake, ${figures[$dh.$peer.rate]} handshakes a second," \
            "${children[$peer]} with a child"
        stop "$peer" || true
        rm -rf "${folder:?}/$peer"
    done
done

echo
for dh in "${groups[@]}"; do
    for peer in gatehouse strongswan; do
        printf 'figure ike_%s_%s_cpu %s us/handshake\n' "$dh" "$peer" "${figures[$dh.$peer.cpu]}"
        printf 'figure ike_%s_%s_rate %s handshakes/s\n' "$dh" "$peer" "${figures[$dh.$peer.rate]}"
    done
    printf 'figure ike_%s_cpu %s ratio\n' "$dh" "$(awk -v a="${figures[$dh.gatehouse.cpu]}" \
        -v b="${figures[$dh.strongswan.cpu]}" 'BEGIN { printf "%.2f", (b > 0 ? a / b : 0) }')"
done
