#!/usr/bin/env bash
# What a large directory costs: 100,000 people in 1,000 groups, each person in five of them, all groups chosen. The whole
# daemon reads it from a simulator over TLS, stores every user, and reads it again for one that changed: requests, seconds,
# and the daemon's memory at its highest.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

people=100000 groups=1000 vendors=(entra okta google)
while [[ $# -gt 0 ]]; do
    case $1 in
    --people) people=$2 && shift ;;
    --groups) groups=$2 && shift ;;
    --vendor) vendors=("$2") && shift ;;
    *)
        echo "tools/bench directory [--people 100000] [--groups 1000] [--vendor entra|okta|google]"
        [[ $1 == -h || $1 == --help ]] && exit 0 || exit 2
        ;;
    esac
    shift
done
[[ $(id -u) -eq 0 ]] || die "tools/bench needs root, to make network namespaces."
need_packages "${packages_of_lab[@]}" "${packages_to_build[@]}" openssl=openssl
step "Building"
build release gatehoused gatehouse

folder=$(mktemp -d /tmp/gh-directory-XXXXXX)
lab=${folder#/tmp/}
address=203.0.113.82
pids=()
finish() {
    local status=$?
    trap - EXIT INT TERM HUP
    [[ $status -eq 0 ]] || tail -n 15 "$folder"/*.log 2>/dev/null || true
    [[ ${#pids[@]} -eq 0 ]] || kill "${pids[@]}" 2>/dev/null || true
    wait
    ip netns delete "$lab" 2>/dev/null || true
    rm -rf "$folder"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

ip netns add "$lab"
ip -n "$lab" link set lo up
ip -n "$lab" address add $address/32 dev lo
on() { ip netns exec "$lab" "$@"; }
openssl req -x509 -newkey rsa:2048 -sha256 -nodes -days 30 -subj /CN=directory -addext "subjectAltName=IP:$address" \
    -keyout "$folder/dir.key" -out "$folder/dir.crt" 2>/dev/null
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$folder/service.pem" 2>/dev/null
jq -n --rawfile key "$folder/service.pem" '{type: "service_account", private_key_id: "k1", private_key: $key,
    client_email: "gatehouse@acme-gatehouse.iam.gserviceaccount.com", token_uri: "https://oauth2.googleapis.com/token"}' \
    >"$folder/service.json"
echo 'abc~s3cret+/with signs' >"$folder/secret"
echo 00simulated-token >"$folder/token"
gatehouse() { on "$binaries/gatehouse" --socket-directory "$folder/run" "$@"; }
status() { gatehouse directory status company --json | jq -r "$1"; }
# highest: KiB that the daemon has had at most.
highest() { awk '/^VmHWM/ { print $2 }' "/proc/$daemon/status"; }
wait_for_sync() {
    local before=$1 deadline=$((SECONDS + 1800))
    while [[ $(status '.lastSyncAt // "never"') == "$before" ]]; do
        [[ $SECONDS -lt $deadline ]] || die "The directory is not synchronised: $(status '.lastError')"
        sleep 0.5
    done
}

for vendor in "${vendors[@]}"; do
    step "$vendor: $people people in $groups groups"
    rm -rf "$folder/run" "$folder/state"
    mkdir -p "$folder/run" "$folder/state"
    printf 'stateDirectory: %s/state\nruntimeDirectory: %s/run\ndataPath: userspace\noutgoing:\n  ca: %s/dir.crt\n' \
        "$folder" "$folder" "$folder" >"$folder/boot.yaml"
    ip netns exec "$lab" python3 "$root/tools/simulators/directory.py" --vendor "$vendor" --address $address --certificate "$folder/dir.crt" \
        --key "$folder/dir.key" --people "$people" --groups "$groups" --service-key "$folder/service.pem" \
        >"$folder/$vendor.log" 2>&1 &
    pids=($!)
    # Not by the function: that would be a shell of its own.
    ip netns exec "$lab" "$binaries/gatehoused" --config "$folder/boot.yaml" >"$folder/gatehoused.log" 2>&1 &
    daemon=$!
    pids+=("$daemon")
    for ((i = 0; i < 600; i++)); do
        [[ -S $folder/run/control.sock ]] && grep -q ready "$folder/$vendor.log" && break
        sleep 0.1
    done
    before=$(highest)
    chosen=()
    for ((i = 0; i < groups; i++)); do chosen+=(--group "$(printf 'g%04d' "$i")"); done
    case $vendor in
    entra) place=(entra company --tenant contoso.example --client-id 22222222-2222-2222-2222-222222222222
        --secret-file "$folder/secret" --api-url "https://$address" --login-url "https://$address") ;;
    okta) place=(okta company --domain $address --secret-file "$folder/token") ;;
    google) place=(google company --customer C01234567 --key-file "$folder/service.json" --api-url "https://$address"
        --login-url "https://$address/token") ;;
    esac
    gatehouse directory add "${place[@]}" "${chosen[@]}" --interval 86400 >/dev/null
    wait_for_sync never
    [[ $(status .users) == "$people" ]] || die "Only $(status .users) users came."
    first=$(status .lastSyncAt)
    full=$(highest)
    requests=$(status .requests) seconds=$(status .seconds)
    on curl -sS --fail --cacert "$folder/dir.crt" -d '{"set": {"u000007": {"active": false}}}' "https://$address/control" >/dev/null
    gatehouse directory sync company >/dev/null
    [[ $(status .lastSyncAt) != "$first" && $(status .disabled) == 1 ]] || die "The one who left is not disabled."
    printf 'figure directory_%s_full_requests %s requests\n' "$vendor" "$requests"
    printf 'figure directory_%s_full_time %.1f s\n' "$vendor" "$seconds"
    printf 'figure directory_%s_change_requests %s requests\n' "$vendor" "$(status .requests)"
    printf 'figure directory_%s_change_time %.2f s\n' "$vendor" "$(status .seconds)"
    printf 'figure directory_%s_daemon_before %.1f MiB\n' "$vendor" "$(awk "BEGIN { print $before / 1024 }")"
    printf 'figure directory_%s_daemon_highest %.1f MiB\n' "$vendor" "$(awk "BEGIN { print $full / 1024 }")"
    printf 'figure directory_%s_daemon_highest_after_change %.1f MiB\n' "$vendor" "$(awk "BEGIN { print $(highest) / 1024 }")"
    kill "${pids[@]}"
    wait "${pids[@]}" 2>/dev/null || true
    pids=()
done
