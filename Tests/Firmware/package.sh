# The Debian package in a Debian root made for it: installs, says what it is, and purges without a trace. Sourced by
# "tools/firmware test", with $tree (the root), $package and $agent_package.

# inside COMMAND…: in the root, without the services, processes and network of this host.
inside() {
    unshare --net --ipc --uts --pid --fork --mount-proc="$tree/proc" chroot "$tree" \
        /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "$@"
}
# Every path but dpkg's own records and the marks of systemctl and adduser, and who is known.
traces() {
    (cd "$tree" && find . -not -path './var/lib/dpkg/*' -not -path './var/log/*' -not -path './var/cache/*' \
        -not -path './tmp/*' -not -path './run/systemd*' -not -path './run/adduser' -not -name '*-' -printf '%y %m %p\n' | sort && sort etc/passwd etc/group etc/shadow)
}
cp "$package" "$tree/tmp/gatehouse.deb"
traces >"$work/before"

check "dpkg installs it" inside dpkg --install /tmp/gatehouse.deb
# The root leaves documentation out.
check "it is complete" eval '[[ -z $(inside dpkg --verify gatehouse | grep -v /usr/share/doc/) ]]'
has_own_user() { [[ $(inside getent passwd gatehouse) == gatehouse:*:/var/lib/gatehouse:/usr/sbin/nologin ]]; }
check "it has a user of its own, who cannot log in" has_own_user
check "the service is enabled" inside systemctl is-enabled gatehoused
check "the firewall waits to be asked" eval '[[ $(inside systemctl is-enabled gatehouse-firewall) == disabled ]]'
check "the programs run without Swift on the host" eval '[[ $(inside gatehouse --version) == "$(gatehouse_version)" ]]'
check "the daemon too, as its own user" inside setpriv --reuid gatehouse --regid gatehouse --clear-groups gatehoused --help
check "the boot file is the group's to read, and nobody else's" \
    eval '[[ $(stat -c %a "$tree/etc/gatehouse/gatehoused.yaml") == 640 ]]'
check "nft takes the ruleset" inside nft -f /etc/gatehouse/firewall.nft
verified() {
    local words
    words=$(inside systemd-analyze verify gatehoused.service gatehouse-firewall.service 2>&1 | grep -i gatehouse || true)
    [[ -z $words ]] || { echo "$words" && return 1; }
}
check "systemd finds no fault in the units" verified
# Exposure is from 0 to 10 (systemd-analyze security), here in tenths.
for unit in gatehoused gatehouse-firewall; do
    check "$unit is confined: exposure of at most 3.0" \
        inside systemd-analyze security --offline=true --threshold=30 "$unit.service"
done

inside systemctl disable gatehoused >/dev/null 2>&1
echo '#changed' >>"$tree/etc/gatehouse/gatehoused.yaml"
check "it installs over itself" inside dpkg --install /tmp/gatehouse.deb
check "a service that was disabled stays so" eval '[[ $(inside systemctl is-enabled gatehoused) == disabled ]]'
check "a file that was changed stays so" grep -q '#changed' "$tree/etc/gatehouse/gatehoused.yaml"
mkdir -p "$tree/var/lib/gatehouse"
touch "$tree/var/lib/gatehouse/machine.key"
inside systemctl enable gatehouse-gate gatehouse-firewall >/dev/null 2>&1
check "gate and firewall can be enabled" inside systemctl is-enabled gatehouse-gate gatehouse-firewall
check "dpkg removes it, and a closed gate with it" inside sh -c \
    'nft add table inet gatehouse && dpkg --remove gatehouse && ! nft list table inet gatehouse 2>/dev/null'
check "removed, it leaves settings and keys" test -e "$tree/etc/gatehouse/gatehoused.yaml" -a -e "$tree/var/lib/gatehouse/machine.key"
check "dpkg purges it" inside dpkg --purge gatehouse
without_trace() { traces | diff "$work/before" -; }
check "purged, it leaves nothing" without_trace

# --- The directory agent ---
agent=gatehouse-directory-agent
cp "$agent_package" "$tree/tmp/agent.deb"
check "dpkg installs the directory agent" inside dpkg --install /tmp/agent.deb
check "it runs without Swift on the host" eval '[[ $(inside $agent --version) == "$(gatehouse_version)" ]]'
check "its service waits to be asked" eval '[[ $(inside systemctl is-enabled $agent) == disabled ]]'
check "its folder is root's alone" eval '[[ $(stat -c %a "$tree/etc/$agent") == 700 ]]'
agent_verified() { [[ -z $(inside systemd-analyze verify $agent.service 2>&1 | grep -i gatehouse) ]]; }
check "systemd finds no fault in its unit" agent_verified
check "it is confined: exposure of at most 3.0" \
    inside systemd-analyze security --offline=true --threshold=30 $agent.service
check "dpkg purges it" inside dpkg --purge $agent
check "it leaves nothing" without_trace
