# gatehoused is killed without warning, with tunnels up: its SAs and routes go on carrying packets, a new one brings both
# tunnels online beside them, with one pair of SAs each and no route twice. Nothing goes in the clear meanwhile.
# On a busy host a start takes longer than the peers would be patient.
data_path=kernel strongswan_dpd=0s
aws_endpoint 1
aws_endpoint 2
gateway_starts
gateway_imports
online 2
traffic
routes() { ip -n "$lab-gateway" route show "$remote_network"; }
before=$(routes)
pings_begin 0.05
stop gateway KILL || true
check "packets pass while nobody runs" reaches client "$vpc"
begun=${EPOCHREALTIME/./}
start_gatehoused gateway
answers=${EPOCHREALTIME/./}
online 2
ended=${EPOCHREALTIME/./}
traffic
pings_end
# What is lost is lost while a peer puts its new SAs in the place of the old ones.
echo "# it answers $(((answers - begun) / 1000)) ms after its start, and both are online after $(((ended - begun) / 1000)) ms;" \
    "$lost of $sent pings were lost"
check "the routes are the same" test "$(routes)" == "$before"
nothing_in_clear
one_each() { [[ $(swanctl_on aws1 --list-sas --raw | grep -o 'state=INSTALLED' | wc -l) == 1 ]]; }
soon 60 "the endpoint has one child SA" one_each
has_one_pair_each() { [[ $(on gateway ip xfrm state | grep -c '^src') == 4 ]]; }
soon 60 "so has the gateway, with each" has_one_pair_each
clean_stop
