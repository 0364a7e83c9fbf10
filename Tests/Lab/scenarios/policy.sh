# Policy-based: the networks of both ends are the selectors, and the peer has policies instead of an interface.
selectors="$local_network $remote_network"
strongswan_esp=policy strongswan_selectors="$remote_network $local_network"
aws_endpoint 1
gateway_starts
gateway_adds branch 28800 3600 "$suite"
online 1
traffic
check "the endpoint's kernel carries the ESP" endpoint_carries
nothing_in_clear
clean_stop
