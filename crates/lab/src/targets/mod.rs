//! What reads bytes of others, as functions of those bytes.
//!
//! Owns: one function for each reader that meets hostile input, and the list of them. Promises: a function returns
//! for every input; if a reader breaks its word (what it accepted it must be able to say again, an edit must fit the
//! disk it was made for), the function panics. Does not: make inputs; libFuzzer (`fuzz/`) and the corpus
//! (`fuzz/corpus`) bring them.

mod bank;
mod bundle;
mod depot;
pub(crate) mod disk;
mod esx;

/// A reader by its name, which is that of its fuzz target and of its folder in the corpus.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Lower case, with underscores.
    pub name: &'static str,
    /// Reads the bytes.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "gpt", run: bank::gpt },
    Target { name: "fat_read", run: bank::fat_read },
    Target { name: "fat_examine", run: bank::fat_examine },
    Target { name: "fat_edit", run: bank::fat_edit },
    Target { name: "bank_manifest", run: bank::manifest },
    Target { name: "bank_record", run: bank::record },
    Target { name: "saved_state", run: bank::saved_state },
    Target { name: "state_words", run: bank::state_words },
    Target { name: "uki", run: bank::uki },
    Target { name: "boot_variables", run: bank::boot_variables },
    Target { name: "bootcfg", run: esx::bootcfg },
    Target { name: "select", run: esx::select_banks },
    Target { name: "esx_disk", run: esx::disk },
    Target { name: "state_tgz", run: esx::state_tgz },
    Target { name: "undo", run: esx::undo },
    Target { name: "release_manifest", run: bundle::manifest },
    Target { name: "chunk_index", run: bundle::index },
    Target { name: "bundle", run: bundle::whole },
    Target { name: "signed_bundle", run: bundle::signed },
    Target { name: "keys", run: bundle::keys },
    Target { name: "vib", run: depot::vib },
    Target { name: "descriptor", run: depot::descriptor },
    Target { name: "visor_tar", run: depot::tar },
    Target { name: "depot_zip", run: depot::zip },
    Target { name: "vib_list", run: depot::vib_list },
    Target { name: "vib_signature", run: depot::signature },
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Runs the target of this name, for programs that have one name each.
pub fn run(name: &str, bytes: &[u8]) {
    if let Some(target) = target(name) {
        (target.run)(bytes);
    }
}
