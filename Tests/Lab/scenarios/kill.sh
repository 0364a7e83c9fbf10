# gatehoused is killed without warning, with tunnels up: nothing goes in the clear meanwhile, and a new one brings both
# tunnels back, with one pair of SAs each and no route twice.
aws_endpoint 1
aws_endpoint 2
gateway_starts
gateway_imports
online 2
traffic
pings_begin 0.1
stop gateway KILL || true
gateway_starts
online 2
traffic
pings_end
nothing_in_clear
one_each() { [[ $(swanctl_on aws1 --list-sas --raw | grep -o 'state=INSTALLED' | wc -l) == 1 ]]; }
soon 60 "the endpoint has one child SA" one_each
clean_stop
