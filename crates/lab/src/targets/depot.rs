//! Readers of `lifeboat-depot`.

use lifeboat_depot::signature::{Trust, verify};
use lifeboat_depot::tar::Lister;
use lifeboat_depot::{Budget, Descriptor, Level, Limits, Profile, host, offline, results, vib};

/// A VIB.
pub(super) fn vib(bytes: &[u8]) {
    let limits = Limits::small();
    if let Ok(vib) = vib::read(bytes, &limits) {
        assert_eq!(vib.size, bytes.len() as u64, "not the whole file was read");
        let _ = vib.content();
    }
}

/// A descriptor, and a profile.
pub(super) fn descriptor(bytes: &[u8]) {
    let _ = Descriptor::parse(bytes, &Limits::small());
    let _ = Profile::parse(bytes, &Limits::small());
}

/// A payload's archive, whole and in small pieces: both list the same.
pub(super) fn tar(bytes: &[u8]) {
    let mut whole = Lister::new(1000);
    whole.feed(bytes);
    let mut pieces = Lister::new(1000);
    bytes.chunks(7).for_each(|piece| pieces.feed(piece));
    let (whole, pieces) = (whole.finish(), pieces.finish());
    assert!(whole.entries.len() <= 1000, "more entries than asked for");
    assert_eq!(whole.entries.len(), pieces.entries.len(), "pieces are read otherwise than the whole");
}

/// An offline bundle, with its VIBs.
pub(super) fn zip(bytes: &[u8]) {
    let limits = Limits::small();
    let Ok(archive) = offline::open(bytes, &limits) else { return };
    let mut budget = Budget::of(&limits);
    if let Ok(bundle) = offline::read(&archive, "fuzz", &limits) {
        for indexed in &bundle.vibs {
            let _ = offline::verify_vib(&archive, indexed, &limits, &mut budget);
        }
    }
    for entry in archive.entries().iter().take(20) {
        let _ = archive.bytes(&entry.name, 1 << 20);
    }
}

/// What `esxcli` and an update said.
pub(super) fn vib_list(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = host::parse(&text);
    let _ = results::parse_results(&text);
}

/// A VIB's signature.
pub(super) fn signature(bytes: &[u8]) {
    let report = verify("fuzz", b"<vib/>", bytes, Some(Level::Certified), &Trust::new(), 1_800_000_000);
    assert!(report.proved == Level::Community, "nothing is trusted, and yet something is proved");
}
