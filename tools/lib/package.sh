# The Debian packages. Sourced after common.sh.

packages_to_package=(dpkg-deb=dpkg dpkg-shlibdeps=dpkg-dev strip=binutils patchelf=patchelf)

gatehouse_version() { sed -n 's/.*gatehouseVersion = "\(.*\)"/\1/p' "$root/Sources/Base/Version.swift"; }

# make_package FOLDER [VERSION]: packs gatehoused and gatehouse from $binaries with everything of Firmware that belongs on a
# gateway; sets $package to the file. The same input gives the same bytes.
make_package() {
    local tree
    tree=$(mktemp -d)
    mkdir -p "$tree"/{DEBIAN,etc/gatehouse,lib/systemd/system,usr/{bin,sbin,lib/sysctl.d}}
    copy_programs "$tree/usr/lib/gatehouse" /usr/lib/gatehouse
    ln -s ../lib/gatehouse/gatehoused "$tree/usr/sbin/gatehoused"
    ln -s ../lib/gatehouse/gatehouse "$tree/usr/bin/gatehouse"
    install -m 644 "$root"/Firmware/systemd/*.service "$tree/lib/systemd/system/"
    install -m 644 "$root"/Firmware/sysctl.d/*.conf "$tree/usr/lib/sysctl.d/"
    install -m 644 "$root"/Firmware/etc/{gatehoused.yaml,firewall.nft} "$tree/etc/gatehouse/"
    pack gatehouse "$root/Firmware/debian" "$1" "${2:-$(gatehouse_version)}" "$tree"
}

# make_agent_package FOLDER [VERSION]: the same of gatehouse-directory-agent, for a host beside a domain controller.
make_agent_package() {
    local tree name=gatehouse-directory-agent
    tree=$(mktemp -d)
    mkdir -p "$tree"/{DEBIAN,etc/$name,lib/systemd/system,usr/bin}
    # Secrets will stand here.
    chmod 700 "$tree/etc/$name"
    copy_programs "$tree/usr/lib/$name" /usr/lib/$name $name
    ln -s ../lib/$name/$name "$tree/usr/bin/$name"
    install -m 644 "$root/Firmware/directory-agent/$name.service" "$tree/lib/systemd/system/"
    install -m 644 "$root/Firmware/directory-agent/options" "$tree/etc/$name/"
    pack $name "$root/Firmware/directory-agent/debian" "$1" "${2:-$(gatehouse_version)}" "$tree"
}

# pack NAME CONTROL FOLDER VERSION TREE: one package of a tree, whose programs are in /usr/lib/NAME, and of the files for
# dpkg in CONTROL. The tree is gone then.
pack() {
    local name=$1 control=$2 version=$4 tree=$5 architecture work depends
    architecture=$(dpkg --print-architecture)
    package=$3/${name}_${version}_$architecture.deb
    chmod 755 "$tree"
    mkdir -p "$tree/usr/share/doc/$name"
    install -m 644 "$root/README.md" "$tree/usr/share/doc/$name/"
    install -m 644 "$root/LICENSE" "$tree/usr/share/doc/$name/copyright"
    install -m 755 -t "$tree/DEBIAN" "$control"/p*
    install -m 644 "$control/conffiles" "$tree/DEBIAN/"

    # What the programs are linked with, as Debian's packages with their versions.
    work=$(mktemp -d)
    mkdir "$work/debian"
    : >"$work/debian/control"
    depends=$(cd "$work" && dpkg-shlibdeps -O --ignore-missing-info -l"$tree/usr/lib/$name" \
        "$tree/usr/lib/$name"/* 2>"$work/log" | sed -n 's/^shlibs:Depends=//p')
    [[ -n $depends ]] || die "dpkg-shlibdeps found no dependencies: $(tail -n 3 "$work/log")"
    sed "s/@VERSION@/$version/; s/@ARCHITECTURE@/$architecture/; s/@DEPENDS@/$depends/
        s/@SIZE@/$(du -sk --apparent-size "$tree" | cut -f 1)/" "$control/control" >"$tree/DEBIAN/control"
    (cd "$tree" && find . -type f -not -path './DEBIAN/*' -printf '%P\n' | sort | xargs md5sum) >"$tree/DEBIAN/md5sums"

    # Of the times, only that of the last commit goes into the package.
    SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 0) \
        dpkg-deb --root-owner-group -Zzstd -z3 --build "$tree" "$package" >/dev/null
    rm -rf "$work" "$tree"
}
