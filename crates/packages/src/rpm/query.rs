//! Answers of `rpm --queryformat`.
//!
//! Owns: the formats and their parsing. Promises: a line that does not fit is left out. Does not: call rpm.

use std::collections::BTreeMap;

use crate::manager::{Defect, Installed, PackageFile};

/// One installed package a line.
pub(crate) const INSTALLED: &str =
    "%{NAME}\\t%{ARCH}\\t%{EPOCHNUM}\\t%{VERSION}-%{RELEASE}\\t%{INSTALLTID}\\n";
/// Head of a package file, then a line a file.
pub(crate) const PACKAGE: &str = "%{NAME}\\t%{ARCH}\\t%{EPOCHNUM}\\t%{VERSION}-%{RELEASE}\\n[%{LONGFILESIZES}\\t%{FILEFLAGS}\\t%{FILENAMES}\\n]";
/// Bit of a configuration file in `FILEFLAGS`.
const CONFIG: u32 = 1;

/// Packages of which several versions live side by side on purpose.
const SIDE_BY_SIDE: &[&str] = &[
    "kernel",
    "kernel-core",
    "kernel-modules",
    "kernel-modules-core",
    "kernel-modules-extra",
    "kernel-devel",
    "kernel-debug",
    "kernel-PAE",
    "kernel-smp",
    "kernel-rt",
    "kernel-uek",
    "kernel-uek-core",
    "kernel-uek-modules",
    "gpg-pubkey",
    "installonlypkg",
];

/// The version with its epoch, which is left out when it is 0.
fn version(epoch: &str, rest: &str) -> String {
    if epoch == "0" || epoch == "(none)" { rest.to_owned() } else { format!("{epoch}:{rest}") }
}

/// Whether several versions of `name` may be installed.
pub(crate) fn is_side_by_side(name: &str) -> bool {
    SIDE_BY_SIDE.contains(&name) || name.starts_with("kmod-")
}

/// Parses lines of [`INSTALLED`].
pub(crate) fn parse_installed(text: &str) -> Vec<Installed> {
    let parse = |line: &str| {
        let mut words = line.split('\t');
        let (name, arch, epoch, rest) = (words.next()?, words.next()?, words.next()?, words.next()?);
        if name.is_empty() {
            return None;
        }
        Some(Installed {
            name: name.to_owned(),
            arch: arch.to_owned(),
            version: version(epoch, rest),
            whole: true,
            state: "installed".to_owned(),
        })
    };
    let mut all: Vec<Installed> = text.lines().filter_map(parse).collect();
    let mut count: BTreeMap<(String, String), usize> = BTreeMap::new();
    for package in &all {
        *count.entry((package.name.clone(), package.arch.clone())).or_default() += 1;
    }
    for package in &mut all {
        let several =
            count.get(&(package.name.clone(), package.arch.clone())).is_some_and(|count| *count > 1);
        if several && !is_side_by_side(&package.name) {
            package.whole = false;
            "installed beside another version".clone_into(&mut package.state);
        }
    }
    all
}

/// Packages with two versions.
pub(crate) fn duplicates(all: &[Installed]) -> Vec<Defect> {
    let mut found: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for package in all.iter().filter(|package| !package.whole) {
        found.entry((&package.name, &package.arch)).or_default().push(&package.version);
    }
    let defect = |((name, _), versions): (&(&str, &str), &Vec<&str>)| Defect {
        code: "packages-duplicated".to_owned(),
        subject: (*name).to_owned(),
        evidence: format!("versions {} are both in the database", versions.join(" and ")),
    };
    found.iter().map(defect).collect()
}

/// Parses an answer of [`PACKAGE`].
pub(crate) fn parse_package(text: &str) -> Option<PackageFile> {
    let mut lines = text.lines();
    let mut words = lines.next()?.split('\t');
    let (name, arch, epoch, rest) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let mut file = PackageFile {
        name: name.to_owned(),
        arch: arch.to_owned(),
        version: version(epoch, rest),
        ..PackageFile::default()
    };
    for line in lines {
        let mut words = line.splitn(3, '\t');
        let (Some(size), Some(flags), Some(path)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let Ok(size) = size.parse() else { continue };
        file.files.push((path.to_owned(), size));
        if flags.parse::<u32>().is_ok_and(|flags| flags & CONFIG != 0) {
            file.conffiles.push(path.to_owned());
        }
    }
    Some(file)
}

/// Configuration files with changed content in the answer of `rpm -V`.
pub(crate) fn parse_verify(text: &str) -> Vec<(String, bool)> {
    let parse = |line: &str| {
        let (signs, rest) = line.split_once(char::is_whitespace)?;
        let path = rest.trim_start().strip_prefix("c ")?.trim_start();
        let missing = signs == "missing";
        (missing || signs.contains('5')).then(|| (path.to_owned(), missing))
    };
    text.lines().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_versions_of_a_kernel_are_no_defect_and_two_of_glibc_are() {
        let text = "kernel\tx86_64\t0\t1-1\t5\nkernel\tx86_64\t0\t2-1\t6\nglibc\tx86_64\t0\t2-1\t5\nglibc\tx86_64\t0\t2-2\t6\n";
        let found = duplicates(&parse_installed(text));
        assert_eq!(found.len(), 1);
        assert!(found[0].evidence.contains("2-1 and 2-2"));
    }

    #[test]
    fn one_name_in_two_architectures_is_no_defect() {
        let text = "glibc\tx86_64\t0\t2-1\t5\nglibc\ti686\t0\t2-1\t5\n";
        assert!(duplicates(&parse_installed(text)).is_empty());
    }

    #[test]
    fn changed_configuration_is_read_from_verify() {
        let text = "S.5....T.  c /etc/a.conf\n.......T.  c /etc/b.conf\nmissing    c /etc/c.conf\n..5......    /usr/bin/x\n";
        assert_eq!(parse_verify(text), [("/etc/a.conf".to_owned(), false), ("/etc/c.conf".to_owned(), true)]);
    }
}
