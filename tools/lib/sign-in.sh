# The sign-in of tools/run: a company's identity provider on the internet of the lab (SimpleSAMLphp, told about itself by
# Tests/EndToEnd/IdentityProvider), and somebody with a browser, which is curl. Sourced after common.sh, topology.sh and
# peers.sh.

portal_name=gate.office.example
portal=https://$portal_name
provider_name=login.corp.example
provider=https://$provider_name
provider_address=203.0.113.80
# The provider's entity ID, and ours, as customers set it.
provider_entity=$provider/idp
# The tile of the gateway in the company's app portal: whoever clicks it begins at the provider.
tile="$provider/simplesamlphp/saml2/idp/SSOService.php?spentityid=$provider_entity"
person=ada
person_email=ada@corp.example
person_password=engine-1843

# Where the gateway's sign-in pages are, which it reads at its start.
write_portal_section() {
    mkdir -p "$folder/gateway"
    cat >"$folder/gateway/boot.yaml" <<YAML
portal:
  address: $portal
  listen: [10.1.0.1]
  redirectPort: 80
YAML
}

# make_certificate FILE NAME: FILE.key and FILE.crt, which is signed by the key itself.
make_certificate() {
    openssl req -x509 -newkey rsa:2048 -sha256 -nodes -days 2 -subj "/CN=$2" -addext "subjectAltName=DNS:$2" \
        -keyout "$1.key" -out "$1.crt" 2>"$1.log" || die "openssl could not make a certificate: $(cat "$1.log")"
}

# Starts the provider, and leaves its metadata in $folder/provider.xml.
start_provider() {
    local d=$folder/provider
    mkdir -p "$d/sessions" "$d/web"
    ln -s "$GATEHOUSE_SIMPLESAMLPHP/www" "$d/web/simplesamlphp"
    make_certificate "$d/web-server" "$provider_name"
    make_certificate "$d/signing" "$provider_name"
    jq -n --arg origin "$provider" --arg entity "$provider_entity" --arg portal "$portal" --arg name "$person" \
        --arg email "$person_email" --arg password "$person_password" '{
            origin: $origin, entityID: $entity, key: "signing",
            people: { ($name): { password: $password, email: $email, firstName: "Ada", lastName: "Lovelace" } },
            services: { ($entity): {
                AssertionConsumerService: ($portal + "/user/external/saml"),
                SingleLogoutService: ($portal + "/user/external/saml/logout")
            } }
        }' >"$d/provider.json"
    ip -n "$lab-internet" addr add "$provider_address/32" dev lo
    # The client has no public address: the way back leads through the gateway.
    ip -n "$lab-internet" route add "$local_network" via "$customer"
    GATEHOUSE_IDP=$d SIMPLESAMLPHP_CONFIG_DIR=$root/Tests/EndToEnd/IdentityProvider start provider internet \
        php -S 127.0.0.1:8080 -t "$d/web"
    start provider-tls internet socat \
        "OPENSSL-LISTEN:443,bind=$provider_address,reuseaddr,fork,verify=0,cert=$d/web-server.crt,key=$d/web-server.key" \
        TCP:127.0.0.1:8080
    # Both web servers have certificates of their own, which the browser is told of.
    cat "$d/web-server.crt" "$folder/gateway/state/portal.crt" >"$folder/trusted.pem"
    wait_for 20 "the identity provider" browse --fail -o "$folder/provider.xml" \
        "$provider/simplesamlphp/saml2/idp/metadata.php" || die "The identity provider does not answer."
}

# browse WORDS…: curl on the client, with the names and cookies that a browser would have.
browse() {
    on client curl -sS --max-time 20 --cacert "$folder/trusted.pem" --cookie "$folder/cookies" \
        --cookie-jar "$folder/cookies" --resolve "$portal_name:443:10.1.0.1" \
        --resolve "$provider_name:443:$provider_address" "$@"
}

# visit WORDS…: opens an address as curl is told, goes where it leads, and leaves the page in $folder/page and its address
# in $page.
visit() {
    page=$(browse -L -o "$folder/page" -w '%{url_effective}' "$@") || die "The browser does not get through."
}

# send_form [NAME=VALUE…]: sends the form of the page, with this typed in.
send_form() {
    local form
    mapfile -t form < <(/usr/bin/python3 "$root/tools/lib/form.py" "$page" "$@" <"$folder/page")
    [[ ${#form[@]} -eq 2 ]] || die "There is no form at $page: $(page_words)"
    visit --data "${form[1]}" "${form[0]}"
}

# Signs in at the provider, which then has the browser send its answer.
sign_in() {
    [[ $page != */loginuserpass.php* ]] || send_form "username=$person" "password=$person_password"
    send_form
}

# The words of the page, a line for each paragraph, buttons in brackets.
page_words() {
    sed -n '/<main/,/<\/main>/p' "$folder/page" |
        sed -E -e 's/<(a|button) class="button[^>]*>([^<]*)<\/(a|button)>/[\2]/g' -e 's/<\/dt><dd>/: /g' -e 's/<span[^>]*>/ /g' \
            -e 's/<\/?(strong|time|code|span)[^>]*>//g' -e 's/<[^>]*>/\n/g' |
        sed -e "s/&#39;/'/g" -e 's/&quot;/"/g' -e 's/&amp;/\&/g' -e 's/^ *//' -e '/^$/d'
}

# page_says WORDS
page_says() { grep -qF "$1" "$folder/page"; }

is_refused() { ! on client ping -q -n -c 1 -W 1 "$vpc" >/dev/null; }

# A closed gate before the tunnels; somebody who is refused, signs in, passes, is revoked and is refused.
show_sign_in() {
    local reference sender begun
    step "The gate is closed: nobody crosses who has not signed in"
    start_provider
    note "the company's identity provider: SimpleSAMLphp at $provider"
    note "\$ gatehouse idp add saml corp --title Corp --metadata provider.xml"
    gatehouse gateway idp add saml corp --title Corp --metadata "$folder/provider.xml" | tail -n 3 | indented
    note "\$ gatehouse gate enable"
    gatehouse gateway gate enable >/dev/null
    is_refused || die "The gate lets someone through who has not signed in."
    good "ping $client → $vpc: refused"
    [[ $(on client curl -s --max-time 5 -o /dev/null -w '%{redirect_url}' "http://$vpc/") == "$portal/" ]] ||
        die "Unencrypted web traffic is not led to the sign-in pages."
    good "http://$vpc/ leads to $portal/"

    step "Ada signs in on the gateway's page, which has never heard of her"
    visit "$portal/"
    page_says "Sign in with Corp" || die "The sign-in page says: $(page_words)"
    visit "$portal/user/sign-in/corp"
    sign_in
    page_words | indented
    reference=$(grep -o '<strong>[0-9A-Z-]*' "$folder/page" | cut -d '>' -f 2)
    page_says "Your first visit starts elsewhere" && [[ -n $reference ]] || die "She should be refused."
    note "\$ gatehouse audit"
    gatehouse gateway audit | grep -F "$reference" | indented
    is_refused || die "The gate lets someone through who was refused."
    good "ping $client → $vpc: still refused"

    step "She begins at the provider, where the company has put a tile for the gateway"
    visit "$tile"
    sign_in
    page_says "You are connected, Ada Lovelace" || die "She is not let in; the page says: $(page_words)"
    page_words | indented
    pings
    note "\$ gatehouse session list"
    gatehouse gateway session list | indented

    step "An administrator revokes her session in the middle of a transfer"
    start sink vpc socat -u TCP-LISTEN:5998,reuseaddr OPEN:/dev/null
    start sender client socat -u FILE:/dev/zero "TCP:$vpc:5998,retry=50,interval=0.1"
    sender=${processes[sender]}
    wait_for 20 "the transfer" sends_already || die "The transfer does not run."
    note "\$ gatehouse session revoke --user $person_email --reason 'laptop lost'"
    begun=${EPOCHREALTIME/[^0-9]/}
    gatehouse gateway session revoke --user "$person_email" --reason "laptop lost" >/dev/null
    wait_for 10 "the connection's end" has_ended "$sender" || die "The connection outlived the session."
    good "the connection was cut after $(((${EPOCHREALTIME/[^0-9]/} - begun) / 1000)) ms"
    is_refused || die "The gate lets someone through whose session was revoked."
    good "ping $client → $vpc: refused"
    visit "$portal/"
    page_says "Sign in with Corp" || die "The page says: $(page_words)"
    stop sender || true
    stop sink || true
    note "\$ gatehouse audit"
    gatehouse gateway audit --limit 3 | indented
    gatehouse gateway gate disable --yes >/dev/null
    note "the gate is opened again (gatehouse gate disable)"
}

sends_already() {
    [[ $(gatehouse gateway session list --json | jq '.[0].bytesOut') -gt 1000000 ]]
}

has_ended() { ! kill -0 "$1" 2>/dev/null; }
