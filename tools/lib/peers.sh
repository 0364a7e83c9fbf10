# The daemons of the lab: our own and strongSwan. Sourced after common.sh and topology.sh. Each has $start_patience
# seconds to answer (20).

# start_gatehoused HOST: with an empty store unless one is there, and with the boot file $folder/HOST/boot.yaml if that
# is there. Its sockets are in $folder/HOST/run. $data_path says what carries its packets.
start_gatehoused() {
    local host=$1 options=()
    mkdir -p "$folder/$host/state"
    [[ ! -e $folder/$host/boot.yaml ]] || options=(--config "$folder/$host/boot.yaml")
    start "$host" "$host" "$binaries/gatehoused" "${options[@]}" --state-directory "$folder/$host/state" \
        --runtime-directory "$folder/$host/run" --data-path "${data_path:-userspace}" --log-level info
    wait_for "${start_patience:-20}" "gatehoused on $host" has_begun "$host" && is_answering "$host" || {
        tail -n 20 "$folder/$host.log" >&2
        die "gatehoused on $host does not answer; the end of its log stands above."
    }
}

is_answering() { curl -s --max-time 2 -o /dev/null --unix-socket "$folder/$1/run/control.sock" http://localhost/health; }
# It answers, or it has ended and never will.
has_begun() { is_answering "$1" || ! kill -0 "${processes[$1]}"; }

# gatehouse HOST WORDS…: the command line, speaking to the daemon of a host.
gatehouse() { "$binaries/gatehouse" --socket-directory "$folder/$1/run" "${@:2}"; }

# tunnels HOST: what its status socket says.
tunnels() {
    curl -s --fail --max-time 5 --unix-socket "$folder/$1/run/status.sock" http://localhost/v1/tunnels
}

# connector FILE NAME INITIATION LOCAL REMOTE LOCAL_NETWORK REMOTE_NETWORK PSK ENCRYPTION INTEGRITY GROUP INSIDE:
# writes a connector by hand. INTEGRITY names the PRF beside an AEAD cipher; INSIDE is "local remote" or empty.
connector() {
    local esp_integrity=${10} inside=${12:-}
    [[ $9 != *gcm* && $9 != *poly* ]] || esp_integrity=
    cat >"$1" <<YAML
id: $2
name: $2
initiation: $3
localNetworks: ["$6"]
remoteNetworks: ["$7"]
tunnels:
  - name: $2-1
    phase1:
      localAddress: $4
      remoteAddress: $5
      psk: "$8"
      encryption: [$9]
      integrity: [${10}]
      dhGroups: [${11}]
      lifetimeSeconds: 28800
      dpd: {delaySeconds: 10, timeoutSeconds: 30, action: restart}
    phase2:
      encryption: [$9]
      integrity: [$esp_integrity]
      pfsGroups: [${11}]
      lifetimeSeconds: 3600
      localSelectors: ["0.0.0.0/0"]
      remoteSelectors: ["0.0.0.0/0"]
YAML
    [[ -z $inside ]] || echo "    inside: {localAddress: ${inside% *}/30, remoteAddress: ${inside#* }/30}" >>"$1"
}

# start_strongswan HOST LOCAL REMOTE NETWORK PSK IKE ESP [INSIDE]: one connection "peer" with a child "net", everything
# to everything. NETWORK is routed into the tunnel while it is up. $strongswan_esp says who does its ESP:
#   libipsec   strongSwan itself, in UDP (the default). It would route everything into the tunnel, so its routing table
#              is consulted after the main one.
#   kernel     the kernel, with an XFRM interface
#   policy     the kernel, with the policies of $strongswan_selectors, "LOCAL REMOTE"
# $strongswan_dpd is its DPD delay (10s); $strongswan_connection and $strongswan_child are further lines of swanctl.conf.
# $strongswan_certificates is a folder with peer.pem, peer.key and ca.pem, in the place of the PSK; the ends are then
# called peer.example.org and gateway.example.org.
start_strongswan() {
    local host=$1 local=$2 remote=$3 network=$4 psk=$5 ike=$6 esp=$7 inside=${8:-} d=$folder/$1
    local plugins=kernel-netlink device=ipsec0 encap=no child=${strongswan_child:-} selectors="0.0.0.0/0 0.0.0.0/0"
    local routes=no certificates=${strongswan_certificates:-}
    local our_end="auth = psk
            id = $local" their_end="auth = psk
            id = $remote"
    case ${strongswan_esp:-libipsec} in
    libipsec) plugins="kernel-libipsec kernel-netlink" encap=yes routes=yes ;;
    kernel)
        device=xfrm0 child+=$'\nif_id_in = 7\nif_id_out = 7'
        ip -n "$lab-$host" link show xfrm0 >/dev/null 2>&1 || ip -n "$lab-$host" -batch - <<<"link add xfrm0 type xfrm dev wan if_id 7
            link set xfrm0 mtu 1400 up"
        ;;
    policy) device="wan via 203.0.113.1" selectors=$strongswan_selectors ;;
    esac
    mkdir -p "$d/swanctl"
    rm -rf "$d/vici" "$d/up"
    if [[ -n $certificates ]]; then
        our_end="auth = pubkey
            certs = peer.pem
            id = peer.example.org" their_end="auth = pubkey
            id = gateway.example.org"
        install -D -m 600 "$certificates/peer.key" "$d/swanctl/private/peer.key"
        install -D -m 644 "$certificates/peer.pem" "$d/swanctl/x509/peer.pem"
        install -D -m 644 "$certificates/ca.pem" "$d/swanctl/x509ca/ca.pem"
    fi
    cat >"$d/strongswan.conf" <<CONF
charon-systemd {
    load = random nonce openssl pem pkcs1 pubkey x509 kdf hmac gcm chapoly $plugins socket-default vici updown
    install_routes = $routes
    install_virtual_ip = no
    process_route = no
    routing_table_prio = 40000
    retransmit_timeout = 2.0
    retransmit_tries = 3
    journal {
        default = -1
    }
    filelog {
        stderr {
            default = 1
            time_format = %H:%M:%S
        }
    }
    plugins {
        vici {
            socket = unix://$d/vici
        }
    }
}
swanctl {
    load = random openssl pem pkcs1
    socket = unix://$d/vici
}
CONF
    cat >"$d/updown" <<SCRIPT
#!/bin/sh
# Which IKE SAs are up is kept in files: when one replaces another, "down" can come after "up".
mkdir -p $d/up
case \$PLUTO_VERB in
up-client) touch $d/up/\$PLUTO_UNIQUEID ;;
down-client) rm -f $d/up/\$PLUTO_UNIQUEID ;;
esac
if [ -n "\$(ls $d/up)" ]; then
    ip route replace $network dev $device metric 100
else
    ip route delete $network dev $device metric 100
fi
SCRIPT
    chmod +x "$d/updown"
    cat >"$d/swanctl/swanctl.conf" <<CONF
connections {
    peer {
        version = 2
        proposals = $ike
        local_addrs = $local
        remote_addrs = $remote
        dpd_delay = ${strongswan_dpd:-10s}
        mobike = no
        encap = $encap
        unique = replace
        ${strongswan_connection:-}
        local {
            $our_end
        }
        remote {
            $their_end
        }
        children {
            net {
                local_ts = ${selectors% *}
                remote_ts = ${selectors#* }
                esp_proposals = $esp
                updown = $d/updown
                $child
            }
        }
    }
}
secrets {
    ike-peer {
        secret = "$psk"
    }
}
CONF
    STRONGSWAN_CONF=$d/strongswan.conf start "$host" "$host" /usr/sbin/charon-systemd
    wait_for "${start_patience:-20}" "strongSwan on $host" swanctl_on "$host" --load-all || {
        tail -n 20 "$folder/$host.log" >&2
        die "strongSwan on $host does not answer; the end of its log stands above."
    }
    # Policies have no interface that could bear an inside address.
    [[ -z $inside || $device == wan* ]] || ip -n "$lab-$host" addr replace "$inside/30" dev "$device"
}

# swanctl_on HOST WORDS…
swanctl_on() {
    STRONGSWAN_CONF=$folder/$1/strongswan.conf SWANCTL_DIR=$folder/$1/swanctl swanctl "${@:2}"
}

# endpoint_dies NUMBER: like a machine that loses its power; what its kernel knew of tunnels is gone.
endpoint_dies() {
    local host=aws$1 name
    stop "$host" KILL || true
    for name in $(ip -n "$lab-$host" -o link show type xfrm 2>/dev/null | awk -F '[ :@]+' '{ print $2 }'); do
        ip -n "$lab-$host" link delete "$name"
    done
    # A kernel without ESP has none of these.
    on "$host" ip xfrm state flush 2>/dev/null || true
    on "$host" ip xfrm policy flush 2>/dev/null || true
}
