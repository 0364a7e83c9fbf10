# gatehoused hangs, and nobody rekeys: the kernel itself lets go of the SAs when their lifetime ends, nothing goes in the
# clear, and the tunnel is back when the daemon wakes up.
# seconds: 400
data_path=kernel strongswan_dpd=0s strongswan_child="rekey_time = 0s"
aws_endpoint 1
gateway_starts
gateway_adds branch 28800 60 "$suite"
online 1
traffic
check "the gateway's kernel carries the ESP" kernel_carries gateway
kill -STOP "${processes[gateway]}"
has_no_sa() { [[ $(on gateway ip xfrm state) != *"mode tunnel"* ]]; }
soon 120 "the kernel's SAs have expired" has_no_sa
check "the VPC cannot be reached" eval '! reaches client "$vpc"'
kill -CONT "${processes[gateway]}"
traffic 120
nothing_in_clear
