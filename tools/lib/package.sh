# The Debian package. Sourced after common.sh.

packages_to_package=(dpkg-deb=dpkg dpkg-shlibdeps=dpkg-dev strip=binutils patchelf=patchelf)

gatehouse_version() { sed -n 's/.*gatehouseVersion = "\(.*\)"/\1/p' "$root/Sources/Base/Version.swift"; }

# make_package FOLDER [VERSION]: packs the programs in $binaries with everything of Firmware that belongs on a host; sets
# $package to the file. The same input gives the same bytes.
make_package() {
    local version=${2:-$(gatehouse_version)} architecture tree work depends
    architecture=$(dpkg --print-architecture)
    package=$1/gatehouse_${version}_$architecture.deb
    work=$(mktemp -d)
    tree=$work/tree
    mkdir -p "$tree"/{DEBIAN,etc/gatehouse,lib/systemd/system,usr/{bin,sbin,lib/sysctl.d,share/doc/gatehouse}}

    copy_programs "$tree/usr/lib/gatehouse" /usr/lib/gatehouse
    ln -s ../lib/gatehouse/gatehoused "$tree/usr/sbin/gatehoused"
    ln -s ../lib/gatehouse/gatehouse "$tree/usr/bin/gatehouse"
    install -m 644 "$root"/Firmware/systemd/*.service "$tree/lib/systemd/system/"
    install -m 644 "$root"/Firmware/sysctl.d/*.conf "$tree/usr/lib/sysctl.d/"
    install -m 644 "$root"/Firmware/etc/{gatehoused.yaml,firewall.nft} "$tree/etc/gatehouse/"
    install -m 644 "$root/README.md" "$tree/usr/share/doc/gatehouse/"
    install -m 644 "$root/LICENSE" "$tree/usr/share/doc/gatehouse/copyright"
    install -m 755 "$root"/Firmware/debian/{postinst,prerm,postrm} "$tree/DEBIAN/"
    install -m 644 "$root/Firmware/debian/conffiles" "$tree/DEBIAN/"

    # What the programs are linked with, as Debian's packages with their versions.
    mkdir "$work/debian"
    : >"$work/debian/control"
    depends=$(cd "$work" && dpkg-shlibdeps -O --ignore-missing-info -l"$tree/usr/lib/gatehouse" \
        "$tree"/usr/lib/gatehouse/* 2>"$work/log" | sed -n 's/^shlibs:Depends=//p')
    [[ -n $depends ]] || die "dpkg-shlibdeps found no dependencies: $(tail -n 3 "$work/log")"
    sed "s/@VERSION@/$version/; s/@ARCHITECTURE@/$architecture/; s/@DEPENDS@/$depends/
        s/@SIZE@/$(du -sk --apparent-size "$tree" | cut -f 1)/" "$root/Firmware/debian/control" >"$tree/DEBIAN/control"
    (cd "$tree" && find . -type f -not -path './DEBIAN/*' -printf '%P\n' | sort | xargs md5sum) >"$tree/DEBIAN/md5sums"

    # Of the times, only that of the last commit goes into the package.
    SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 0) \
        dpkg-deb --root-owner-group -Zzstd -z3 --build "$tree" "$package" >/dev/null
    rm -rf "$work"
}
