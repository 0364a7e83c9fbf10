# A child SA may carry a thousand packets: there are new keys before that, and no ping is lost. When IKE does not pass, it
# carries no packet more.
# seconds: 400
data_path=kernel phase2="lifetimePackets: 1000" strongswan_dpd=0s dpd_delay=600
aws_endpoint 1
gateway_starts
gateway_adds branch 28800 3600 "$suite"
online 1
traffic
before=$(key_marks)
has_new_keys() { [[ $(key_marks) != "$before" ]]; }
pings_begin 0.02
soon 90 "the keys are fresh before the limit" has_new_keys
none_lost
check "the tunnel stayed online" are_online 1

spi_out() { on gateway ip xfrm state | awk -v to="${endpoints[0]}" '/^src/ { is_ours = $4 == to } /spi/ && is_ours { print $4; exit }'; }
soon 30 "one pair of SAs is left" eval '[[ $(on gateway ip xfrm state | grep -c "^src") == 2 ]]'
spi=$(spi_out)
ike_blocked
on client ping -q -n -c 1500 -i 0.01 -W 1 "$vpc" >"$folder/flood" || true
is_over() { ! are_online 1; }
soon 30 "the child SA is spent" is_over
tells_of_limit() { tells "carried all that it may"; }
check "and the event log says why" tells_of_limit
carried=$(tcpdump -nr "$folder/internet.pcap" "esp and src host $customer and ip[20:4] == $spi" 2>/dev/null |
    grep -c ' In ')
check "it carried a thousand packets, not one more ($carried)" eval '((carried > 900 && carried <= 1000))'
ike_free
soon 120 "the tunnel is back" reaches client "$vpc"
traffic
nothing_in_clear
