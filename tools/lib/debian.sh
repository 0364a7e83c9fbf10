# Kernels and root filesystems from Debian packages, kept in a cache: what tools/lab and tools/firmware share. Needs
# root and apt, no docker and no loop device. Sourced after common.sh.

suite=bookworm
packages_to_make_roots=(
    mmdebstrap=mmdebstrap mksquashfs=squashfs-tools cpio=cpio /bin/busybox=busybox-static depmod=kmod
)

# packages_of FILE…: the package names in lists, one a line; "#" begins a comment.
packages_of() { sed 's/#.*//' "$@" | xargs -n 1 | sort -u; }

# key_of TEXT: a short name for all that decides what is built.
key_of() { sha256sum <<<"$*" | cut -c1-16; }

# debian_kernel FLAVOUR: sets $kernel to a folder with the newest kernel of the flavour (cloud-amd64, amd64), unpacked
# and never installed: boot/vmlinuz-VERSION, lib/modules/VERSION. $kernel_version is its version.
debian_kernel() {
    local package version folder
    package=$(apt-cache depends "linux-image-$1" | awk '/Depends:/ { print $2; exit }')
    [[ -n $package ]] || die "apt knows no linux-image-$1: run apt-get update."
    version=$(apt-cache policy "$package" | awk '/Candidate:/ { print $2 }')
    kernel=$cache/kernel-${package#linux-image-}_$version
    if [[ ! -d $kernel ]]; then
        folder=$(mktemp -d "$cache/new-XXXXXX")
        chmod 755 "$folder"
        (cd "$folder" && apt-get download -q "$package=$version") >"$folder/log" 2>&1 ||
            die "The kernel could not be downloaded: $(tail -n 3 "$folder/log")"
        dpkg-deb -x "$folder"/*.deb "$folder/tree"
        depmod -b "$folder/tree" "$(ls "$folder/tree/lib/modules")"
        mv "$folder/tree" "$kernel"
        rm -rf "$folder"
    fi
    kernel_version=$(ls "$kernel/lib/modules")
}

# debian_root PACKAGE…: sets $root_tar to the archive of a minimal root with these packages, as of this day's index.
debian_root() {
    local list key
    list=$(printf '%s\n' "$@" | sort -u | paste -sd,)
    # A security update of any package is another version of the whole.
    key=$(key_of "$suite $list $(apt-cache policy "$@" | awk '/^[a-z0-9]/ { name = $1 } /Candidate:/ { print name $2 }')")
    root_tar=$cache/root-$key.tar
    [[ ! -f $root_tar ]] || return 0
    mmdebstrap --quiet --mode=root --variant=minbase --include="$list" \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        --format=tar "$suite" "$root_tar.new" </dev/null >"$root_tar.log" 2>&1 ||
        die "mmdebstrap failed: $(tail -n 5 "$root_tar.log")"
    mv "$root_tar.new" "$root_tar"
    rm -f "$root_tar.log"
}

# copy_modules TREE FOLDER…: the kernel's modules in these folders (net, drivers/net, …) into the root TREE.
copy_modules() {
    local tree=$1 from=$kernel/lib/modules/$kernel_version to=$1/usr/lib/modules/$kernel_version folder
    shift
    for folder in "$@"; do
        [[ -e $from/kernel/$folder ]] || continue
        mkdir -p "$(dirname "$to/kernel/$folder")"
        cp -a "$from/kernel/$folder" "$to/kernel/$folder"
    done
    cp "$from"/modules.{builtin,builtin.modinfo,order} "$to/"
    depmod -b "$tree" "$kernel_version"
}

# make_initramfs FILE INIT MODULE…: busybox, the modules with all that they need, in order, and INIT as /init.
make_initramfs() {
    local file=$1 init=$2 tree path
    shift 2
    tree=$(mktemp -d "$cache/new-XXXXXX")
    mkdir -p "$tree"/{bin,dev,proc,sys,modules,root}
    cp /bin/busybox "$tree/bin/"
    # What a kernel has built in, or its flavour leaves out, is no module of it.
    for module in "$@"; do modprobe -q -d "$kernel" -S "$kernel_version" --show-depends "$module" || true; done |
        awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
        while read -r path; do
            cp "$path" "$tree/modules/"
            basename "$path" >>"$tree/modules/order"
        done
    install -m 755 "$init" "$tree/init"
    (cd "$tree" && find . | cpio -o -H newc --quiet | gzip -1) >"$file"
    rm -rf "$tree"
}
