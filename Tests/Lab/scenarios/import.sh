# An imported AWS file brings both tunnels online, route-based; traffic passes, and none of it in the clear.
aws_endpoint 1
aws_endpoint 2
gateway_starts
gateway_imports
online 2
traffic
check "the endpoint's kernel carries the ESP" endpoint_carries
nothing_in_clear
clean_stop
