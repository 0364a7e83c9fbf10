# Behind a NAT, ESP travels in UDP on port 4500, and both tunnels of the imported file come online.
behind_nat
aws_endpoint 1
aws_endpoint 2
gateway_starts
gateway_imports --local-address "$gateway_address"
online 2
traffic
in_udp() { [[ $(tcpdump -nr "$folder/internet.pcap" 'udp port 4500' 2>/dev/null) == *UDP-encap* ]]; }
check "ESP goes in UDP on port 4500" in_udp
check "the endpoint's kernel carries the ESP" endpoint_carries
nothing_in_clear
