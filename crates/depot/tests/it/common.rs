//! Words that the tests share.

use std::path::{Path, PathBuf};

use lifeboat_depot::build::{NewPayload, NewVib, TarEntry, TarForm, VibSpec, tar, vib};
use lifeboat_depot::{Constraint, Limits};
use lifeboat_model::Finding;

/// A folder of real files beside the repository; none if it is not there, with the reason printed.
pub(crate) fn samples(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: real files are not beside the repository ({folder})");
    None
}

pub(crate) fn limits() -> Limits {
    Limits::small()
}

pub(crate) fn codes(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.code.as_str()).collect()
}

pub(crate) fn constraint(text: &str) -> Constraint {
    Constraint::parse(text).unwrap()
}

/// A payload that holds one file.
pub(crate) fn payload(name: &str, file: &str, data: &[u8]) -> NewPayload {
    NewPayload::vgz(name, tar(TarForm::Visor, &[TarEntry::file(file, data)]))
}

/// A VIB with one payload of one file.
pub(crate) fn simple(name: &str, version: &str) -> NewVib {
    with(&mut VibSpec::new(name, version))
}

/// The same, from its words.
pub(crate) fn with(spec: &mut VibSpec) -> NewVib {
    let file = format!("opt/{}/file", spec.name);
    spec.files = vec![file.clone()];
    let content = format!("{} {}", spec.name, spec.version);
    vib(spec, &[payload(&spec.name, &file, content.as_bytes())], b"")
}
