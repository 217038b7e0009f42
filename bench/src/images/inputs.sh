#!/usr/bin/env bash
# Makes the two host images that `lifeboat-bench images` installs: DIR/v1.img, DIR/v2.img, and their trees as tar
# files. Both are made of Debian packages from the mirrors that this machine's apt is configured with, by name:
#
#   v1  the closure of LIST without the security suite, every package in the oldest version the mirrors still hold
#   v2  the closure of LIST and FIVE with all suites, every package in the newest version
#
# Nothing is configured (no maintainer script runs), so equal packages make equal bytes. DIR/packages-v1.txt and
# DIR/packages-v2.txt say which versions they are. Needs apt, dpkg, tar, e2fsprogs, 1 GiB in /dev/shm, and root (owners of files).
#
#   inputs.sh DIR
set -euo pipefail
export LC_ALL=C
dir=$(mkdir -p "$1" && cd "$1" && pwd)
size_mib=800
moment=1735689600
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")

# A virtualization host as one would install it.
list="linux-image-amd64 systemd-sysv systemd-boot-efi systemd-resolved udev dbus
libvirt-daemon-system libvirt-clients qemu-system-x86 qemu-utils ovmf swtpm-tools openssh-server openssl
ca-certificates curl rsync sudo lvm2 mdadm multipath-tools open-iscsi nfs-common cryptsetup parted xfsprogs
btrfs-progs dosfstools efibootmgr bridge-utils ifenslave ethtool iproute2 nftables bind9-dnsutils rsyslog logrotate
cron vim-tiny less bash-completion htop iotop sysstat strace lsof pciutils usbutils dmidecode kexec-tools
initramfs-tools zstd python3 gdisk sg3-utils numactl gnupg apparmor firmware-linux-free"
five="tcpdump chrony lldpd smartmontools nvme-cli"

work=$dir/work
mkdir -p "$work/debs" "$work/partial"
: >"$work/status"
printf 'Package: *\nPin: release n=%s-security\nPin-Priority: -1\n' "$codename" >"$work/no-security"
: >"$work/all-suites"

apt_here() { # PREFERENCES COMMAND...
    local preferences=$1
    shift
    apt-get -q -y -o Dir::State::status="$work/status" -o Dir::Etc::preferences="$work/$preferences" \
        -o Dir::Etc::preferencesparts="$work/partial" -o Debug::NoLocking=1 -o APT::Install-Recommends=false \
        -o APT::Get::AllowUnauthenticated=false "$@"
}

# Names and versions of the closure: `Inst NAME (VERSION SUITE [ARCH])`.
closure() { # PREFERENCES PACKAGES...
    local preferences=$1
    shift
    local -a important
    mapfile -t important < <(apt-cache dumpavail | awk '
        /^Package: / { name = $2 } /^Priority: (required|important)$/ { print name }
        /^Essential: yes$/ { print name }' | sort -u)
    apt_here "$preferences" -s install "${important[@]}" "$@" \
        | sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1=\2/p' | sort
}

oldest() { # reads NAME=VERSION, writes NAME=OLDEST
    local pair name version other
    while read -r pair; do
        name=${pair%%=*} version=${pair#*=}
        while read -r other; do
            if dpkg --compare-versions "$other" lt "$version"; then version=$other; fi
        done < <(awk -F' *[|] *' -v name="$name" '$1 ~ "^ *" name "$" { print $2 }' "$work/madison")
        echo "$name=$version"
    done
}

if [ ! -s "$dir/packages-v2.txt" ]; then
    # shellcheck disable=SC2086
    closure no-security $list >"$work/v1.main"
    # shellcheck disable=SC2046
    apt-cache madison $(cut -d= -f1 "$work/v1.main" | cut -d: -f1) >"$work/madison"
    oldest <"$work/v1.main" >"$dir/packages-v1.txt"
    # shellcheck disable=SC2086
    closure all-suites $list $five >"$dir/packages-v2.txt"
fi

fetch() { # LIST: downloads what is not there yet
    local pair file
    local -a missing=()
    while read -r pair; do
        # apt-get download names files NAME_VERSION_ARCH.deb, `:` as %3a.
        file="${pair%%=*}_${pair#*=}"
        if ! compgen -G "$work/debs/${file//:/%3a}_*.deb" >/dev/null; then missing+=("$pair"); fi
    done <"$1"
    if [ "${#missing[@]}" -gt 0 ]; then
        (cd "$work/debs" && apt_here all-suites download "${missing[@]}")
    fi
}

tree() { # LIST ROOT TIME
    local pair file root=$2 name link
    rm -rf "$root"
    mkdir -p "$root"/{usr/bin,usr/sbin,usr/lib,usr/lib32,usr/lib64,usr/libx32,var/lib/dpkg/info}
    for link in bin sbin lib lib32 lib64 libx32; do ln -s "usr/$link" "$root/$link"; done
    while read -r pair; do
        file="${pair%%=*}_${pair#*=}"
        file=$(compgen -G "$work/debs/${file//:/%3a}_*.deb")
        name=${pair%%=*}
        # A host's image carries no manuals and no translations, and a server has no sound, cameras or wireless.
        dpkg-deb --fsys-tarfile "$file" | tar -x --keep-directory-symlink -C "$root" \
            --exclude './usr/share/doc/*' --exclude './usr/share/man/*' --exclude './usr/share/locale/*' \
            --exclude './usr/share/info/*' --exclude './lib/modules/*/kernel/sound/*' \
            --exclude './lib/modules/*/kernel/drivers/media/*' \
            --exclude './lib/modules/*/kernel/drivers/net/wireless/*' \
            --exclude './lib/modules/*/kernel/drivers/gpu/drm/*/*'
        # What dpkg would know about it.
        dpkg-deb --fsys-tarfile "$file" | tar -t | sed 's,^\.,,; s,/$,,' >"$root/var/lib/dpkg/info/$name.list"
        dpkg-deb --ctrl-tarfile "$file" | tar -x -C "$root/var/lib/dpkg/info" --transform "s,^\./,$name.," \
            --exclude ./control --exclude ./
        { dpkg-deb -f "$file"; echo "Status: install ok unpacked"; echo; } >>"$root/var/lib/dpkg/status"
    done <"$1"
    # Times of what no package holds; of folders too, which tar sets while it fills them.
    find "$root" \( -path "$root/var/lib/dpkg/*" -o -type d -o -type l \) -exec touch -h -d "@$3" {} +
}

image() { # TAR IMAGE
    local root inodes
    # In memory, where folders list their entries in the order in which they were made: that of the archive.
    root=$(mktemp -d -p /dev/shm lifeboat-inputs-XXXXXX)
    tar -x -f "$1" -C "$root"
    rm -f "$2"
    # No journal, fixed identities, room for nothing but the image.
    E2FSPROGS_FAKE_TIME=$moment mke2fs -q -t ext4 -b 4096 -I 256 -m 0 -O ^has_journal,^metadata_csum_seed \
        -E hash_seed=6c696665-626f-6174-8000-000000000001,root_owner=0:0,lazy_itable_init=0 \
        -U 6c696665-626f-6174-8000-000000000002 -L host -d "$root" "$2" "${size_mib}M"
    rm -rf "$root"
    # Times that no archive carries: of access, of the last change of the inode, of its making.
    inodes=$(dumpe2fs -h "$2" 2>/dev/null | awk '/^Inode count:/ { all = $3 } /^Free inodes:/ { free = $3 }
        END { print all - free }')
    {
        echo "sif <2> atime @$moment"
        seq 11 "$inodes" | awk -v at="@$moment" '{
            split("atime ctime crtime", fields, " ")
            for (i = 1; i <= 3; i++) { print "sif <" $1 "> " fields[i] " " at; print "sif <" $1 "> " fields[i] "_extra 0" } }'
        for field in ctime crtime; do echo "sif <2> $field @$moment"; done
        for field in atime ctime crtime; do echo "sif <2> ${field}_extra 0"; done
    } | E2FSPROGS_FAKE_TIME=$moment debugfs -w -f - "$2" >/dev/null 2>"$work/debugfs"
    fsck.ext4 -fn "$2" >"$work/fsck" 2>&1 || { cat "$work/fsck"; exit 1; }
}

for version in v1 v2; do
    if [ ! -s "$dir/$version.tar" ]; then
        fetch "$dir/packages-$version.txt"
        tree "$dir/packages-$version.txt" "$work/$version" $((moment + 86400 * ${version#v}))
        tar -c --sort=name --numeric-owner --format=gnu -f "$dir/$version.tar.part" -C "$work/$version" .
        mv "$dir/$version.tar.part" "$dir/$version.tar"
        rm -rf "${work:?}/$version"
    fi
    if [ ! -s "$dir/$version.img" ]; then
        image "$dir/$version.tar" "$dir/$version.img.part"
        mv "$dir/$version.img.part" "$dir/$version.img"
    fi
done
(cd "$dir" && sha256sum v1.img v2.img >SHA256SUMS)
