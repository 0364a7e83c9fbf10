# Ten restarts of gatehoused with tunnels up and pings 100 times a second: none is lost, and no SA is renewed. Afterwards
# both sides agree on message IDs. Nothing goes in the clear.
# seconds: 400
# On a busy host a start takes longer than the peers would be patient.
data_path=kernel strongswan_dpd=0s
aws_endpoint 1
aws_endpoint 2
gateway_starts
gateway_imports
online 2
traffic
# What would have to be put back was gone for a moment.
start changes gateway ip monitor route link address
before=$(key_marks)
same_keys() { [[ $(key_marks) == "$before" ]]; }
pings_begin 0.01
for _ in {1..10}; do
    stop gateway USR2 || die "gatehoused ended with an error."
    gateway_starts
    online 2
done
none_lost
stop changes INT || true
is_unchanged() { ! grep -E "^Deleted|gh[01]" "$folder/changes.log"; }
check "no route, interface or address of ours was touched" is_unchanged
check "no SA was renewed" same_keys
is_left() { [[ -e $folder/gateway/run/handover.sealed ]]; }
check "what was handed over is used up" eval '! is_left'
# Each side now begins exchanges of its own.
gatehouse gateway connector rekey "$connection" >"$folder/rekey"
has_new_keys() { ! same_keys; }
soon 60 "the keys are fresh" has_new_keys
swanctl_on aws1 --rekey --child net >"$folder/rekey"
traffic
check "both are online" are_online 2
nothing_in_clear
clean_stop
