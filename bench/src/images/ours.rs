//! `lifeboat bank install` as one of the ways.
//!
//! Owns: how ours is used. Promises: the program as operators use it, with signatures checked, everything written read
//! back, and no part of the target known before. Does not: use a library instead of the program.

use super::ways::{Kind, Leaves, Way};

/// Releases whose root image is the image; kernel and initial RAM disk are 4 KiB, so that all ways write the same.
const PREPARE: &str = "mkdir -p $A/ours; cd $A/ours; [ -s k ] || $L release keygen k
for v in 1 2; do mkdir -p r$v; ln -sf ../../../v$v.img r$v/root; printf '%4096s' kernel >r$v/kernel; cp r$v/kernel r$v/initrd; done
mkdir -p r0; printf '%4096s' root >r0/root; cp r1/kernel r1/initrd r0
build() { n=$1; v=$2; shift 2; [ $n.lfb -nt $L ] || { rm -f $n.lfb
$L release build r$v --out $n.lfb --name host --version $v --serial $v --key k --no-verity \"$@\"; }; }
build v0 0; build v1 1; build v2 2; build v1-v2 2 --base v1.lfb
disk() { [ $1.img -nt $2.lfb ] || { rm -f $1.img part.img
$L bank init part.img --size 1776M --root-size 802M --boot-size 64M; $L bank install part.img $2.lfb --trust k.pub -y; mv part.img $1.img; }; }
disk empty v0; disk v1 v1";

const NOTHING: Way = Way {
    name: "",
    kind: Kind::Full,
    ours: true,
    needs: &[],
    prepare: PREPARE,
    reset: "",
    run: "",
    after: "",
    leaves: Leaves::Bank,
    bytes: "",
    note: "",
};

pub(super) fn full() -> Vec<Way> {
    vec![Way {
        name: "lifeboat bank install",
        reset: "rm -rf $T; mkdir -p $T; cat $A/ours/empty.img >$T/disk",
        run: "$L bank install $T/disk $A/ours/v2.lfb --trust $A/ours/k.pub --active A -y",
        bytes: "stat -c %s $A/ours/v2.lfb",
        note: "signature, every chunk, and everything that was written read back",
        ..NOTHING
    }]
}

pub(super) fn delta() -> Vec<Way> {
    let over =
        Way { kind: Kind::Delta, reset: "rm -rf $T; mkdir -p $T; cat $A/ours/v1.img >$T/disk", ..NOTHING };
    vec![
        Way {
            name: "lifeboat, delta bundle",
            run: "$L bank install $T/disk $A/ours/v1-v2.lfb --trust $A/ours/k.pub --active A -y",
            bytes: "stat -c %s $A/ours/v1-v2.lfb",
            note: "the rest from the running bank, which is not changed; everything read back",
            ..over
        },
        Way {
            name: "lifeboat, chunks over v1",
            run: "$L bank install $T/disk $A/ours/v2.lfb --trust $A/ours/k.pub --active A -y",
            bytes: "$L release diff $A/ours/v1.lfb $A/ours/v2.lfb --trust $A/ours/k.pub -o json \
                    | awk '/\"from_bank\":/ { print $2 + 0 }' | tail -n 1",
            note: "the whole bundle at hand, of which only the chunks are read that the running bank lacks",
            ..over
        },
    ]
}
