# A small internet in network namespaces, for tools/run and tools/bench. Sourced, not run.
#
#     client 10.1.0.10 - gateway 198.51.100.7 - internet - aws1, aws2 - vpc 10.2.0.10
#
# Set $lab (a unique prefix) and $folder (a private, short path) first. Everything is removed by lab_remove.

hosts=(client gateway internet aws1 aws2 vpc)
customer=198.51.100.7
endpoints=(203.0.113.13 203.0.113.118)
client=10.1.0.10
vpc=10.2.0.10
local_network=10.1.0.0/16
remote_network=10.2.0.0/16
declare -A processes=()

# on HOST COMMAND…: runs a command on a host, in the foreground.
on() { ip netns exec "$lab-$1" "${@:2}"; }

# start NAME HOST COMMAND…: starts a daemon with its log in $folder/NAME.log; processes[NAME] is its ID.
start() {
    local name=$1 host=$2
    shift 2
    # `ip netns exec` becomes the program itself, so the process ID is the program's.
    ip netns exec "$lab-$host" "$@" </dev/null >>"$folder/$name.log" 2>&1 &
    processes[$name]=$!
}

# stop NAME [SIGNAL]: ends a daemon and waits for its end; its exit status is the function's.
stop() {
    local pid=${processes[$1]:-} status=0
    [[ -n $pid ]] || return 0
    unset "processes[$1]"
    kill "-${2:-TERM}" "$pid" 2>/dev/null || true
    # One that does not end is killed after 15 seconds. The shell's own word on killed children is of no use.
    {
        local patience=300
        while kill -0 "$pid" && ((patience-- > 0)); do sleep 0.05; done
        kill -KILL "$pid" || true
        wait "$pid" || status=$?
    } 2>/dev/null
    return "$status"
}

# wait_for SECONDS "WHAT" COMMAND…: repeats the command until it succeeds.
wait_for() {
    local end=$((SECONDS + $1)) what=$2 begun=$SECONDS
    shift 2
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS >= end)); then
            ticker_end
            return 1
        fi
        ticker "waiting for $what ($((SECONDS - begun)) s)"
        sleep 0.1
    done
    ticker_end
}

lab_build() {
    local host settings number
    for host in "${hosts[@]}"; do
        ip netns add "$lab-$host"
        ip -n "$lab-$host" link set lo up
        settings=(net.ipv4.conf.{all,default}.{rp_filter,send_redirects,accept_redirects}=0)
        [[ $host == client || $host == vpc ]] || settings+=(net.ipv4.ip_forward=1)
        on "$host" sysctl -qw "${settings[@]}"
    done
    link client eth0 gateway lan
    link gateway wan internet customer
    link internet aws1 aws1 wan
    link internet aws2 aws2 wan
    link aws1 lan vpc aws1
    link aws2 lan vpc aws2

    ip -n "$lab-client" -batch - <<<"addr add $client/24 dev eth0
        route add default via 10.1.0.1"
    ip -n "$lab-gateway" -batch - <<<"addr add 10.1.0.1/24 dev lan
        addr add $customer/24 dev wan
        route add default via 198.51.100.1"
    ip -n "$lab-internet" addr add 198.51.100.1/24 dev customer
    for number in 1 2; do
        ip -n "$lab-internet" -batch - <<<"addr add 203.0.113.1/32 dev aws$number
            route add ${endpoints[number - 1]} dev aws$number"
        # Without a tunnel of its own, an endpoint hands the customer's traffic to the other one.
        ip -n "$lab-aws$number" -batch - <<<"addr add ${endpoints[number - 1]}/32 dev wan
            route add 203.0.113.1 dev wan
            route add default via 203.0.113.1
            addr add 10.2.0.$number/24 dev lan
            route add $local_network via 10.2.0.$((3 - number)) metric 30000"
    done
    ip -n "$lab-vpc" -batch - <<<"link add name vpc0 type bridge
        link set vpc0 up
        link set aws1 master vpc0
        link set aws2 master vpc0
        addr add $vpc/24 dev vpc0
        route add default via 10.2.0.1"
}

# link HOST INTERFACE HOST INTERFACE: a cable between two hosts.
link() {
    ip -n "$lab-$1" link add name "$2" type veth peer name "$4" netns "$lab-$3"
    ip -n "$lab-$1" link set "$2" up
    ip -n "$lab-$3" link set "$4" up
}

# Ends every process and removes every namespace of ours.
lab_remove() {
    local name host pid
    for name in "${!processes[@]}"; do kill "${processes[$name]}" 2>/dev/null || true; done
    for name in "${!processes[@]}"; do stop "$name" || true; done
    for host in "${hosts[@]}"; do
        [[ -e /run/netns/$lab-$host ]] || continue
        # What a daemon left behind would keep the namespace alive.
        for pid in $(ip netns pids "$lab-$host"); do kill -KILL "$pid" 2>/dev/null || true; done
        ip netns delete "$lab-$host" || true
    done
}
