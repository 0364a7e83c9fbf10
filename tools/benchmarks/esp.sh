#!/usr/bin/env bash
# Throughput of userspace ESP: two of our daemons beside two strongSwans with kernel-libipsec, in the same topology,
# alternately; and what share of the bare cipher's rate we reach. The figures are medians; a gateway's CPU is its process's
# utime+stime.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"
source "$root/tools/lib/topology.sh"
source "$root/tools/lib/peers.sh"

rounds=3 seconds=5 suite=aes128gcm16 raw=
while [[ $# -gt 0 ]]; do
    case $1 in
    --raw) raw=yes ;;
    --rounds) rounds=$2 && shift ;;
    --seconds) seconds=$2 && shift ;;
    --suite) suite=$2 && shift ;;
    *)
        echo "tools/bench esp [--rounds 3] [--seconds 5] [--suite aes128gcm16|aes128-sha1|aes256-sha256|chacha20poly1305]
                [--raw]     ours sends ESP as it is, not in UDP as kernel-libipsec does"
        [[ $1 == -h || $1 == --help ]] && exit 0 || exit 2
        ;;
    esac
    shift
done
case $suite in
*-*) encryption=${suite%-*} integrity=${suite#*-} ike=$suite-ecp256 ;;
*) encryption=$suite integrity=sha256 ike=$suite-prfsha256-ecp256 ;;
esac
[[ $(id -u) -eq 0 ]] || die "tools/bench needs root, to make network namespaces."
need_packages "${packages_of_lab[@]}" "${packages_of_strongswan[@]}" "${packages_to_build[@]}" iperf3=iperf3
step "Building"
build release gatehoused gatehouse bench-esp

folder=$(mktemp -d /tmp/gh-esp-XXXXXX)
lab=${folder#/tmp/}
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

lab_build
start iperf3 vpc iperf3 --server
psk=benchSecret_0123456789.abcdef
reaches_vpc() { on client ping -q -n -c 1 -W 1 "$vpc"; }

up_gatehouse() {
    local host inside=169.254.77
    for host in aws1 gateway; do start_gatehoused "$host"; done
    connector "$folder/aws1.yaml" bench respond "${endpoints[0]}" "$customer" "$remote_network" "$local_network" \
        "$psk" "$encryption" "$integrity" 19 "$inside.1 $inside.2"
    connector "$folder/gateway.yaml" bench initiate "$customer" "${endpoints[0]}" "$local_network" "$remote_network" \
        "$psk" "$encryption" "$integrity" 19 "$inside.2 $inside.1"
    # ESP in UDP, which is all that kernel-libipsec does: the same packets on both sides of the comparison.
    [[ -n $raw ]] || sed -i 's/^      dpd:/      forceUDPEncapsulation: true\n&/' "$folder"/{aws1,gateway}.yaml
    for host in aws1 gateway; do gatehouse "$host" connector add "$folder/$host.yaml" >/dev/null; done
}

up_strongswan() {
    start_strongswan aws1 "${endpoints[0]}" "$customer" "$local_network" "$psk" "$ike" "$suite"
    start_strongswan gateway "$customer" "${endpoints[0]}" "$remote_network" "$psk" "$ike" "$suite"
    swanctl_on gateway --initiate --child net >/dev/null
}

# Clock ticks of CPU that a process has used.
cpu() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"; }

declare -A mbits=() cpus=()
# measure PEER DIRECTION [OPTION]: one run; client to VPC, or the other way with -R.
measure() {
    local before after rate bytes json
    before=$(cpu "${processes[gateway]}")
    json=$(on client iperf3 --client "$vpc" --time "$seconds" --omit 1 --json "${@:3}")
    after=$(cpu "${processes[gateway]}")
    rate=$(jq '.end.sum_received.bits_per_second / 1e6 | floor' <<<"$json")
    bytes=$(jq '.end.sum_received.bytes' <<<"$json")
    mbits[$1.$2]+="$rate "
    cpus[$1.$2]+="$(awk -v t="$((after - before))" -v hz="$(getconf CLK_TCK)" -v b="$bytes" -v s="$seconds" \
        'BEGIN { printf "%.3f", t / hz / (b * (s + 1) / s) * 1e9 }') "
    note "$1 $2: $rate Mbit/s"
}

for ((round = 1; round <= rounds; round++)); do
    for peer in gatehouse strongswan; do
        step "Round $round of $rounds: $peer, $suite"
        "up_$peer"
        wait_for 30 "the VPC" reaches_vpc || die "The tunnel of $peer does not carry traffic."
        measure "$peer" out
        measure "$peer" in --reverse
        for host in gateway aws1; do
            stop "$host" || true
            rm -rf "${folder:?}/$host"
        done
    done
done

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", (b > 0 ? a / b : 0) }'; }
step "What the cipher alone costs: packets of 1,400 bytes, one thread"
"$binaries/bench-esp" | grep "_${suite/-/_}_1400 " >"$folder/cipher"
bare=$(awk '$2 ~ /^esp_bare_/ { printf "%.0f", $3 * 1400 * 8 }' "$folder/cipher")
echo
cat "$folder/cipher"
printf 'figure esp_%s_bare %s Mbit/s\n' "$suite" "$bare"
for direction in out in; do
    ours=$(median "${mbits[gatehouse.$direction]}") theirs=$(median "${mbits[strongswan.$direction]}")
    our_cpu=$(median "${cpus[gatehouse.$direction]}") their_cpu=$(median "${cpus[strongswan.$direction]}")
    printf 'figure esp_%s_%s_gatehouse %s Mbit/s\n' "$suite" "$direction" "$ours"
    printf 'figure esp_%s_%s_strongswan %s Mbit/s\n' "$suite" "$direction" "$theirs"
    printf 'figure esp_%s_%s_throughput %s ratio\n' "$suite" "$direction" "$(ratio "$ours" "$theirs")"
    printf 'figure esp_%s_%s_share_of_bare %s ratio\n' "$suite" "$direction" "$(ratio "$ours" "$bare")"
    printf 'figure esp_%s_%s_gatehouse_cpu %s s/GB\n' "$suite" "$direction" "$our_cpu"
    printf 'figure esp_%s_%s_strongswan_cpu %s s/GB\n' "$suite" "$direction" "$their_cpu"
done
