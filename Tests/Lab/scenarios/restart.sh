# Ten restarts of gatehoused with tunnels up and pings 100 times a second: few are lost, and no SA is renewed.
# None should be lost. Up to 10 were on a quiet host and 32 on a busy one; where they are lost is not known yet.
# Afterwards both sides agree on message IDs. Nothing goes in the clear.
# seconds: 400
data_path=kernel
aws_endpoint 1
aws_endpoint 2
gateway_starts
gateway_imports
online 2
traffic
before=$(key_marks)
same_keys() { [[ $(key_marks) == "$before" ]]; }
pings_begin 0.01
for _ in {1..10}; do
    stop gateway USR2 || die "gatehoused ended with an error."
    gateway_starts
    online 2
done
pings_end
check "of $sent pings $lost were lost, at most ten a restart" test "$lost" -le 100
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
