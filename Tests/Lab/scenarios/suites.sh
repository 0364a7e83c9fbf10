# The suites that AWS's tunnel options allow, each against the kernel's ESP.
# cases: aes128-sha256-modp2048 aes256-sha512-ecp384 aes128gcm16-prfsha256-ecp256 aes256gcm16-prfsha384-modp4096
aws_endpoint 1 "$case" "${case/-prfsha???/}"
gateway_starts
gateway_adds branch 28800 3600 "$case"
online 1
traffic
nothing_in_clear
