# The appliance: its root, its disk and its updates, from Debian's packages and our own. No loop device and no mount is
# needed. Sourced after common.sh, debian.sh and package.sh.

packages_to_make_images=(
    "${packages_to_make_roots[@]}" "${packages_to_package[@]}" sfdisk=fdisk mkfs.vfat=dosfstools mcopy=mtools
    mke2fs=e2fsprogs openssl=openssl grub-mkimage=grub-common /usr/lib/grub/i386-pc/boot.img=grub-pc-bin
    /usr/lib/grub/x86_64-efi/normal.mod=grub-efi-amd64-bin
)

# What a machine's disks and the initramfs itself need; those that a kernel flavour lacks are left out.
modules_to_boot=(
    virtio_pci virtio_blk virtio_scsi virtio_rng nvme ahci sd_mod usb_storage uas xhci_pci mptspi vmw_pvscsi hv_storvsc
    squashfs overlay ext4 crc32c_generic crc32c_intel
)

# make_system FOLDER VERSION FLAVOUR KEY: what a slot holds, into FOLDER: root.sqfs, vmlinuz, initrd, version; the root's
# files stay in FOLDER/tree. KEY is the public key that updates must be signed by.
make_system() {
    local folder=$1 version=$2 tree=$1/tree image=$root/Firmware/image packages
    mkdir -p "$tree"
    debian_kernel "$3"
    mapfile -t packages < <(packages_of "$root/Firmware/packages")
    debian_root "${packages[@]}"
    tar -xf "$root_tar" -C "$tree" --numeric-owner
    make_package "$folder" "$version"
    cp "$package" "$tree/gatehouse.deb"
    chroot "$tree" dpkg --install /gatehouse.deb >"$folder/log" 2>&1 ||
        die "The package could not be installed in the image: $(tail -n 5 "$folder/log")"
    rm "$tree/gatehouse.deb"

    mkdir -p "$tree/usr/lib/modules"
    cp -a "$kernel/lib/modules/$kernel_version" "$tree/usr/lib/modules/"
    cp -a "$image/etc/." "$tree/etc/"
    install -m 755 "$image/gatehouse-update" "$tree/usr/sbin/"
    install -m 644 "$image"/systemd/*.service "$tree/lib/systemd/system/"
    install -m 644 "$image/persistent" "$tree/usr/lib/gatehouse/"
    install -m 644 "$4" "$tree/usr/lib/gatehouse/update-key.pem"
    printf 'NAME=Gatehouse\nVERSION_ID=%s\n' "$version" >"$tree/usr/lib/gatehouse/release"
    # Each appliance has an identity of its own, made at its first boot.
    rm -f "$tree"/etc/ssh/ssh_host_*
    : >"$tree/etc/machine-id"
    echo gatehouse >"$tree/etc/hostname"
    rm -rf "$tree"/var/{cache/apt,lib/apt/lists}/*
    install -d -m 700 "$tree/root/.ssh"
    chroot "$tree" systemctl --quiet enable systemd-networkd systemd-resolved gatehouse-firewall \
        gatehouse-gate gatehouse-settle 2>/dev/null
    # The gateway serves whether or not every interface has a cable, and packages come with updates alone.
    chroot "$tree" systemctl --quiet disable systemd-networkd-wait-online 2>/dev/null
    chroot "$tree" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
        e2scrub_all.timer fstrim.timer 2>/dev/null

    pack_system "$folder" "$version"
}

# pack_system FOLDER VERSION: packs FOLDER/tree and what boots it.
pack_system() {
    mksquashfs "$1/tree" "$1/root.sqfs" -comp lz4 -noappend -quiet -no-progress >/dev/null
    make_initramfs "$1/initrd" "$root/Firmware/image/init" "${modules_to_boot[@]}"
    cp "$kernel/boot/vmlinuz-$kernel_version" "$1/vmlinuz"
    echo "$2" >"$1/version"
}

# make_bundle FOLDER KEY FILE: a system as an update, signed by the private key.
make_bundle() {
    local folder=$1 name
    {
        echo "version=$(cat "$folder/version")"
        echo "architecture=$(dpkg --print-architecture)"
        for name in vmlinuz initrd root.sqfs; do
            echo "$name.size=$(stat -c %s "$folder/$name")"
            echo "$name.sha256=$(sha256sum <"$folder/$name" | cut -d ' ' -f 1)"
        done
    } >"$folder/manifest"
    openssl pkeyutl -sign -inkey "$2" -rawin -in "$folder/manifest" -out "$folder/manifest.sig"
    tar -cf "$3" --owner 0 --group 0 -C "$folder" manifest manifest.sig vmlinuz initrd root.sqfs
}

slot_size=384 boot_size=160 data_size=768 # MiB

# make_disk FOLDER DATA FILE: a disk that boots by BIOS and by UEFI, with the system of FOLDER in slot a, and the files
# of the folder DATA on the data partition.
make_disk() {
    local folder=$1 data=$2 disk=$3 boot work name modules start
    work=$(mktemp -d)
    local first=2048 mib=2048 # sectors
    truncate -s $(((boot_size + 2 * slot_size + data_size + 4) << 20)) "$disk"
    sfdisk --quiet "$disk" <<SFDISK
label: gpt
start=$first, size=$mib, type=21686148-6449-6E6F-744E-656564454649, name=gatehouse-core
size=$((boot_size * mib)), type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=gatehouse-boot
size=$((slot_size * mib)), type=linux, name=gatehouse-a
size=$((slot_size * mib)), type=linux, name=gatehouse-b
size=$((data_size * mib)), type=linux, name=gatehouse-data
SFDISK
    # put FILE PARTITION: into the partition of that name.
    put() {
        start=$(sfdisk --dump "$disk" | sed -n "s/.*start= *\([0-9]*\),.*name=\"gatehouse-$2\".*/\1/p")
        dd if="$1" of="$disk" bs=64K oflag=seek_bytes seek=$((start * 512)) conv=notrunc,sparse status=none
    }

    # The boot loader: its first sector, and its core in a partition of its own (BIOS); a file (UEFI).
    modules=(part_gpt fat search search_label normal linux loadenv configfile test echo serial terminal sleep)
    grub-mkimage -O i386-pc -o "$work/core" -p /grub -c "$root/Firmware/image/grub-early.cfg" biosdisk "${modules[@]}"
    grub-mkimage -O x86_64-efi -o "$work/efi" -p /grub -c "$root/Firmware/image/grub-early.cfg" efi_gop efi_uga \
        "${modules[@]}"
    cp /usr/lib/grub/i386-pc/boot.img "$work/first"
    # Where the core begins (boot.img), and where what follows its own first sector begins (diskboot.img in the core).
    little_endian "$first" | dd of="$work/first" bs=1 seek=$((0x5c)) conv=notrunc status=none
    little_endian $((first + 1)) | dd of="$work/core" bs=1 seek=$((0x1f4)) conv=notrunc status=none
    dd if="$work/first" of="$disk" bs=1 count=440 conv=notrunc status=none
    put "$work/core" core

    mkdir -p "$work/boot"/{EFI/BOOT,grub,a}
    cp "$work/efi" "$work/boot/EFI/BOOT/BOOTX64.EFI"
    cp "$root/Firmware/image/grub.cfg" "$work/boot/grub/"
    cp "$folder"/{vmlinuz,initrd,version} "$work/boot/a/"
    { printf '# GRUB Environment Block\nslot=a\n' && printf '%1024s' '' | tr ' ' '#'; } | head -c 1024 \
        >"$work/boot/grub/grubenv"
    truncate -s "${boot_size}M" "$work/boot.img"
    mkfs.vfat -F 32 -s 1 -n GATEHOUSE "$work/boot.img" >/dev/null
    for name in "$work/boot"/*; do mcopy -s -i "$work/boot.img" "$name" ::; done
    put "$work/boot.img" boot

    put "$folder/root.sqfs" a
    truncate -s "${data_size}M" "$work/data.img"
    mke2fs -q -t ext4 -L gatehouse-data -d "$data" "$work/data.img"
    put "$work/data.img" data
    rm -rf "$work"
}

# little_endian NUMBER: its eight bytes.
little_endian() {
    local number=$1 index
    for index in 1 2 3 4 5 6 7 8; do
        printf "\\x$(printf %02x $((number & 255)))"
        number=$((number >> 8))
    done
}
