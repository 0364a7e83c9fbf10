# Certificates in the place of a pre-shared key, and a rekey of the IKE SA that they opened.
make_certificates "$folder/certificates"
certificates=$folder/certificates phase1="localID: gateway.example.org"
strongswan_certificates=$certificates
aws_endpoint 1 aes256-sha256-ecp256
gateway_starts
gateway_adds branch 28800 3600 aes256-sha256-ecp256
online 1
traffic
before=$(key_marks)
has_new_keys() { [[ $(key_marks) != "$before" ]]; }
gatehouse gateway connector rekey branch --phase ike >"$folder/rekey"
soon 60 "the keys are fresh" has_new_keys
traffic
nothing_in_clear
