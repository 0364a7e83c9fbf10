# Messages, packages and the build: what tools/run, tools/test and tools/bench share. Sourced, not run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# Built dependencies are kept outside the tree, so that another clone finds them.
builds=${GATEHOUSE_BUILD:-$HOME/.cache/gatehouse}
export SWIFT_BACKTRACE=enable=no

if [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
    is_terminal=yes bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' yellow=$'\e[33m' red=$'\e[31m' plain=$'\e[0m'
else
    is_terminal='' bold='' dim='' green='' yellow='' red='' plain=''
fi

die() {
    printf '%s%s%s\n' "$red" "$*" "$plain" >&2
    exit 1
}

# Seconds with one decimal since the script was started.
elapsed() {
    local now=${EPOCHREALTIME/[^0-9]/}
    : "${started_at:=$now}"
    local tenths=$(((now - started_at) / 100000))
    printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}
started_at=${EPOCHREALTIME/[^0-9]/}

# A headline with the time, and lines that belong to it.
step() { printf '%s%6s s  %s%s\n' "$bold" "$(elapsed)" "$*" "$plain"; }
note() { printf '          %s%s%s\n' "$dim" "$*" "$plain"; }
good() { printf '          %s✓%s %s\n' "$green" "$plain" "$*"; }
indented() { sed 's/^/          /'; }

# On a terminal, one line that the next one overwrites; nothing elsewhere.
ticker() { [[ -z $is_terminal ]] || printf '\r\e[K          %s… %s%s' "$dim" "$*" "$plain"; }
ticker_end() { [[ -z $is_terminal ]] || printf '\r\e[K'; }

# need_packages PROGRAM=PACKAGE…: installs the packages whose program (or, with a slash, file) is missing.
need_packages() {
    local pair want missing=()
    for pair in "$@"; do
        want=${pair%%=*}
        if [[ $want == */* ]]; then
            # The pattern may have a wildcard, for folders named after the architecture.
            compgen -G "$want" >/dev/null || missing+=("${pair#*=}")
        elif ! PATH=$PATH:/usr/sbin:/sbin command -v "$want" >/dev/null; then
            missing+=("${pair#*=}")
        fi
    done
    [[ ${#missing[@]} -gt 0 ]] || return 0
    if [[ $(id -u) -ne 0 ]]; then
        die "Missing on this host: ${missing[*]}. Install with: sudo apt-get install ${missing[*]}"
    fi
    command -v apt-get >/dev/null || die "Missing on this host: ${missing[*]} (Debian's package names)."
    step "Installing ${missing[*]}"
    local log
    log=$(mktemp)
    if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends \
        "${missing[@]}"; } </dev/null >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        die "apt-get could not install ${missing[*]}."
    fi
    rm -f "$log"
}

# need_simplesamlphp: sets $GATEHOUSE_SIMPLESAMLPHP to the folder of SimpleSAMLphp. Debian's package would bring a web
# server, and start it; so unless the package is there, its files are unpacked beside what we build.
need_simplesamlphp() {
    GATEHOUSE_SIMPLESAMLPHP=/usr/share/simplesamlphp
    [[ -e $GATEHOUSE_SIMPLESAMLPHP/www ]] || GATEHOUSE_SIMPLESAMLPHP=$builds/simplesamlphp/usr/share/simplesamlphp
    export GATEHOUSE_SIMPLESAMLPHP
    [[ ! -e $GATEHOUSE_SIMPLESAMLPHP/www ]] || return 0
    step "Fetching SimpleSAMLphp"
    local folder
    mkdir -p "$builds"
    folder=$(mktemp -d "$builds/simplesamlphp.XXXXXX")
    if ! { { (cd "$folder" && apt-get download -q simplesamlphp) ||
        { apt-get update -q && (cd "$folder" && apt-get download -q simplesamlphp); }; } &&
        dpkg -x "$folder"/simplesamlphp_*.deb "$folder"; } </dev/null >"$folder/log" 2>&1; then
        tail -n 20 "$folder/log" >&2
        rm -rf "$folder"
        die "apt-get could not download Debian's package simplesamlphp."
    fi
    rm -rf "$builds/simplesamlphp" "$folder"/*.deb
    mv "$folder" "$builds/simplesamlphp"
}

# need_glewlwyd: installs the OpenID provider glewlwyd. Its package asks for a database server, unless told that we have
# none for it.
need_glewlwyd() {
    if [[ $(id -u) -eq 0 ]] && ! command -v glewlwyd >/dev/null && command -v debconf-set-selections >/dev/null; then
        echo 'glewlwyd glewlwyd/config_type select No configuration' | debconf-set-selections
    fi
    need_packages glewlwyd=glewlwyd /usr/bin/glewlwyd=dbconfig-no-thanks
}

# need_samba: installs what makes a domain controller of Samba's. Its services must not start by themselves.
need_samba() {
    local policy=/usr/sbin/policy-rc.d mine=''
    if [[ $(id -u) -eq 0 && ! -e $policy ]] && ! command -v samba >/dev/null; then
        mine=yes
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
    fi
    need_packages samba=samba samba-tool=samba-common-bin "/usr/lib/*/samba/ldb/acl.so=samba-dsdb-modules" \
        "/usr/lib/*/samba/vfs/xattr_tdb.so=samba-vfs-modules" winbindd=winbind ldapmodify=ldap-utils \
        /usr/share/samba/setup/provision.ldif=samba-ad-provision
    [[ -z $mine ]] || rm -f $policy
}

packages_to_build=(
    pkg-config=pkg-config g++=g++ "/usr/include/openssl/evp.h=libssl-dev"
    "/usr/include/libmnl/libmnl.h=libmnl-dev" "/usr/include/libxml2/libxml/tree.h=libxml2-dev"
    "/usr/include/sqlite3.h=libsqlite3-dev" "/usr/include/*/curl/curl.h=libcurl4-openssl-dev"
    "/usr/include/ldap.h=libldap-dev"
)
# Other implementations that the engines are held against.
packages_of_oracles=(xmlsec1=xmlsec1 openssl=openssl)
packages_of_lab=(
    ip=iproute2 sysctl=procps ping=iputils-ping curl=curl jq=jq socat=socat tcpdump=tcpdump nft=nftables
    /usr/bin/python3=python3 /usr/lib/python3/dist-packages/cryptography=python3-cryptography
)
packages_of_strongswan=(
    charon-systemd=charon-systemd swanctl=strongswan-swanctl
    "/usr/lib/ipsec/plugins/libstrongswan-openssl.so=libstrongswan-standard-plugins"
    "/usr/lib/ipsec/plugins/libstrongswan-chapoly.so=libstrongswan-extra-plugins"
    "/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so=libcharon-extra-plugins"
)

# The sign-in: a browser, and what SimpleSAMLphp needs (need_simplesamlphp).
packages_of_browser=(chromedriver=chromium-driver openssl=openssl)
packages_of_provider=(
    php=php-cli "/usr/lib/php/*/dom.so=php-xml" "/usr/lib/php/*/mbstring.so=php-mbstring" openssl=openssl
)

packages_of_guests=(qemu-system-x86_64=qemu-system-x86 /usr/bin/python3=python3 strip=binutils patchelf=patchelf)

need_swift() {
    command -v swift >/dev/null || die "Swift is not installed. Gatehouse needs Swift 6.2 or newer: swift.org/install"
}

# build CONFIGURATION PRODUCT…: builds and sets $binaries to the folder with the programs.
build() {
    local configuration=$1 product log
    shift
    need_swift
    mkdir -p "$builds"
    binaries=$builds/$configuration/$configuration
    for product in "$@"; do
        local command=(swift build --package-path "$root" --scratch-path "$builds/$configuration"
            -c "$configuration" --product "$product")
        if [[ -n $is_terminal ]]; then
            "${command[@]}" || die "The build of $product failed; the reason stands above."
        else
            log=$(mktemp)
            if ! "${command[@]}" >"$log" 2>&1; then
                grep -E 'error|warning' "$log" | sort -u | head -n 40 >&2 || true
                tail -n 20 "$log" >&2
                rm -f "$log"
                die "The build of $product failed; the reason stands above."
            fi
            rm -f "$log"
        fi
    done
}

# copy_programs FOLDER [PLACE [PROGRAM…]]: programs (gatehoused and gatehouse) and the Swift libraries that they need, from
# $binaries, without symbols, so that they run on a host without Swift: from any folder, or only from PLACE.
copy_programs() {
    local folder=$1 place=${2:-\$ORIGIN} program library programs=("${@:3}")
    [[ ${#programs[@]} -gt 0 ]] || programs=(gatehoused gatehouse)
    mkdir -p "$folder"
    for program in "${programs[@]}"; do
        install -m 755 "$binaries/$program" "$folder/"
        while read -r library; do
            [[ -e $folder/$(basename "$library") ]] || install -m 644 "$library" "$folder/"
        done < <(ldd "$binaries/$program" | awk '$3 ~ /\/swift\// { print $3 }')
    done
    strip --strip-unneeded "$folder"/*
    # Libraries are looked for beside the program, not where they were on the machine that built it.
    patchelf --set-rpath "$place" "$folder"/*
}

# median NUMBERS…: the middle one, of words or of lists of words.
median() { tr ' ' '\n' <<<"$*" | sed '/^$/d' | sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
