# Fresh keys under traffic, asked for by either side: no ping of 20 a second is lost.
# cases: child-by-us ike-by-us child-by-peer ike-by-peer
aws_endpoint 1
gateway_starts
gateway_adds branch 28800 3600 "$suite"
online 1
traffic
before=$(key_marks)
has_new_keys() { [[ $(key_marks) != "$before" ]]; }
pings_begin
case $case in
child-by-us) gatehouse gateway connector rekey branch --phase child >"$folder/rekey" ;;
ike-by-us) gatehouse gateway connector rekey branch --phase ike >"$folder/rekey" ;;
child-by-peer) swanctl_on aws1 --rekey --child net >"$folder/rekey" ;;
ike-by-peer) swanctl_on aws1 --rekey --ike peer >"$folder/rekey" ;;
esac
soon 60 "the keys are fresh" has_new_keys
check "the tunnel stayed online" are_online 1
none_lost
traffic
nothing_in_clear
