//! The other tools.
//!
//! Owns: how each of them is used. Promises: each as its manual says, with what it needs prepared beforehand, and with
//! its own form made by its own program. Does not: tune them, except that compression is zstd where there is a choice.

use super::ways::{FRESH_IMAGE, Kind, Leaves, Way};

/// How the maker of releases makes what `$1` names.
macro_rules! concat_rauc {
    ($what:literal) => {
        concat!(
            "mkdir -p $A/rauc; cd $A/rauc
[ -s key.pem ] || openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=bench -days 3650 2>told
make() { # VERSION NAME LINE
    [ -s $2.raucb ] && return
    rm -rf in part.raucb; mkdir in; cp $I/$1.img in/root.img
    printf '[update]\\ncompatible=bench\\nversion=%s\\n[image.rootfs]\\nfilename=root.img\\n%s\\n' $1 \"$3\" >in/manifest.raucm
    rauc --cert=cert.pem --key=key.pem --mksquashfs-args='-comp zstd -Xcompression-level 3' bundle in part.raucb
    mv part.raucb $2.raucb; rm -rf in
}
bundle() { make $1 $1 ''; }
adaptive() { make $1 $1-adaptive adaptive=block-hash-index; }
",
            $what
        )
    };
}
const NOTHING: Way = Way {
    name: "",
    kind: Kind::Full,
    ours: false,
    needs: &[],
    prepare: "",
    reset: FRESH_IMAGE,
    run: "",
    after: "",
    leaves: Leaves::Image,
    bytes: "",
    note: "",
};

/// A whole image onto an empty target.
pub(super) fn full() -> Vec<Way> {
    vec![
        Way {
            name: "dd of the raw image",
            run: "dd if=$I/v2.img of=$T/image bs=1M conv=notrunc status=none",
            bytes: "stat -c %s $I/v2.img",
            note: "the limit: copies and nothing else",
            ..NOTHING
        },
        Way {
            name: "zstd piped to dd",
            needs: &[("zstd", "zstd")],
            prepare: "[ -s $A/v2.img.zst ] || { zstd -q -3 -c $I/v2.img >$A/part; mv $A/part $A/v2.img.zst; }",
            run: "zstd -dcq $A/v2.img.zst | dd of=$T/image bs=1M iflag=fullblock conv=notrunc status=none",
            bytes: "stat -c %s $A/v2.img.zst",
            ..NOTHING
        },
        Way {
            name: "tar.zst unpacked",
            needs: &[("zstd", "zstd")],
            prepare: "[ -s $A/v2.tar.zst ] || { zstd -q -3 -c $I/v2.tar >$A/part; mv $A/part $A/v2.tar.zst; }",
            reset: "rm -rf $T; mkdir -p $T/tree",
            run: "tar --zstd -x -f $A/v2.tar.zst -C $T/tree",
            leaves: Leaves::Tree { times: true },
            bytes: "stat -c %s $A/v2.tar.zst",
            ..NOTHING
        },
        Way {
            name: "RAUC, plain bundle",
            needs: RAUC_NEEDS,
            prepare: concat_rauc!("bundle v2"),
            reset: RAUC_RESET,
            run: "export DBUS_SESSION_BUS_ADDRESS=$(cat $T/bus) DBUS_STARTER_ADDRESS=$(cat $T/bus) DBUS_STARTER_BUS_TYPE=session; \
                  rauc install $A/rauc/v2.raucb",
            after: RAUC_AFTER,
            bytes: "stat -c %s $A/rauc/v2.raucb",
            note: "time of the kernel that unpacks squashfs is not in its CPU",
            ..NOTHING
        },
        Way {
            name: "casync extract",
            needs: CASYNC_NEEDS,
            prepare: CASYNC,
            run: "casync extract --store=$A/v2.castr $A/v2.caibx $T/image",
            bytes: "cat $A/v2.castr/*/* $A/v2.caibx | wc -c",
            ..NOTHING
        },
        Way {
            name: "zchunk, unzck",
            needs: &[("zck", "zchunk")],
            prepare: ZCK,
            run: "unzck -c $A/v2.zck 1<>$T/image",
            bytes: "stat -c %s $A/v2.zck",
            ..NOTHING
        },
        Way {
            name: "OSTree, pull and checkout",
            needs: OSTREE_NEEDS,
            prepare: OSTREE,
            reset: "rm -rf $T; mkdir -p $T; ostree init --repo=$T/repo --mode=bare; \
                    ostree remote add --repo=$T/repo --no-gpg-verify o file://$A/ostree",
            run: OSTREE_RUN,
            leaves: Leaves::Tree { times: false },
            bytes: "ostree_bytes() { find $1/objects -type f -printf '%s\\n' | awk '{ s += $1 } END { print s }'; }; \
                    ostree_bytes $A/ostree-v2",
            ..NOTHING
        },
    ]
}

/// The same image where v1 is at hand.
pub(super) fn delta() -> Vec<Way> {
    let nothing = Way { kind: Kind::Delta, ..NOTHING };
    vec![
        Way {
            name: "rsync of the tree",
            needs: &[("rsync", "rsync")],
            prepare: "[ -d $K/v2 ] || { rm -rf $K/part; mkdir -p $K/part; tar -x -f $I/v2.tar -C $K/part; mv $K/part $K/v2; }
                      [ -s $A/rsync-tree.bytes ] || { rm -rf $K/v1; mkdir -p $K/v1; tar -x -f $I/v1.tar -C $K/v1
                      rsync -aHz --no-whole-file --delete --stats $K/v2/ $K/v1/ | tr -d , >$A/rsync-tree.stats
                      awk '/^Total bytes (sent|received)/ { s += $4 } END { print s }' $A/rsync-tree.stats >$A/part
                      mv $A/part $A/rsync-tree.bytes; rm -rf $K/v1; }",
            reset: "rm -rf $T; mkdir -p $T/tree; tar -x -f $I/v1.tar -C $T/tree",
            run: "rsync -aH --delete $K/v2/ $T/tree/",
            leaves: Leaves::Tree { times: true },
            bytes: "cat $A/rsync-tree.bytes",
            note: "changes v1 in place; from memory, whole files; bytes: with -z and its delta method",
            ..nothing
        },
        Way {
            name: "rsync --inplace of the image",
            needs: &[("rsync", "rsync")],
            prepare: "[ -s $A/rsync-image.bytes ] || { cp $I/v1.img $K/image
                      rsync -z --inplace --no-whole-file --stats $I/v2.img $K/image | tr -d , >$A/rsync-image.stats
                      awk '/^Total bytes (sent|received)/ { s += $4 } END { print s }' $A/rsync-image.stats >$A/part
                      mv $A/part $A/rsync-image.bytes; rm -f $K/image; }",
            reset: "rm -rf $T; mkdir -p $T; cat $I/v1.img >$T/image",
            run: "rsync --inplace --no-whole-file $I/v2.img $T/image",
            bytes: "cat $A/rsync-image.bytes",
            note: "changes v1 in place; bytes: with -z",
            ..nothing
        },
        Way {
            name: "zstd --patch-from",
            needs: &[("zstd", "zstd")],
            prepare: "[ -s $A/v2.patch ] || { zstd -q -3 --long=30 --patch-from=$I/v1.img -c $I/v2.img >$A/part; \
                      mv $A/part $A/v2.patch; }",
            run: "zstd -dcq --long=30 --patch-from=$I/v1.img $A/v2.patch 1<>$T/image",
            bytes: "stat -c %s $A/v2.patch",
            note: "level 3; not a chunker: a patch for each pair of releases",
            ..nothing
        },
        Way {
            name: "RAUC, adaptive",
            needs: RAUC_NEEDS,
            prepare: concat_rauc!("adaptive v1; adaptive v2"),
            reset: RAUC_RESET_ADAPTIVE,
            run: "export DBUS_SESSION_BUS_ADDRESS=$(cat $T/bus) DBUS_STARTER_ADDRESS=$(cat $T/bus) DBUS_STARTER_BUS_TYPE=session; \
                  rauc install $A/rauc/v2-adaptive.raucb",
            after: RAUC_AFTER,
            note: "stored index of v1; the bundle lies at hand: its bytes over HTTP need the kernel's NBD",
            ..nothing
        },
        Way {
            name: "zchunk over HTTP",
            needs: &[("zck", "zchunk"), ("nginx", "nginx-light")],
            prepare: ZCK,
            reset: ZCK_SERVE,
            run: "cd $T; zckdl -s $A/v1.zck http://127.0.0.1:18432/v2.zck >$T/told; unzck -c $T/v2.zck 1<>$T/image",
            after: "awk '{ s += $10 } END { print s }' $T/log >$A/zck.bytes; kill \"$(cat $T/pid)\"",
            bytes: "[ -s $A/zck.bytes ] && cat $A/zck.bytes || true",
            note: "zckdl, then unzck",
            ..nothing
        },
        Way {
            name: "casync, seed v1",
            needs: CASYNC_NEEDS,
            prepare: CASYNC,
            run: "casync extract --store=$A/v2.castr --seed=$I/v1.img --seed-output=no $A/v2.caibx $T/image",
            bytes: "cd $A/v2.castr; { comm -13 <(cd ../v1.castr; find . -type f | sort) <(find . -type f | sort) \
                    | xargs stat -c %s; stat -c %s ../v2.caibx; } | awk '{ s += $1 } END { print s }'",
            ..nothing
        },
        Way {
            name: "OSTree, pull and checkout over v1",
            needs: OSTREE_NEEDS,
            prepare: OSTREE,
            reset: "rm -rf $T; mkdir -p $T; ostree init --repo=$T/repo --mode=bare; \
                    ostree remote add --repo=$T/repo --no-gpg-verify o file://$A/ostree; \
                    ostree pull --repo=$T/repo o v1 >$T/told",
            run: OSTREE_RUN,
            leaves: Leaves::Tree { times: false },
            bytes: "cd $A/ostree/objects; comm -13 <(cd $A/ostree-v1/objects; find . -type f | sort) \
                    <(find . -type f | sort) | xargs stat -c %s | awk '{ s += $1 } END { print s }'",
            ..nothing
        },
    ]
}

const CASYNC_NEEDS: &[(&str, &str)] = &[("casync", "casync")];
const CASYNC: &str =
    "for v in v1 v2; do [ -s $A/$v.caibx ] || casync make --store=$A/$v.castr $A/$v.caibx $I/$v.img; done";
const ZCK: &str =
    "for v in v1 v2; do [ -s $A/$v.zck ] || { zck -o $A/part $I/$v.img; mv $A/part $A/$v.zck; }; done";
const ZCK_SERVE: &str = "rm -rf $T; mkdir -p $T; dd if=/dev/zero of=$T/image bs=1M count=800 status=none
cat >$T/conf <<END
worker_processes 1; pid $T/pid; error_log $T/err; daemon on; user root;
events {} http { access_log $T/log; client_body_temp_path $T/b; proxy_temp_path $T/p; fastcgi_temp_path $T/f;
uwsgi_temp_path $T/u; scgi_temp_path $T/s; sendfile on; max_ranges 1000;
server { listen 127.0.0.1:18432; root $A; } }
END
nginx -c $T/conf -p $T >$T/told 2>&1 </dev/null
for i in $(seq 50); do [ -s $T/pid ] && exit 0; sleep 0.1; done; exit 1";

const OSTREE_NEEDS: &[(&str, &str)] = &[("ostree", "ostree")];
const OSTREE: &str = "commit() { [ -d $A/$1 ] || { rm -rf $A/part; ostree init --repo=$A/part --mode=archive; shift_to=$1; shift
for v in \"$@\"; do ostree commit --repo=$A/part -b $v --tree=tar=$I/$v.tar --tar-autocreate-parents \
--timestamp=2025-01-01T00:00:00Z; done; mv $A/part $A/$shift_to; }; }
commit ostree-v1 v1; commit ostree-v2 v2; commit ostree v1 v2";
const OSTREE_RUN: &str = "ostree pull --repo=$T/repo o v2; ostree checkout --repo=$T/repo -H v2 $T/tree";

const RAUC_NEEDS: &[(&str, &str)] = &[
    ("rauc", "rauc"),
    ("mksquashfs", "squashfs-tools"),
    ("openssl", "openssl"),
    ("dbus-daemon", "dbus-daemon"),
];

/// A service on a bus of its own; the machine's bus and its slots are left alone.
macro_rules! rauc_reset {
    ($image0:literal, $first:literal) => {
        concat!(
            "rm -rf $T; mkdir -p $T/mnt $T/data; dd if=/dev/zero of=$T/image bs=1M count=800 status=none
", $image0, "
cat >$T/conf <<END
[system]
compatible=bench
bootloader=noop
mountprefix=$T/mnt
data-directory=$T/data
[keyring]
path=$A/rauc/cert.pem
[slot.rootfs.0]
device=$T/image0
type=raw
bootname=a
[slot.rootfs.1]
device=$T/image
type=raw
bootname=b
END
dbus-daemon --session --fork --print-address=3 --print-pid=4 3>$T/bus 4>$T/buspid >$T/told 2>&1 </dev/null
export DBUS_SESSION_BUS_ADDRESS=$(cat $T/bus) DBUS_STARTER_ADDRESS=$(cat $T/bus) DBUS_STARTER_BUS_TYPE=session
serve() { setsid rauc -c $T/conf --override-boot-slot=$1 service >$T/service.log 2>&1 </dev/null & echo $! >$T/servicepid
for i in $(seq 50); do rauc status >$T/told 2>&1 && return; sleep 0.1; done; return 1; }
", $first, "
serve a"
        )
    };
}
const RAUC_RESET: &str = rauc_reset!("dd if=/dev/zero of=$T/image0 bs=1M count=8 status=none", "");
const RAUC_RESET_ADAPTIVE: &str = rauc_reset!(
    "dd if=/dev/zero of=$T/image0 bs=1M count=800 status=none",
    "serve b; rauc install $A/rauc/v1-adaptive.raucb >$T/told 2>&1; kill \"$(cat $T/servicepid)\"; sleep 0.3"
);
const RAUC_AFTER: &str = "p=$(cat $T/servicepid); awk '{ print ($14 + $15) / 100 }' /proc/$p/stat
awk '/^VmHWM/ { print $2 }' /proc/$p/status; kill $p; kill \"$(cat $T/buspid)\"";
