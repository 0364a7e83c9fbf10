# Rekeying fails for as long as the child SA lives: it is not used a moment longer, nothing goes in the clear, and the
# tunnel is back when IKE passes again.
# seconds: 400
# Nobody must find the silence of IKE before the lifetime ends.
strongswan_dpd=0s dpd_delay=600
aws_endpoint 1
gateway_starts
gateway_adds branch 28800 60 "$suite"
online 1
traffic
pings_begin 0.2
ike_blocked
is_over() { ! are_online 1; }
soon 70 "the child SA ends with its lifetime at the latest" is_over
esp_packets() { tcpdump -nr "$folder/internet.pcap" 'esp and src host '"$customer" 2>/dev/null | wc -l; }
before=$(esp_packets)
check "the VPC cannot be reached" eval '! reaches client "$vpc"'
check "not one packet of ESP was sent after it" eval '[[ $(esp_packets) == "$before" ]]'
ike_free
soon 120 "the tunnel is back" reaches client "$vpc"
traffic
pings_end
nothing_in_clear
