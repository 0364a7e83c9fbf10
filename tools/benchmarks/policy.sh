#!/usr/bin/env bash
# Sign-in policies: decisions of one core with 1,000 users, 200 policies and 50 checks; what a refresh of 50,000 endpoints
# costs with 10,000 sessions, and how that grows with the sessions that it touches; from a stored fact to the refused packet
# at 10,000 sessions; memory.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

rounds=3
while [[ $# -gt 0 ]]; do
    case $1 in
    --rounds) rounds=$2 && shift ;;
    *)
        echo "tools/bench policy [--rounds 3]"
        [[ $1 == -h || $1 == --help ]] && exit 0 || exit 2
        ;;
    esac
    shift
done
[[ $(id -u) -eq 0 ]] || die "tools/bench needs root, to make network namespaces."
need_packages "${packages_to_build[@]}"
step "Building"
build release bench-policy

folder=$(mktemp -d /tmp/gh-policy-XXXXXX)
lab=${folder#/tmp/}
finish() {
    local status=$?
    trap - EXIT INT TERM HUP
    ip netns delete "$lab" 2>/dev/null || true
    rm -rf "$folder"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

ip netns add "$lab"
for ((round = 1; round <= rounds; round++)); do
    step "Round $round of $rounds"
    "$binaries/bench-policy" decide
    "$binaries/bench-policy" refresh "$folder"
    mkdir "$folder/$round"
    ip netns exec "$lab" "$binaries/bench-policy" refuse "$folder/$round"
done | tee "$folder/all" | sed 's/^figure/round/'
echo
# The median of the rounds.
awk '/^figure/ { order[$2] = order[$2] ? order[$2] : ++count; names[order[$2]] = $2; units[$2] = $4; all[$2] = all[$2] " " $3 }
    END {
        for (place = 1; place <= count; place++) {
            name = names[place]
            number = split(all[name], values, " ")
            for (i = 1; i <= number; i++) for (j = i + 1; j <= number; j++) if (values[j] + 0 < values[i] + 0) {
                kept = values[i]; values[i] = values[j]; values[j] = kept
            }
            print "figure", name, values[int((number + 1) / 2)], units[name]
        }
    }' "$folder/all"
