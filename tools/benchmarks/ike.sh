#!/usr/bin/env bash
# What IKE costs: gatehoused beside strongSwan's charon as responders, whose handshakes are driven alternately by the same
# fleet of initiators, 16 exchanges at a time, each tunnel with an identity of its own. A responder is pinned to the first core,
# the fleet to the second. CPU is what all threads of the responder ran, memory its resident set.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"
source "$root/tools/lib/topology.sh"
source "$root/tools/lib/peers.sh"

usage() {
    cat <<'TEXT'
tools/bench ike [PART…] [options]     all parts, or some: handshakes, cores, exchanges, memory, flood

  handshakes   CPU a handshake and handshakes a second for each group; the bare arithmetic and our engine alone
  cores        handshakes a second with two cores over one, for groups whose initiators can be made cheap (primes); and
               how far the rate can grow with more: the CPU of a handshake over that of the busiest stage
  exchanges    CPU a liveness check, a child rekey and an IKE rekey
  memory       resident memory a tunnel, and CPU a handshake, as tunnels become many
  flood        liveness checks of established tunnels while strangers begin handshakes

  --handshakes 4500   --rounds 9   --groups modp1024,modp2048,ecp256,curve25519
  --tunnels 1000,10000,100000      for memory
  --rate 50000  --seconds 10  --established 10000      for flood
TEXT
}

handshakes=4500 rounds=9 groups=(modp1024 modp2048 ecp256 curve25519) tunnels=(1000 10000 100000)
rate=50000 seconds=10 established=10000 parts=()
while [[ $# -gt 0 ]]; do
    case $1 in
    handshakes | cores | exchanges | memory | flood) parts+=("$1") ;;
    --handshakes) handshakes=$2 && shift ;;
    --rounds) rounds=$2 && shift ;;
    --groups) read -ra groups <<<"${2//,/ }" && shift ;;
    --tunnels) read -ra tunnels <<<"${2//,/ }" && shift ;;
    --rate) rate=$2 && shift ;;
    --seconds) seconds=$2 && shift ;;
    --established) established=$2 && shift ;;
    *)
        usage
        [[ $1 == -h || $1 == --help ]] && exit 0 || exit 2
        ;;
    esac
    shift
done
[[ ${#parts[@]} -gt 0 ]] || parts=(handshakes cores exchanges memory flood)
[[ $(id -u) -eq 0 ]] || die "tools/bench needs root, to make network namespaces."
[[ $(nproc) -ge 2 ]] || die "tools/bench ike needs two cores: one for the responder, one for the fleet."
need_packages "${packages_of_lab[@]}" "${packages_of_strongswan[@]}" "${packages_to_build[@]}" taskset=util-linux
step "Building"
build release gatehoused gatehouse bench-ike

folder=$(mktemp -d /tmp/gh-ike-XXXXXX)
lab=${folder#/tmp/}
hosts=(fleet strangers gatehouse strongswan)
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

declare -A network=([gatehouse]=10.99.1 [strongswan]=10.99.2) strangers=([gatehouse]=10.98.1 [strongswan]=10.98.2)
psk=benchSecret_0123456789.abcdef
for host in "${hosts[@]}"; do
    ip netns add "$lab-$host"
    ip -n "$lab-$host" link set lo up
done
for peer in gatehouse strongswan; do
    link fleet "$peer" "$peer" wan
    ip -n "$lab-$peer" addr add "${network[$peer]}.254/24" dev wan
    for ((i = 1; i <= 16; i++)); do ip -n "$lab-fleet" addr add "${network[$peer]}.$i/24" dev "$peer"; done
    link strangers "$peer" "$peer" outside
    ip -n "$lab-strangers" addr add "${strangers[$peer]}.1/24" dev "$peer"
    ip -n "$lab-$peer" addr add "${strangers[$peer]}.254/24" dev outside
done

declare -A number=([modp1024]=2 [modp1536]=5 [modp2048]=14 [modp3072]=15 [modp4096]=16 [ecp256]=19 [ecp384]=20
    [ecp521]=21 [curve25519]=31)

# Nanoseconds of CPU that the threads of a process have used.
cpu() { cat /proc/"$1"/task/*/schedstat | awk '{ sum += $1 } END { printf "%.0f", sum }'; }

# affinity NAME CORES: where all threads of a process may run.
affinity() { taskset --all-tasks --cpu-list --pid "$2" "${processes[$1]}" >/dev/null; }
pinned() { affinity "$1" 0; }

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
      psk: "$psk"
      encryption: [aes128]
      integrity: [sha256]
      dhGroups: [${number[$dh]}]
      forceUDPEncapsulation: true
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
    gatehouse gatehouse connector add --file "$folder/fleet.yaml" >/dev/null
}

# charon carries its children in userspace, as we do here, by kernel-libipsec, which does ESP in UDP alone. Its tables are
# large, as its own documentation advises for load; its guards against floods are on for the flood alone.
up_strongswan() {
    local dh=$1 d=$folder/strongswan
    local guards=${2:-$'cookie_threshold = 0\n    block_threshold = 0\n    dos_protection = no'}
    mkdir -p "$d/swanctl"
    rm -f "$d/vici"
    cat >"$d/strongswan.conf" <<CONF
charon-systemd {
    load = random nonce openssl pem pkcs1 pubkey x509 kdf hmac gcm kernel-libipsec kernel-netlink socket-default vici
    ikesa_table_size = 4096
    ikesa_table_segments = 4
    $guards
    install_routes = no
    install_virtual_ip = no
    process_route = no
    routing_table_prio = 40000
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
        local_addrs = %any
        remote_addrs = %any
        dpd_delay = 0
        mobike = no
        encap = yes
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
                rekey_time = 0
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

resident() { awk '/^VmRSS/ { print $2 }' "/proc/${processes[$1]}/status"; }

# fleet_up PEER GROUP [OPTION…]: a fleet that takes orders; fleet PEER ORDER…: prints its answer.
fleet_up() {
    local pipe=$folder/$1.orders
    rm -f "$pipe" "$folder/$1.answers"
    mkfifo "$pipe" "$folder/$1.answers"
    start "$1-fleet" fleet bash -c "exec taskset --cpu-list 1 '$binaries/bench-ike' fleet --local '${network[$1]}' \
        --remote '${network[$1]}.254' --psk '$psk' --group '${number[$2]}' ${*:3} <'$pipe' >'$folder/$1.answers'"
    exec {orders[$1]}>"$pipe" {answers[$1]}<"$folder/$1.answers"
}
declare -A orders=() answers=()
fleet() {
    local answer
    echo "${*:2}" >&"${orders[$1]}"
    IFS= read -r -t 900 answer <&"${answers[$1]}" || die "The fleet does not answer."
    [[ $answer != bench-ike:* ]] || die "The fleet failed against $1: ${answer#bench-ike: }"
    echo "$answer"
}
down() {
    exec {orders[$1]}>&- {answers[$1]}<&-
    stop "$1-fleet" || true
    stop "$1" || true
    rm -rf "${folder:?}/$1"
}

# measure PEER ORDER…: sets cost (µs of CPU of the responder a piece), took (s) and done (pieces).
measure() {
    local before after rest
    before=$(cpu "${processes[$1]}")
    read -r took done rest <<<"$(fleet "$@")"
    after=$(cpu "${processes[$1]}")
    extra=$rest
    [[ ${done:-0} -gt 0 ]] || die "Nothing was done: ${*:2} with $1."
    cost=$(awk -v t=$((after - before)) -v n="$done" 'BEGIN { printf "%.1f", t / n / 1000 }')
}
divide() { awk -v a="$1" -v b="$2" -v digits="${3:-2}" 'BEGIN { printf "%." digits "f", (b != 0 ? a / b : 0) }'; }

lines=()
figure() { lines+=("figure $1 $2 $3"); }
peers=(gatehouse strongswan)
most_of_charon=10000

# Medians of rounds that take turns count: a host with neighbours is slow and fast by turns.
measure_handshakes() {
    local dh peer round bare asking answering
    local -A costs rates
    for dh in "${groups[@]}"; do
        [[ -n ${number[$dh]:-} ]] || die "The group '$dh' is not known."
        step "$dh: $rounds rounds of $((handshakes / rounds)) handshakes with each"
        for peer in "${peers[@]}"; do
            "up_$peer" "$dh"
            pinned "$peer"
            fleet_up "$peer" "$dh"
            fleet "$peer" establish 50 >/dev/null
            costs[$peer]='' rates[$peer]=''
        done
        costs[ratio]=''
        for ((round = 1; round <= rounds; round++)); do
            for peer in "${peers[@]}"; do
                measure "$peer" establish $((handshakes / rounds))
                costs[$peer]+=" $cost"
                rates[$peer]+=" $(divide "$done" "$took" 0)"
            done
            costs[ratio]+=" $(divide "${costs[gatehouse]##* }" "${costs[strongswan]##* }")"
        done
        read -r bare asking answering <<<"$(taskset --cpu-list 0 "$binaries/bench-ike" engine --group "${number[$dh]}")"
        for peer in "${peers[@]}"; do
            costs[$peer]=$(median "${costs[$peer]}") rates[$peer]=$(median "${rates[$peer]}")
            note "$peer: ${costs[$peer]} µs of CPU a handshake, ${rates[$peer]} handshakes a second"
            figure "ike_${dh}_${peer}_cpu" "${costs[$peer]}" us/handshake
            figure "ike_${dh}_${peer}_rate" "${rates[$peer]}" handshakes/s
            down "$peer"
        done
        figure "ike_${dh}_cpu" "$(median "${costs[ratio]}")" ratio
        figure "ike_${dh}_arithmetic" "$(printf %.1f "$bare")" us/handshake
        figure "ike_${dh}_engine_responder" "$(printf %.2f "$answering")" ratio
        figure "ike_${dh}_engine_initiator" "$(printf %.2f "$asking")" ratio
        figure "ike_${dh}_daemon_over_arithmetic" "$(divide "${costs[gatehouse]}" "$bare")" ratio
    done
}

# Nanoseconds of CPU by stage: the threads of Swift's pool take turns at the one loop that owns the engine.
stages() {
    local task
    for task in "/proc/$1/task"/*; do
        echo "$(sed 's/.*-\?qos.*/loop/' "$task/comm") $(cut -d ' ' -f 1 "$task/schedstat")"
    done | awk '{ sum[$1] += $2 } END { for (name in sum) print name, sum[name] }' | sort
}

measure_cores() {
    local dh before after each total busiest
    for dh in "${groups[@]}"; do
        step "$dh: $handshakes handshakes, the responder on both cores"
        up_gatehouse "$dh"
        fleet_up gatehouse "$dh"
        fleet gatehouse establish 200 >/dev/null
        before=$(stages "${processes[gatehouse]}")
        measure gatehouse establish "$handshakes"
        after=$(stages "${processes[gatehouse]}")
        each=$(join <(echo "$before") <(echo "$after") | awk -v n="$handshakes" '{ printf "%s %.1f\n", $1, ($3 - $2) / n / 1000 }')
        read -r total busiest <<<"$(awk '{ sum += $2 } $2 > most { most = $2 } END { print sum, most }' <<<"$each")"
        note "µs of CPU a handshake: $(awk '$2 > 0.5 { printf "%s%s %s", gap, $1, $2; gap = ", " }' <<<"$each")"
        figure "ike_${dh}_cores" "$(divide "$total" "$busiest")" ratio
        down gatehouse
    done
    for dh in "${groups[@]}" modp4096; do
        [[ $dh != modp* ]] || measure_two_cores "$dh"
    done
}

# The fleet's private exponent is 2: its handshakes cost it little beside what they cost the responder. With one core the
# responder has it to itself; with two it shares both with the fleet, and what the fleet takes of them is no fault of the
# responder's: the net ratio is the rate by the cores that were left to it.
measure_two_cores() {
    local dh=$1 cores round before
    local -A rates=() taken=()
    step "$dh: $rounds rounds of $((handshakes / rounds)) handshakes, with one core and with two"
    up_gatehouse "$dh"
    fleet_up gatehouse "$dh" --exponent 2 --at-once 32
    fleet gatehouse establish 100 >/dev/null
    for ((round = 1; round <= rounds; round++)); do
        for cores in 0 0,1; do
            affinity gatehouse "$cores"
            affinity gatehouse-fleet "$([[ $cores == 0 ]] && echo 1 || echo 0,1)"
            before=$(cpu "${processes[gatehouse-fleet]}")
            measure gatehouse establish $((handshakes / rounds))
            rates[$cores]+=" $(divide "$done" "$took" 1)"
            taken[$cores]+=" $(awk -v c="$(($(cpu "${processes[gatehouse-fleet]}") - before))" -v s="$took" \
                'BEGIN { printf "%.3f", c / 1e9 / s }')"
        done
    done
    for cores in 0 0,1; do
        rates[$cores]=$(median "${rates[$cores]}") taken[$cores]=$(median "${taken[$cores]}")
    done
    note "${rates[0]} handshakes a second with one core, ${rates[0,1]} with two, of which the fleet took ${taken[0,1]}"
    figure "ike_${dh}_rate_one_core" "${rates[0]}" handshakes/s
    figure "ike_${dh}_rate_two_cores" "${rates[0,1]}" handshakes/s
    figure "ike_${dh}_two_cores_over_one" "$(divide "${rates[0,1]}" "${rates[0]}")" ratio
    figure "ike_${dh}_two_cores_over_one_net" "$(awk -v a="${rates[0]}" -v b="${rates[0,1]}" -v f="${taken[0,1]}" \
        'BEGIN { printf "%.2f", 2 * b / (2 - f) / a }')" ratio
    down gatehouse
}

measure_exchanges() {
    local peer order round
    local -A costs
    step "Liveness checks and rekeys on 500 tunnels (curve25519)"
    for peer in "${peers[@]}"; do
        "up_$peer" curve25519
        pinned "$peer"
        fleet_up "$peer" curve25519
        fleet "$peer" establish 500 >/dev/null
    done
    for order in liveness rekey-child rekey-ike; do
        costs=([gatehouse]='' [strongswan]='' [ratio]='')
        for ((round = 1; round <= rounds; round++)); do
            for peer in "${peers[@]}"; do
                measure "$peer" "$order" 1000
                costs[$peer]+=" $cost"
            done
            costs[ratio]+=" $(divide "${costs[gatehouse]##* }" "${costs[strongswan]##* }")"
        done
        for peer in "${peers[@]}"; do
            costs[$peer]=$(median "${costs[$peer]}")
            note "$peer: ${costs[$peer]} µs of CPU a $order"
            figure "ike_${order//-/_}_${peer}_cpu" "${costs[$peer]}" us
        done
        figure "ike_${order//-/_}_cpu" "$(median "${costs[ratio]}")" ratio
    done
    for peer in "${peers[@]}"; do down "$peer"; done
}

measure_memory() {
    local peer count before empty spent
    local -A each
    for peer in "${peers[@]}"; do
        step "Tunnels become many (curve25519): $peer"
        "up_$peer" curve25519
        pinned "$peer"
        fleet_up "$peer" curve25519
        fleet "$peer" establish 100 >/dev/null
        empty=$(resident "$peer") before=100
        for count in "${tunnels[@]}"; do
            # libipsec searches lists: each child costs charon more than the one before.
            [[ $peer == gatehouse || $count -le $most_of_charon ]] || continue
            spent=$(cpu "${processes[$peer-fleet]}")
            measure "$peer" establish $((count - before))
            spent=$(awk -v t="$(($(cpu "${processes[$peer-fleet]}") - spent))" -v n="$done" 'BEGIN { printf "%.1f", t / n / 1000 }')
            before=$count
            each[$peer$count]=$(divide "$(($(resident "$peer") - empty))" "$((count - 100))")
            note "$peer: $count tunnels: ${each[$peer$count]} KiB each, $cost µs of CPU a handshake"
            figure "ike_${peer}_memory_$count" "${each[$peer$count]}" KiB/tunnel
            figure "ike_${peer}_cpu_to_$count" "$cost" us/handshake
            # The fleet is one engine of ours, sockets and all.
            [[ $peer != gatehouse ]] || figure "ike_initiator_cpu_to_$count" "$spent" us/handshake
            [[ $peer == gatehouse || -z ${each[gatehouse$count]:-} ]] ||
                figure "ike_memory_$count" "$(divide "${each[gatehouse$count]}" "${each[$peer$count]}")" ratio
        done
        down "$peer"
    done
}

measure_flood() {
    local peer quiet p50 p99 sent answered lost flooded
    for peer in "${peers[@]}"; do
        local count=$established
        [[ $peer == gatehouse || $count -le $most_of_charon ]] || count=$most_of_charon
        step "A flood of $rate first messages a second for $seconds s, $count tunnels established: $peer"
        # Its defaults are what protects charon.
        "up_$peer" curve25519 "dos_protection = yes"
        pinned "$peer"
        fleet_up "$peer" curve25519
        fleet "$peer" establish "$count" >/dev/null
        read -r sent answered p50 p99 lost <<<"$(fleet "$peer" probe 100 "$seconds")"
        note "quiet: $answered of $sent answered, median $p50 ms, 99th percentile $p99 ms"
        figure "ike_flood_${peer}_quiet_p99" "$p99" ms
        on strangers taskset --cpu-list 1 "$binaries/bench-ike" flood --local "${strangers[$peer]}" \
            --remote "${strangers[$peer]}.254" --rate "$rate" --seconds "$seconds" >"$folder/$peer.flood" &
        flooded=$!
        read -r sent answered p50 p99 lost <<<"$(fleet "$peer" probe 100 "$seconds")"
        wait "$flooded" || die "The flood failed: $(cat "$folder/$peer.flood")"
        note "flooded with $(awk '{ printf "%d in %.1f s", $1, $2 }' "$folder/$peer.flood"): $answered of $sent" \
            "answered, median $p50 ms, 99th percentile $p99 ms, $lost tunnels lost"
        figure "ike_flood_${peer}_answered" "$(divide "$answered" "$sent" 3)" ratio
        figure "ike_flood_${peer}_p50" "$p50" ms
        figure "ike_flood_${peer}_p99" "$p99" ms
        figure "ike_flood_${peer}_lost" "$lost" tunnels
        down "$peer"
    done
}

for part in "${parts[@]}"; do "measure_$part"; done
echo
printf '%s\n' "${lines[@]}"
