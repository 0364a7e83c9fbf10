#!/usr/bin/env bash
# The cost of many tunnels in the kernel: what grows with their number, and what must not. Policies are measured in this
# kernel; whole tunnels too if it has ESP, else in the kernel lab's machine, which is emulated and so slower by far: there
# only the growth from one number to the other means anything.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

counts=(1000 10000)
while [[ $# -gt 0 ]]; do
    case $1 in
    --tunnels) read -ra counts <<<"$2" && shift ;;
    *)
        echo "tools/bench kernel [--tunnels '1000 10000']"
        [[ $1 == -h || $1 == --help ]] && exit 0 || exit 2
        ;;
    esac
    shift
done
[[ $(id -u) -eq 0 ]] || die "tools/bench needs root, to make network namespaces."
need_packages "${packages_to_build[@]}" jq=jq
step "Building"
build release bench-kernel gatehoused gatehouse

step "Policies: ${counts[*]} tunnels, in this kernel"
"$binaries/bench-kernel" policies "${counts[@]}"

step "Routes, in this kernel"
"$binaries/bench-kernel" routes "${counts[@]}"

step "The supervisor and its status answer"
"$binaries/bench-kernel" supervisor "${counts[@]}"

# The doctor fails where no daemon runs, which says nothing about the kernel.
if { "$binaries/gatehouse" doctor --json || true; } | jq -e '.[] | select(.id == "kernel-esp" and .state == "ok")' >/dev/null 2>&1; then
    step "Tunnels, in this kernel"
    unshare -n "$binaries/bench-kernel" tunnels "${counts[@]}"
else
    step "Tunnels, in the kernel lab's machine"
    scenario=$(mktemp -d)/scale.sh
    trap 'rm -rf "$(dirname "$scenario")"' EXIT
    printf '# seconds: 1500\n/lab/bin/bench-kernel tunnels %s\n' "${counts[*]}" >"$scenario"
    "$root/tools/lab" --binaries "$binaries" --file "$scenario" --add "$binaries/bench-kernel" --verbose |
        sed -n 's/^ *\(figure .*\)/\1/p; /^not ok/p'
fi
