//! A way of bringing an image to a host, as scripts.
//!
//! Owns: the shape of a way. Promises: what is measured (`run`) stands apart from what makes it repeatable. Does not:
//! know any tool; those are in `peers` and `ours`.
//!
//! Scripts see folders by name: `$I` the images, `$A` what was made of them and is kept, `$T` the target of this run
//! (memory, unless `--disk`), `$K` what stays in memory over all runs.

use super::{ours, peers};

/// What is there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing of use.
    Full,
    /// The release before.
    Delta,
}

/// What a run leaves.
#[derive(Debug, Clone, Copy)]
pub(super) enum Leaves {
    /// `$T/image`, the bytes of v2.
    Image,
    /// `$T/tree`, the files of v2; with the times of the files or without.
    Tree {
        /// Whether they keep them.
        times: bool,
    },
    /// Bank B of `$T/disk`.
    Bank,
}

/// One way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) ours: bool,
    /// Programs that must be there, with the Debian package that brings them.
    pub(super) needs: &'static [(&'static str, &'static str)],
    /// Makes what the maker of releases would make. Run once; kept.
    pub(super) prepare: &'static str,
    /// Before every run.
    pub(super) reset: &'static str,
    /// What is measured.
    pub(super) run: &'static str,
    /// After every run; prints, if it measured a daemon, its processor seconds and its KiB of memory.
    pub(super) after: &'static str,
    pub(super) leaves: Leaves,
    /// Prints how many bytes a host fetches. Empty if that is not known.
    pub(super) bytes: &'static str,
    pub(super) note: &'static str,
}

/// All ways, full ones first.
pub(super) fn ways() -> Vec<Way> {
    peers::full().into_iter().chain(ours::full()).chain(peers::delta()).chain(ours::delta()).collect()
}

/// A target of the right size whose memory is there already.
pub(super) const FRESH_IMAGE: &str = "rm -rf \"$T\"; mkdir -p \"$T\"; \
     dd if=/dev/zero of=\"$T/image\" bs=1M count=800 status=none";
