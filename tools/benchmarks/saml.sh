#!/usr/bin/env bash
# What a sign-in costs. Verifying a SAML response beside the bare arithmetic of the same response (two RSA-2048
# signatures and its hashes) and beside python3-saml, which rests on libxmlsec1: responses a CPU second. Then sign-ins at
# a fixed rate against the whole daemon: milliseconds from the posted response until a packet passes the gate and comes
# back through the tunnel.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"
source "$root/tools/lib/topology.sh"
source "$root/tools/lib/peers.sh"

rounds=3 seconds=4 rate=100 count=1500
while [[ $# -gt 0 ]]; do
    case $1 in
    --rounds) rounds=$2 && shift ;;
    --seconds) seconds=$2 && shift ;;
    --rate) rate=$2 && shift ;;
    --sign-ins) count=$2 && shift ;;
    *)
        echo "tools/bench saml [--rounds 3] [--seconds 4] [--rate 100] [--sign-ins 1500, at most 4000]"
        [[ $1 == -h || $1 == --help ]] && exit 0 || exit 2
        ;;
    esac
    shift
done
[[ $(id -u) -eq 0 ]] || die "tools/bench needs root, to make network namespaces."
need_packages "${packages_of_lab[@]}" "${packages_to_build[@]}" /usr/lib/python3/dist-packages/xmlsec=python3-xmlsec \
    /usr/lib/python3/dist-packages/lxml=python3-lxml "/usr/lib/python3*/ensurepip=python3-venv"
step "Building"
build release gatehoused gatehouse bench-saml
python=$builds/python3-saml/bin/python3
if ! "$python" -c 'import onelogin.saml2.response' 2>/dev/null; then
    step "Installing python3-saml"
    # Debian's own Python, for which Debian's python3-xmlsec is.
    rm -rf "$builds/python3-saml"
    /usr/bin/python3 -m venv --system-site-packages "$builds/python3-saml"
    "$python" -m pip install -q --no-deps python3-saml==1.16.0 isodate==0.7.2
    "$python" -c 'import onelogin.saml2.response' || die "python3-saml does not load; the reason stands above."
fi

folder=$(mktemp -d /tmp/gh-saml-XXXXXX)
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

issuer=https://idp.example/entity
acs=https://gate.example.com/user/external/saml
peer=$root/tools/benchmarks/saml/peer.py
"$binaries/bench-saml" make "$folder" "$count" "$issuer" "$acs"

declare -A values=()
keep() { values[$1]+="$2 "; }
for ((round = 1; round <= rounds; round++)); do
    step "Round $round of $rounds: verifying"
    "$binaries/bench-saml" verify "$folder" "$issuer" "$acs" "$seconds" >"$folder/round"
    "$python" "$peer" verify "$folder" "$issuer" "$acs" "$seconds" >>"$folder/round"
    while read -r what value; do keep "$what" "$value"; done <"$folder/round"
    note "ours $(awk '{ print int($NF) }' <<<"${values[ours]}"), bare $(awk '{ print int($NF) }' <<<"${values[bare]}"), \
python3-saml $(awk '{ print int($NF) }' <<<"${values[peer]}") a second"
done

step "A gateway with a tunnel and a closed gate"
lab_build
# One neighbour stands for all addresses, as a router of another floor would.
ip -n "$lab-client" route add local 10.1.16.0/20 dev lo
ip -n "$lab-gateway" route add 10.1.16.0/20 via "$client"
mkdir -p "$folder/gateway"
printf 'portal:\n  address: https://gate.example.com\n' >"$folder/gateway/boot.yaml"
start_gatehoused aws1
start_gatehoused gateway
secret=an-unguessable-pre-shared-key
connector "$folder/aws1.yaml" customer respond "${endpoints[0]}" "$customer" "$remote_network" "$local_network" "$secret" \
    aes128gcm16 sha256 14
connector "$folder/gateway.yaml" vpc initiate "$customer" "${endpoints[0]}" "$local_network" "$remote_network" "$secret" \
    aes128gcm16 sha256 14
gatehouse aws1 connector add "$folder/aws1.yaml" >/dev/null
gatehouse gateway connector add "$folder/gateway.yaml" >/dev/null
gatehouse gateway idp add saml bench --identifier "$issuer" --service-url https://idp.example/sso \
    --certificate "$folder/idp.crt" >/dev/null
wait_for 30 "the tunnel" on client ping -q -n -c 1 -W 1 "$vpc" || die "The tunnel does not come up."
gatehouse gateway gate enable >/dev/null
start echo vpc python3 "$peer" echo "$vpc" 7

step "$count sign-ins, $rate a second"
# Warm, and proof that nobody passes unasked.
! on client ping -q -n -c 1 -W 1 "$vpc" >/dev/null || die "The gate lets someone through unasked."
on client python3 "$peer" sign-ins "$folder" 10.1.0.1 443 "$vpc" "$rate" "$count" >"$folder/round"
while read -r what value; do keep "$what" "$value"; done <"$folder/round"
[[ ${values[failed]} == "0 " ]] || die "Sign-ins failed: ${values[failed]}"
sessions=$(gatehouse gateway session list --json | jq length)

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", (b > 0 ? a / b : 0) }'; }
echo
printf 'figure saml_response %s bytes\n' "$(median "${values[bytes]}")"
for what in ours bare peer; do printf 'figure saml_verify_%s %.0f per-cpu-second\n' "$what" "$(median "${values[$what]}")"; done
printf 'figure saml_verify_beside_bare %s ratio\n' "$(ratio "$(median "${values[ours]}")" "$(median "${values[bare]}")")"
printf 'figure saml_verify_beside_python3_saml %s ratio\n' \
    "$(ratio "$(median "${values[ours]}")" "$(median "${values[peer]}")")"
printf 'figure sign_ins %.1f per-second\n' "${values[rate]% }"
printf 'figure sign_in_sessions %s sessions\n' "$sessions"
printf 'figure sign_in_to_packet_p50 %.1f ms\n' "${values[p50]% }"
printf 'figure sign_in_to_packet_p99 %.1f ms\n' "${values[p99]% }"
