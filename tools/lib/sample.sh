# The AWS file of tools/run and tools/lab, and its two endpoints as the AWS side must be configured. Sourced, not run.

sample=$root/Tests/TunnelsTests/Samples/json/describe-vpn-connections-static.json
connection=vpn-05044757278685fd3
inside_aws=(169.254.58.233 169.254.58.221)
inside_ours=(169.254.58.234 169.254.58.222)
keys=(9rhAGNjFm9qyDfP6dClVG35PUxvSJcpX .LmtPXCotPdYTPEqEKkrlm05E4JlwX6p)
