#!/usr/bin/env bash
# What the dearest file costs: the AWS import reads inputs of up to 1 MiB that were made to cost it time or memory, some
# thousand of them, out of every sample and every format. Prints the dearest of each kind; fails when one goes over
# 200 ms of CPU or 64 MiB of memory.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

options=()
while [[ $# -gt 0 ]]; do
    case $1 in
    --size) options+=(--size "$2") && shift ;;
    --all) options+=(--all) ;;
    *)
        echo "tools/bench import [--size BYTES] [--all]     --all prints every case, --size makes them smaller"
        [[ $1 == -h || $1 == --help ]] && exit 0 || exit 2
        ;;
    esac
    shift
done
need_packages "${packages_to_build[@]}"
step "Building"
build release bench-import
step "Reading hostile files"
exec "$binaries/bench-import" "$root/Tests/TunnelsTests/Samples" "${options[@]}"
