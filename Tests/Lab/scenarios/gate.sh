# The gate before a real tunnel: a client is refused, admitted, passes, is revoked in the middle of a transfer, refused.
# seconds: 400
data_path=kernel
aws_endpoint 1
gateway_starts
gateway_adds branch 28800 3600 "$suite"
online 1
traffic
gatehouse gateway gate enable >"$folder/gate"
is_refused() { ! reaches client "$vpc"; }
soon 20 "nobody is let through unasked" is_refused
gatehouse gateway session admit "$client" --for 1h --reason lab >"$folder/admit"
traffic
start server vpc iperf3 -s -1
wait_for 20 "iperf3" eval 'on vpc ss -ltn | grep -q 5201' || die "iperf3 does not listen"
start transfer client iperf3 -c "$vpc" -t 3600
passed_bytes() { gatehouse gateway session list --json | jq '[.. | .bytesOut? // empty] | max // 0'; }
has_passed() { (($(passed_bytes) > 200000)); }
soon 60 "a transfer is under way" has_passed
gatehouse gateway session revoke --address "$client" --reason "laptop lost" >"$folder/revoke"
has_ended() { ! kill -0 "${processes[transfer]}"; }
check "the client is refused at once" is_refused
soon 60 "its transfer has ended" has_ended
check "with an error" grep -q 'error' "$folder/transfer.log"
tells_why() { [[ $(gatehouse gateway audit --limit 50) == *"laptop lost"* ]]; }
check "the audit trail says why" tells_why
check "the tunnel is none the worse" are_online 1
nothing_in_clear
