#!/usr/bin/env bash
# The mirror of an endpoint protection platform: reading a listing of 50,000 endpoints as it comes over the wire, comparing it
# with what is known, storing what has changed; memory; what a restart costs. The network and the vendor's pace come on top.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

count=50000
while [[ $# -gt 0 ]]; do
    case $1 in
    --endpoints) count=$2 && shift ;;
    *)
        echo "tools/bench epp [--endpoints 50000]"
        [[ $1 == -h || $1 == --help ]] && exit 0 || exit 2
        ;;
    esac
    shift
done
need_packages "${packages_to_build[@]}"
step "Building"
build release bench-epp
folder=$(mktemp -d /tmp/gh-epp-XXXXXX)
trap 'rm -rf "$folder"' EXIT
step "$count endpoints"
"$binaries/bench-epp" "$root/Tests/VendorsTests/Samples/sentinelone/agents-page1.json" "$folder" "$count"
