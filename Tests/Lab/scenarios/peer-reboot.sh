# The peer loses its power and comes back with nothing in its memory: the gateway finds out and connects anew.
aws_endpoint 1
gateway_starts
gateway_adds branch 28800 3600 "$suite"
online 1
traffic
endpoint_dies 1
aws_endpoint 1
traffic 120
online 1
nothing_in_clear
