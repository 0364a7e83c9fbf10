# Extended sequence numbers, before and after a rekey.
phase2="esn: true"
aws_endpoint 1 aes256gcm16-prfsha384-ecp384 aes256gcm16-ecp384-esn
gateway_starts
gateway_adds branch 28800 3600 aes256gcm16-prfsha384-ecp384
online 1
# Those that a rekey has replaced stay for a moment.
have_esn() {
    local count
    count=$(on "$1" ip xfrm state | grep -c '^src')
    ((count >= 2)) && [[ $(on "$1" ip xfrm state | grep -c 'flag.* esn') == "$count" ]]
}
check "the gateway's SAs have long sequence numbers" have_esn gateway
check "so have the endpoint's" have_esn aws1
traffic
before=$(key_marks)
has_new_keys() { [[ $(key_marks) != "$before" ]]; }
pings_begin
swanctl_on aws1 --rekey --child net >"$folder/rekey"
soon 60 "the keys are fresh" has_new_keys
none_lost
check "and have long sequence numbers" have_esn gateway
nothing_in_clear
