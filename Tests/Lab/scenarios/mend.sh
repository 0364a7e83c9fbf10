# Someone on the gateway takes away what is ours: it is back within moments, the event log says so, and nothing of others
# is touched.
# seconds: 420
data_path=kernel
aws_endpoint 1
gateway_starts
gateway_adds branch 28800 3600 "$suite"
online 1
traffic
others() {
    on gateway ip xfrm policy list dir out | grep -A1 'src 192.0.2.1/32'
    ip -n "$lab-gateway" route show 192.0.2.0/24
    ip -n "$lab-gateway" -o link show other0 | grep -o 'other0'
}
on gateway ip xfrm policy add src 192.0.2.1/32 dst 192.0.2.2/32 dir out action block
ip -n "$lab-gateway" link add other0 type xfrm if_id 42
ip -n "$lab-gateway" route add blackhole 192.0.2.0/24
theirs=$(others)

has_mended() { (($(events mended) > $1)); }
has_lost() { (($(events child-lost) > $1)); }
count=$(events child-lost)
on gateway ip xfrm state flush
soon 30 "new keys are negotiated for the SAs that went" has_lost "$count"
traffic
count=$(events child-lost)
spi=$(on gateway ip xfrm state | grep -A1 "src $customer" | grep -om1 'spi 0x[0-9a-f]*')
on gateway ip xfrm state delete src "$customer" dst "${endpoints[0]}" proto esp $spi
soon 30 "and for a single one" has_lost "$count"
traffic
count=$(events mended)
on gateway ip xfrm policy delete dir out src 0.0.0.0/0 dst 0.0.0.0/0 if_id 0x47480001
soon 30 "a policy is back" has_mended "$count"
traffic
count=$(events mended)
ip -n "$lab-gateway" link delete gh0
soon 30 "the interface is back" has_mended "$count"
traffic
count=$(events mended)
ip -n "$lab-gateway" route delete "$remote_network" dev gh0
soon 30 "the route is back" has_mended "$count"
traffic
mtu() { ip -n "$lab-gateway" -o link show gh0 | grep -o 'mtu [0-9]*'; }
before=$(mtu)
count=$(events mended)
ip -n "$lab-gateway" link set gh0 mtu 1300
soon 30 "the MTU is put back" has_mended "$count"
check "to what it was" test "$(mtu)" == "$before"
# This goes without a word, and is found in a look at the kernel.
clamps() { [[ $(on gateway nft list table inet gatehouse_mss) == *'"gh0"'* ]]; }
check "segment sizes are lowered" clamps
count=$(events mended)
on gateway nft flush ruleset
soon 90 "the segment sizes are back" has_mended "$count"
check "for the tunnel's interface" clamps
traffic
check "nothing of others was touched" test "$(others)" == "$theirs"
nothing_in_clear

# Killed, and started when nobody wants its tunnel any more: nothing of ours is left, all of theirs is.
stop gateway KILL || true
sqlite_state=$folder/gateway/state
rm -rf "$sqlite_state"
gateway_starts
is_bare() { [[ -z $(on gateway ip xfrm state) && -z $(ip -n "$lab-gateway" -o link show | grep ': gh') ]]; }
soon 30 "what the killed one left is gone" is_bare
check "nothing of others was touched" test "$(others)" == "$theirs"
