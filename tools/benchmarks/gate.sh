#!/usr/bin/env bash
# The gate with ten sessions beside the gate with a hundred thousand, in the same run, alternately: what it costs to
# load, to admit and revoke one more, and to forward; and how long packets pass after a revocation.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

rounds=3 seconds=4 many=100000
while [[ $# -gt 0 ]]; do
    case $1 in
    --rounds) rounds=$2 && shift ;;
    --seconds) seconds=$2 && shift ;;
    --sessions) many=$2 && shift ;;
    *)
        echo "tools/bench gate [--rounds 3] [--seconds 4] [--sessions 100000]"
        [[ $1 == -h || $1 == --help ]] && exit 0 || exit 2
        ;;
    esac
    shift
done
[[ $(id -u) -eq 0 ]] || die "tools/bench needs root, to make network namespaces."
need_packages "${packages_of_lab[@]}" "${packages_to_build[@]}" iperf3=iperf3
step "Building"
build release bench-gate

folder=$(mktemp -d /tmp/gh-gate-XXXXXX)
lab=${folder#/tmp/}
server=
finish() {
    local status=$?
    trap - EXIT INT TERM HUP
    [[ -z $server ]] || kill "$server" 2>/dev/null || true
    for host in client gateway vpc; do ip netns delete "$lab-$host" 2>/dev/null || true; done
    rm -rf "$folder"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

on() { ip netns exec "$lab-$1" "${@:2}"; }
for host in client gateway vpc; do
    ip netns add "$lab-$host"
    ip -n "$lab-$host" link set lo up
done
on gateway sysctl -qw net.ipv4.ip_forward=1
ip -n "$lab-gateway" link add lan type veth peer name eth0 netns "$lab-client"
ip -n "$lab-gateway" link add gh0 type veth peer name eth0 netns "$lab-vpc"
for place in "client eth0 10.1.0.10" "gateway lan 10.1.0.1" "gateway gh0 10.2.0.1" "vpc eth0 10.2.0.10"; do
    read -r host interface address <<<"$place"
    ip -n "$lab-$host" addr add "$address/24" dev "$interface"
    ip -n "$lab-$host" link set "$interface" up
done
ip -n "$lab-client" route add default via 10.1.0.1
ip -n "$lab-vpc" route add default via 10.2.0.1
ip netns exec "$lab-vpc" iperf3 --server >"$folder/server.log" 2>&1 &
server=$!
bench() { on gateway "$binaries/bench-gate" "$@"; }

# Ten packets every millisecond, for three seconds.
stream='
import socket, time
client, begun = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), time.perf_counter()
for tick in range(3000):
    time.sleep(max(0, begun + tick / 1000 - time.perf_counter()))
    for _ in range(10):
        try:
            client.sendto(bytes(64), ("10.2.0.10", 9))
        except OSError:
            pass
'
declare -A values=()
keep() { values[$1]+="$2 "; }
for ((round = 1; round <= rounds; round++)); do
    for count in none 10 "$many"; do
        step "Round $round of $rounds: $count sessions"
        if [[ $count == none ]]; then
            on gateway nft delete table inet gatehouse 2>/dev/null || true
        else
            keep "load.$count" "$(bench load "$count" 10.1.0.10 | awk '/^load/ { print $2 }')"
            while read -r what median worst; do
                keep "$what.$count" "$median"
                keep "$what-p99.$count" "$worst"
            done < <(bench one 500)
        fi
        # Small packets, since what the gate costs is a price for each packet.
        keep "rate.$count" "$(on client iperf3 --client 10.2.0.10 --udp --bitrate 0 --length 64 --time "$seconds" \
            --json | jq '.end.sum_received.packets // .end.sum.packets - .end.sum.lost_packets | . / '"$seconds"' | floor')"
        note "$count sessions: ${values[rate.$count]##* } $(tr ' ' '\n' <<<"${values[rate.$count]}" | tail -n 2 | head -n 1) packets/s"
    done
    # Revocation in the middle of a stream of 10,000 packets a second.
    bench load "$many" 10.1.0.10 >/dev/null
    ip netns exec "$lab-gateway" tcpdump -Z root -i gh0 -n -tt -U -w "$folder/cut.pcap" udp and src 10.1.0.10 2>"$folder/tcpdump.log" &
    capture=$!
    for ((try = 0; try < 100; try++)); do
        grep -q 'listening on' "$folder/tcpdump.log" 2>/dev/null && break
        sleep 0.05
    done
    # No iperf3 here: with its own connection cut as well it would wait for ever.
    on client python3 -c "$stream" &
    sender=$!
    sleep 1.5
    begun=$(bench cut 10.1.0.10 | awk '/^cut/ { print $2 }')
    wait "$sender" || true
    # What runs in the background of a script ignores SIGINT.
    kill -TERM "$capture"
    wait "$capture" 2>/dev/null || true
    last=$(tcpdump -r "$folder/cut.pcap" -n -tt 2>/dev/null | awk '{ print $1 }' | tail -n 1)
    keep cut "$(awk -v a="$last" -v b="$begun" 'BEGIN { d = (a - b) * 1e3; printf "%.3f", (d > 0 ? d : 0) }')"
done

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", (b > 0 ? a / b : 0) }'; }
echo
printf 'figure gate_load_%s %s s\n' "$many" "$(median "${values[load.$many]}")"
for what in admit revoke; do
    for count in 10 "$many"; do
        printf 'figure gate_%s_%s_p50 %s us\n' "$what" "$count" "$(median "${values[$what.$count]}")"
        printf 'figure gate_%s_%s_p99 %s us\n' "$what" "$count" "$(median "${values[$what-p99.$count]}")"
    done
    printf 'figure gate_%s_growth %s ratio\n' "$what" \
        "$(ratio "$(median "${values[$what.$many]}")" "$(median "${values[$what.10]}")")"
done
for count in none 10 "$many"; do
    printf 'figure gate_forwarding_%s %s packets/s\n' "$count" "$(median "${values[rate.$count]}")"
done
printf 'figure gate_forwarding_growth %s ratio\n' \
    "$(ratio "$(median "${values[rate.$many]}")" "$(median "${values[rate.10]}")")"
printf 'figure gate_forwarding_beside_none %s ratio\n' \
    "$(ratio "$(median "${values[rate.$many]}")" "$(median "${values[rate.none]}")")"
printf 'figure gate_revocation_to_last_packet %s ms\n' "$(median "${values[cut]}")"
