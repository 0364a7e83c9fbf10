# One endpoint of an imported connection dies without a word: traffic goes by the other, and returns when it is back.
aws_endpoint 1
aws_endpoint 2
gateway_starts
gateway_imports
online 2
traffic
first=$(active_endpoint)
[[ $first == "${endpoints[0]}" ]] && number=1 || number=2
endpoint_dies "$number"
soon 90 "the other endpoint carries the traffic" is_active "${endpoints[2 - number]}"
traffic 60
aws_endpoint "$number"
online 2 120
soon 180 "traffic returns to the first endpoint" is_active "$first"
traffic
nothing_in_clear
