# The appliance as the gateway of tools/lib/topology.sh: an emulated machine that boots the disk image, between the
# namespaces. It brings the tunnels of an AWS file online, keeps them over updates, and returns from bad ones. Sourced by
# "tools/firmware test", with $work/system, $work/key.pem, $folder and $lab.

for part in topology peers sample; do source "$root/tools/lib/$part.sh"; done
outside=52:54:00:9a:7e:01 inside=52:54:00:9a:7e:02

# on_appliance COMMAND: as root, by SSH from the client, for at most $patience seconds.
patience=180
on_appliance() {
    on client timeout "$patience" ssh -q -i "$work/ssh" -o BatchMode=yes -o ConnectTimeout=10 -o StrictHostKeyChecking=no \
        -o UserKnownHostsFile=/dev/null -o ServerAliveInterval=5 root@10.1.0.1 "$@" </dev/null
}
says() { [[ $(on_appliance "$1") == "$2" ]]; }

# --- Four updates beside the image's own system: good, badly signed, with a daemon that does not run, with no system ---
step "The disk, and updates for it"
ssh-keygen -q -t ed25519 -N '' -f "$work/ssh"
install -d -m 700 "$work/data/root" "$work/data/root/.ssh"
install -m 600 "$work/ssh.pub" "$work/data/root/.ssh/authorized_keys"
mkdir -p "$work/data/etc/systemd/network"
cat >"$work/data/etc/systemd/network/10-outside.network" <<NETWORK
[Match]
MACAddress=$outside

[Network]
Address=$customer/24
Gateway=198.51.100.1
NETWORK
cat >"$work/data/etc/systemd/network/10-inside.network" <<NETWORK
[Match]
MACAddress=$inside

[Network]
Address=10.1.0.1/24
NETWORK
make_disk "$work/system" "$work/data" "$work/disk"

# again VERSION: packs the system's files as another version.
again() {
    sed -i "s/^VERSION_ID=.*/VERSION_ID=$1/" "$work/system/tree/usr/lib/gatehouse/release"
    pack_system "$work/system" "$1"
}
again 90.0
make_bundle "$work/system" "$work/key.pem" "$work/good"
sed 's/^version=.*/version=99.0/' "$work/system/manifest" >"$work/manifest"
cp "$work/system/manifest.sig" "$work/manifest.sig"
tar -cf "$work/forged" -C "$work" manifest manifest.sig
rm "$work/system/tree/usr/lib/gatehouse/gatehoused"
printf '#!/bin/sh\nexit 1\n' >"$work/system/tree/usr/lib/gatehouse/gatehoused"
chmod 755 "$work/system/tree/usr/lib/gatehouse/gatehoused"
mkdir -p "$work/system/tree/etc/systemd/system/gatehouse-settle.service.d"
printf '[Service]\nEnvironment=GATEHOUSE_SETTLE_SECONDS=20\n' \
    >"$work/system/tree/etc/systemd/system/gatehouse-settle.service.d/soon.conf"
again 91.0
make_bundle "$work/system" "$work/key.pem" "$work/broken"
rm -rf "$work/system/tree"
mkdir -p "$work/system/tree/usr/lib/gatehouse"
: >"$work/system/tree/usr/lib/gatehouse/persistent"
echo VERSION_ID= >"$work/system/tree/usr/lib/gatehouse/release"
again 92.0
make_bundle "$work/system" "$work/key.pem" "$work/empty"

# --- The appliance takes the place of the topology's gateway ---
step "The appliance between a client and two AWS endpoints (strongSwan)"
lab_build
ip -n "$lab-gateway" -batch - <<'IP'
addr flush dev lan
addr flush dev wan
link add name outside type bridge
link add name inside type bridge
tuntap add dev tap0 mode tap
tuntap add dev tap1 mode tap
link set wan master outside
link set tap0 master outside
link set lan master inside
link set tap1 master inside
link set outside up
link set inside up
link set tap0 up
link set tap1 up
IP
for number in 1 2; do
    start_strongswan "aws$number" "${endpoints[number - 1]}" "$customer" "$local_network" "${keys[number - 1]}" \
        aes128-sha1-modp1024 aes128-sha1-modp1024 "${inside_aws[number - 1]}"
done
disks=()
for name in good forged broken empty; do
    # A disk has whole sectors.
    truncate -s %512 "$work/$name"
    disks+=(-drive "if=virtio,format=raw,readonly=on,file=$work/$name")
done
start appliance gateway qemu-system-x86_64 -M q35 -accel tcg -cpu Nehalem -smp 1 -m 768 -nodefaults -display none \
    -serial "file:$folder/console" -device virtio-rng-pci -drive "if=virtio,format=raw,file=$work/disk" "${disks[@]}" \
    -netdev tap,id=o,ifname=tap0,script=no,downscript=no -device "virtio-net-pci,netdev=o,mac=$outside" \
    -netdev tap,id=i,ifname=tap1,script=no,downscript=no -device "virtio-net-pci,netdev=i,mac=$inside"

soon 900 "the image boots, and SSH answers" on_appliance true
soon 300 "gatehoused is running" says "systemctl is-active gatehoused" active
check "no unit has failed" says "systemctl --failed --no-legend --plain" ""
check "the daemon is the user gatehouse" says 'ps -o user= -C gatehoused' gatehouse
# CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_NET_RAW.
check "and has three capabilities" says 'sed -n "s/^CapEff:\t*//p" /proc/$(pidof gatehoused)/status' 0000000000003400
check "the root cannot be changed" says 'findmnt -no FSTYPE,OPTIONS /lower 2>/dev/null; grep -c "^overlay / .*lowerdir=/lower" /proc/mounts' 1
check "packets are passed on" says 'cat /proc/sys/net/ipv4/ip_forward' 1
# 28: no answer at all; a closed port would be refused, which is 7.
is_dropped() {
    local status=0
    on client curl -s --max-time 3 http://10.1.0.1:5355/ || status=$?
    [[ $status == 28 ]]
}
check "what is not open to the host is dropped" is_dropped

import() {
    on_appliance "cat >/tmp/vpn.json <<'JSON'
$(cat "$sample")
JSON
gatehouse import aws-vpn /tmp/vpn.json --local-network $local_network --remote-network $remote_network"
}
check "it imports the AWS file" import
are_online() { on_appliance "gatehouse status --check"; }
reaches_vpc() { on client ping -q -n -c 3 -W 2 "$vpc"; }
soon 300 "both tunnels come online" are_online
soon 120 "the client reaches the VPC through the appliance" reaches_vpc
check "nothing that the daemon wants is denied to it" says \
    'journalctl -b -u gatehoused --grep "denied|not permitted|read-only|cannot" --no-pager -q -o cat' ""

# --- What happens to the daemon alone. The AWS side has ESP in UDP, which needs an open socket on port 4500. ---
spis() {
    local number
    for number in 1 2; do
        swanctl_on "aws$number" --list-sas --raw | grep -oE '(initiator-spi|responder-spi|spi-in|spi-out)=[0-9a-f]+'
    done | sort
}
# without_loss COMMAND: done on the appliance under 20 pings a second, it costs none of them, and no key is negotiated.
without_loss() {
    local before lost
    before=$(spis)
    start pings client ping -n -i 0.05 -W 5 "$vpc"
    patience=180 on_appliance "$1" || return
    wait_for 120 "the tunnels" are_online || return
    sleep 2
    stop pings INT || true
    lost=$(awk -F 'icmp_seq=' '/bytes from/ { number = $2 + 0; if (!seen[number]++) answered++
        if (number > last) last = number } END { print last - answered }' "$folder/pings.log")
    echo "$lost pings were lost, of $(grep -c 'bytes from' "$folder/pings.log") and those"
    rm -f "$folder/pings.log"
    [[ $lost == 0 && -n $before && $(spis) == "$before" ]]
}
# IKE and NAT, IPv4 and IPv6.
check "systemd holds the daemon's sockets" says 'systemctl show -P NFileDescriptorStore gatehoused' 4
check "systemctl restart keeps the tunnels, and no ping is lost" without_loss 'systemctl restart gatehoused'
check "so does a second one" without_loss 'systemctl restart gatehoused'
is_another() { [[ $(on_appliance pidof gatehoused) != "$daemon" ]]; }
daemon=$(on_appliance pidof gatehoused)
check "a killed daemon" on_appliance 'kill -KILL $(pidof gatehoused)'
soon 60 "is there again" is_another
soon 120 "and both tunnels are online" are_online
soon 60 "the client reaches the VPC" reaches_vpc
check "a stop" on_appliance 'systemctl stop gatehoused'
has_no_spis() { [[ -z $(spis) ]]; }
soon 30 "deletes the tunnels at the peers" has_no_spis
check "and leaves nothing" says 'ip xfrm state; ip -o link show type xfrm; ip route show proto 71' ""
check "a start" on_appliance 'systemctl start gatehoused'
soon 120 "brings them back" are_online
soon 60 "the client reaches the VPC" reaches_vpc

# --- Updates ---
refused() { ! on_appliance "gatehouse-update install /dev/vdc"; }
check "an update that someone else signed is refused" refused
install_update() { patience=600 on_appliance "gatehouse-update install $1"; }
# restarted: the appliance is another boot than $boot_id.
restarted() {
    local now
    now=$(on_appliance cat /proc/sys/kernel/random/boot_id)
    [[ -n $now && $now != "$boot_id" ]]
}
restart() {
    boot_id=$(on_appliance cat /proc/sys/kernel/random/boot_id)
    on_appliance systemctl reboot || true
}
runs() { [[ $(on_appliance gatehouse-update status) == *"Gatehouse $1 runs from slot $2."*"Slot $2 is good; slot $3 holds $4."* ]]; }

check "a signed update goes into the spare slot" install_update /dev/vdb
restart
soon 900 "the appliance restarts" restarted
soon 600 "the tunnels are online again, by themselves" are_online
soon 120 "the client reaches the VPC" reaches_vpc
soon 600 "the update is well, and made good" runs 90.0 b a "$(gatehouse_version)"

check "a signed update with a daemon that does not run goes into the spare slot" install_update /dev/vdd
restart
soon 900 "the appliance restarts" restarted
soon 1200 "it is not well, so the appliance returns to the slot before" runs 90.0 b a 91.0
soon 600 "the tunnels are online again" are_online

check "a signed update with no system in it goes into the spare slot" install_update /dev/vde
restart
soon 1200 "two attempts fail, and the boot loader returns to the slot before" runs 90.0 b a 92.0
soon 600 "the tunnels are online again" are_online
stop appliance || true
