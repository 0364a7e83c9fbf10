#!/usr/bin/env bash
# A Samba domain controller for corp.example in a network namespace that is there already, with its own CA.
#
#   samba.sh FOLDER NAMESPACE ADDRESS [PEOPLE]      provisions, starts, fills; returns when it answers over LDAPS
#
# The administrator's password is Passw0rd!2024; svc-gate@corp.example, who may only read, has svc-Read-0nly!. There are
# PEOPLE users p0001… in the group Everybody, and ada, ben and cam: ada in VPN, ben in Engineering, which is in VPN, cam
# disabled and in VPN. The process is $FOLDER/dc/samba.pid.
set -euo pipefail
folder=$1 namespace=$2 address=$3 people=${4:-0}
name=dc1.corp.example password='Passw0rd!2024'
mkdir -p "$folder"
cd "$folder"
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj '/CN=corp CA' -keyout ca.key -out ca.pem 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj "/CN=$name" -keyout key.pem -out csr.pem 2>/dev/null
printf 'subjectAltName=DNS:%s,DNS:corp.example,IP:%s\nextendedKeyUsage=serverAuth\n' $name "$address" >ext
openssl x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile ext -out cert.pem 2>/dev/null
chmod 600 key.pem
printf '127.0.0.1 localhost\n%s %s dc1\n' "$address" $name >hosts
in_dc() { ip netns exec "$namespace" unshare --uts --mount sh -c 'hostname dc1; mount --bind hosts /etc/hosts; exec "$@"' sh "$@"; }
interface=$(ip -n "$namespace" -o address show | awk -v address="$address" 'index($4, address "/") == 1 { print $2 }')
interfaces="lo $interface"
[[ $interface != lo ]] || interfaces=lo
in_dc samba-tool domain provision --targetdir="$folder/dc" --realm=CORP.EXAMPLE --domain=CORP --server-role=dc \
    --dns-backend=SAMBA_INTERNAL --host-name=dc1 --host-ip="$address" --adminpass="$password" \
    --option="interfaces=$interfaces" --option='bind interfaces only=yes' \
    --option='vfs objects=dfs_samba4 acl_xattr xattr_tdb' >provision.log 2>&1
sed -i -e '/dns forwarder/d' -e '/server services/d' -e "s#^\(\s*log file\).*#\1 = $folder/dc/log.%m#" \
    -e "/^\[global\]/a tls enabled = yes\ntls keyfile = $folder/key.pem\ntls certfile = $folder/cert.pem\ntls cafile = $folder/ca.pem\nserver services = ldap, cldap, kdc\npid directory = $folder/dc" \
    dc/etc/smb.conf

# Before it runs: straight into its database, in one transaction, which takes seconds and not minutes.
encoded() { printf '"%s"' "$1" | iconv -t UTF-16LE | base64 -w 0; }
user() { # user NAME PASSWORD CONTROL [LAST]
    printf 'dn: CN=%s,CN=Users,DC=corp,DC=example\nobjectClass: user\nsAMAccountName: %s\nuserPrincipalName: %s@corp.example\n' "$1" "$1" "$1"
    printf 'mail: %s@corp.example\ngivenName: %s\nsn: %s\nuserAccountControl: %s\nunicodePwd:: %s\n\n' "$1" "$1" "${4:-Corp}" "$3" "$(encoded "$2")"
}
group() { # group NAME MEMBER…
    printf 'dn: CN=%s,CN=Users,DC=corp,DC=example\nobjectClass: group\nsAMAccountName: %s\n' "$1" "$1"
    shift
    for member; do printf 'member: CN=%s,CN=Users,DC=corp,DC=example\n' "$member"; done
    echo
}
{
    user svc-gate 'svc-Read-0nly!' 66048
    user ada 'Passw0rd!2024' 512 Lovelace
    user ben 'Passw0rd!2024' 512 Bitdiddle
    user cam 'Passw0rd!2024' 514 Cole
    group Engineering ben
    group VPN ada Engineering cam
    # Without passwords, and not enabled until that is said: a thousand hashes take long.
    for ((i = 1; i <= people; i++)); do
        printf 'dn: CN=p%04d,CN=Users,DC=corp,DC=example\nobjectClass: user\nsAMAccountName: p%04d\n' "$i" "$i"
        printf 'mail: p%04d@corp.example\ngivenName: Person\nsn: %04d\nuserAccountControl: 544\n\n' "$i" "$i"
    done
    group Everybody $(for ((i = 1; i <= people; i++)); do printf 'p%04d ' "$i"; done)
} >people.ldif
in_dc /usr/bin/python3 - "$folder" >fill.log 2>&1 <<'PYTHON' || { tail -n 5 fill.log >&2; exit 1; }
import sys
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB

parameters = LoadParm()
parameters.load(sys.argv[1] + "/dc/etc/smb.conf")
database = SamDB(sys.argv[1] + "/dc/private/sam.ldb", session_info=system_session(), lp=parameters)
database.transaction_start()
with open(sys.argv[1] + "/people.ldif") as file:
    database.add_ldif(file.read())
database.transaction_commit()
PYTHON
in_dc samba -F --no-process-group -M single -s "$folder/dc/etc/smb.conf" >samba.log 2>&1 &
for ((i = 0; i < 300; i++)); do
    ip netns exec "$namespace" ss -Hltn 'sport = :636' | grep -q . && [[ -s dc/samba.pid ]] && break
    sleep 0.1
done
[[ -s dc/samba.pid ]] || { tail -n 10 samba.log >&2; exit 1; }
