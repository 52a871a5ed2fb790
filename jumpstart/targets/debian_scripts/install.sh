# The install proper, run in the installer's initramfs (POSIX sh, busybox): two disks to a mirrored, bootable root.
# The caller reports a failure with the step and what was printed last; nothing here starts over by itself.
#
# FILES and REPORTS hold one URL for each server, in the order to try them. A server that does not send a file whole goes
# to the end of that line, and the file is fetched anew from the next: all of them serve the same files.

RUN=${RUN:-/run/twinboot} # tests put these elsewhere
ROOT=${ROOT:-/target}
DEV=${DEV:-/dev}
SYS=${SYS:-/sys}
DISK_WAIT_S=30
ESP_MIB=128
GRUB=/boot/grub/i386-pc
BIOS_MODULES="biosdisk part_gpt mdraid1x ext2" # to read the menu and further modules from the array
SYNC_KIB_S=1
FETCH_TRIES=12  # of one file, over all servers
FETCH_PAUSE_S=3
FILE_S=30    # for one of the host's own files, which are small
SILENCE_S=${SILENCE_S:-30} # an archive that does not grow for so long will not arrive
NEWS_S=5
BROKEN_PIPE=141  # 128 + SIGPIPE: the reader ended first, and has its own reason

step() {
    echo "$*" >"$RUN/step"
    echo "TWINBOOT: $* ($(cut -d' ' -f1 /proc/uptime) s)"
}

fail() {
    echo "$*"
    exit 1
}

disk() { # NAME -> the device that it stands for, or nothing
    for path in "$DEV/$1" "$DEV/disk/by-id/$1"; do
        if [ -e "$path" ]; then
            readlink -f "$path"
            return
        fi
    done
}

known_disks() {
    for path in "$DEV"/disk/by-id/* "$SYS"/block/*; do
        if [ -e "$path" ]; then printf '%s ' "${path##*/}"; fi
    done
}

part() { # DISK NUMBER -> the partition's device
    case $1 in
        *[0-9]) echo "${1}p$2" ;;
        *) echo "$1$2" ;;
    esac
}

find_disks() {
    step "find the disks"
    devices=
    for name in $DISKS; do
        waited=0
        while [ -z "$(disk "$name")" ]; do
            [ "$waited" -lt "$DISK_WAIT_S" ] ||
                fail "no disk $name; root_mirror can name: $(known_disks)"
            sleep 1
            waited=$((waited + 1))
        done
        device=$(disk "$name")
        case " $devices " in *" $device "*) fail "root_mirror names $device twice" ;; esac
        devices="$devices $device"
    done
}

partition() {
    step "partition"
    for device in $devices; do
        # BIOS boot, EFI system, Linux RAID: every disk can start the machine in both ways.
        sfdisk -q --wipe always --wipe-partitions always "$device" <<P || fail "cannot partition $device"
label: gpt
size=1MiB, type=21686148-6449-6E6F-744E-656564454649
size=${ESP_MIB}MiB, type=C12A7328-F81F-11D2-BA4B-00C04FC93EC9
type=A19D880F-05FC-4D3B-A006-743F0F84911E
P
    done
    udevadm settle
}

make_mirror() {
    step "make the mirror"
    modprobe -a md_mod raid1 ext4 vfat nls_ascii nls_cp437
    members=
    for device in $devices; do members="$members $(part "$device" 3)"; done
    # shellcheck disable=SC2086 # a list of devices
    mdadm --quiet --create /dev/md0 --run --level=1 --raid-devices=2 --metadata=1.2 --bitmap=internal \
        --uuid="$ARRAY_UUID" --homehost=any $members || fail "cannot make the mirror of$members"
    # The halves are made equal by the installed system, in its own time. Frozen alone does not hold on every kernel.
    echo frozen >"$SYS/block/md0/md/sync_action"
    echo "$SYNC_KIB_S" >"$SYS/block/md0/md/sync_speed_min"
    echo "$SYNC_KIB_S" >"$SYS/block/md0/md/sync_speed_max"
}

make_filesystems() {
    step "make the file systems"
    mke2fs -q -t ext4 -m 1 -U "$ROOT_UUID" /dev/md0 || fail "cannot make the root file system"
    mkdir -p "$ROOT"
    mount -t ext4 -o noatime /dev/md0 "$ROOT" || fail "cannot mount the root file system"
    # shellcheck disable=SC2086 # a list of words
    set -- $ESP_IDS
    for device in $devices; do
        mkfs.fat -i "$1" "$(part "$device" 2)" >/dev/null 2>&1 || fail "cannot make the EFI partition of $device"
        shift
    done
}

fetched() { # COMMAND...: run it with a server's URL as last argument until it succeeds
    try=1
    until "$@" "${FILES%% *}"; do
        if [ "$try" -ge "$FETCH_TRIES" ]; then return 1; fi
        case $FILES in *" "*) FILES="${FILES#* } ${FILES%% *}" ;; esac
        try=$((try + 1))
        echo "trying the next server"
        sleep "$FETCH_PAUSE_S"
    done
}

impatient() { # COMMAND...: it is ended when it has read nothing for SILENCE_S; busybox's wget would wait for ever
    "$@" &
    reader=$!
    # What the watcher leaves behind must not hold our pipes open.
    while sleep "$SILENCE_S"; do
        now=$(sed -n 's/^rchar: //p' "/proc/$reader/io")
        if [ "$now" = "$before" ]; then kill "$reader"; fi
        before=$now
    done >/dev/null 2>&1 &
    watcher=$!
    wait "$reader"
    ended=$?
    kill "$watcher"
    return "$ended"
}

unpack() {
    step "unpack the root archive"
    fetched unpack_from || fail "no server sends the whole root archive"
}

unpack_from() { # URL; false if the server stopped sending. What a first try left behind is written over.
    # A pipeline tells the status of its last command only.
    { impatient wget -q -O - "$1/root.tar.zst"; echo $? >"$RUN/wget"; } |
        { zstd -dcq; echo $? >"$RUN/zstd"; } |
        tar -C "$ROOT" --numeric-owner --xattrs --xattrs-include='*' -xpf - 2>"$RUN/tar"
    unpacked=$?
    case $(cat "$RUN/wget") in
        0 | "$BROKEN_PIPE") ;;
        *) echo "the server stopped sending"; return 1 ;;
    esac
    case $(cat "$RUN/zstd") in 0 | "$BROKEN_PIPE") ;; *) fail "the archive is damaged" ;; esac
    [ "$unpacked" = 0 ] || fail "cannot unpack it: $(grep -m 1 "No space" "$RUN/tar" || head -n 1 "$RUN/tar")"
}

take() { # NAME -> the host's own file of that name, in RUN
    fetched take_from "$1" || fail "no server gives $1"
}

take_from() { # NAME URL
    timeout "$FILE_S" wget -q -O "$RUN/$1" "$2/$1"
}

configure() {
    step "configure $HOST"
    take overlay.tar
    tar -C "$ROOT" --no-overwrite-dir -xpf "$RUN/overlay.tar" || fail "cannot unpack the host's own files"
    take early.cpio
    for image in "$ROOT"/boot/initrd.img-*; do
        # Names of links and arrays are needed before the root is there. The kernel wants each part at a multiple of 4.
        size=$(stat -c %s "$image")
        truncate -s $(((size + 3) / 4 * 4)) "$image"
        cat "$RUN/early.cpio" >>"$image"
    done
    for place in dev proc sys; do mount -o bind "/$place" "$ROOT/$place" || fail "cannot bind /$place"; done
    for package in $PACKAGES; do
        chroot "$ROOT" dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            fail "package $package is not in the image; run \`twinboot media build debian\` again"
    done
    if [ "$PASSWORD_HASH" ]; then chroot "$ROOT" usermod -p "$PASSWORD_HASH" root || fail "cannot set the password"; fi
    chroot "$ROOT" ssh-keygen -A >/dev/null || fail "cannot make host keys"
}

make_loader() {
    step "make the boot loader"
    # As grub-install makes it, which would do so anew for each disk: it finds the array by its UUID, so one is for both.
    cp "$ROOT/usr/lib/grub/i386-pc/boot.img" "$ROOT$GRUB/" || fail "the image has no boot record"
    # shellcheck disable=SC2086 # a list of words
    chroot "$ROOT" grub-mkimage -O i386-pc -p "(mduuid/$(echo "$ARRAY_UUID" | tr -d :))/boot/grub" \
        -o "$GRUB/core.img" $BIOS_MODULES || fail "cannot make the boot loader"
}

make_bootable() {
    number=
    for device in $devices; do
        step "make $device bootable"
        esp="$ROOT/boot/efi$number"
        mount -t vfat "$(part "$device" 2)" "$esp" || fail "cannot mount the EFI partition of $device"
        mkdir -p "$esp/EFI/BOOT"
        cp "$ROOT/boot/grub/BOOTX64.EFI" "$ROOT/boot/grub/esp/grub.cfg" "$esp/EFI/BOOT/" || fail "cannot fill $esp"
        umount "$esp"
        chroot "$ROOT" "/usr/lib/grub/i386-pc/grub-bios-setup" --directory="$GRUB" "$device" >"$RUN/grub" 2>&1 ||
            fail "cannot write the boot record of $device: $(tail -n 1 "$RUN/grub")"
        number=2
    done
}

finish() {
    step "unmount"
    for place in dev proc sys; do umount "$ROOT/$place"; done
    umount "$ROOT" || fail "cannot unmount the new root"
    mdadm --quiet --stop /dev/md0 || fail "cannot stop the mirror"
    step "reboot"
    # Only news: the install is over when the installed system reports.
    printf 'outcome=progress\nhost=%s\nstep=reboot to its own disks\n' "$HOST" >"$RUN/news"
    for url in $REPORTS; do
        if timeout "$NEWS_S" wget -q -O /dev/null --header "Content-Type: text/plain" --post-file "$RUN/news" "$url"; then
            return
        fi
    done
    return 0
}

find_disks
partition
make_mirror
make_filesystems
unpack
configure
make_loader
make_bootable
finish
