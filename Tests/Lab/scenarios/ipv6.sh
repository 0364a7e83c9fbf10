# The tunnel itself travels in IPv6, what is in it in IPv4.
outside_is_ipv6
aws_endpoint 1
gateway_starts
gateway_adds branch 28800 3600 "$suite"
online 1
traffic
in_ipv6() { [[ $(on gateway ip xfrm state) == *"src $customer dst ${endpoints[0]}"* ]]; }
check "the gateway's kernel has SAs between IPv6 addresses" in_ipv6
check "and they carry the traffic" kernel_carries gateway
nothing_in_clear
clean_stop
