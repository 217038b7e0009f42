//! Debian package files.
//!
//! Owns: asking `dpkg-deb` what is in one. Promises: nothing of it is unpacked to the host. Does not: check signatures:
//! a `.deb` has none, its repository or release has.

use std::path::Path;
use std::process::{Command, Stdio};

use super::status::parse_status;
use crate::command::ask;
use crate::error::PackageError;
use crate::manager::{PackageFile, fingerprint};

/// Looks into `path`.
pub(crate) fn inspect(path: &Path) -> Result<PackageFile, PackageError> {
    let unreadable =
        |why: &str| PackageError::Unreadable { what: path.display().to_string(), why: why.to_owned() };
    let control = ask(Command::new("dpkg-deb").arg("--field").arg(path))?;
    let stanza =
        parse_status(&control).into_iter().next().ok_or_else(|| unreadable("it has no control fields"))?;
    let field = |name: &str| stanza.get(name).map(str::to_owned);
    let list = ask(Command::new("dpkg-deb").arg("--contents").arg(path))?;
    let (sha256, bytes) = fingerprint(path)?;
    Ok(PackageFile {
        path: path.to_owned(),
        name: field("Package").ok_or_else(|| unreadable("it has no name"))?,
        arch: field("Architecture").unwrap_or_default(),
        version: field("Version").ok_or_else(|| unreadable("it has no version"))?,
        sha256,
        bytes,
        files: list.lines().filter_map(parse_content).collect(),
        // A package without this member makes dpkg-deb fail.
        conffiles: ask(Command::new("dpkg-deb").arg("--info").arg(path).arg("conffiles"))
            .map(|text| {
                text.lines().map(str::trim).filter(|line| line.starts_with('/')).map(str::to_owned).collect()
            })
            .unwrap_or_default(),
        pre_depends: stanza.get("Pre-Depends").map(names).unwrap_or_default(),
    })
}

/// Path and size of a line of `dpkg-deb --contents`; none for folders.
fn parse_content(line: &str) -> Option<(String, u64)> {
    let mut rest = line;
    let mut words = Vec::new();
    for _ in 0..5 {
        let (word, tail) = rest.trim_start().split_once(' ')?;
        words.push(word);
        rest = tail;
    }
    let mode = *words.first()?;
    if mode.starts_with('d') {
        return None;
    }
    let path = rest.split(" -> ").next()?.split(" link to ").next()?;
    let path = path.strip_prefix('.').unwrap_or(path);
    Some((path.to_owned(), words.get(2)?.parse().ok()?))
}

/// Names of a dependency field, alternatives and versions left out.
fn names(field: &str) -> Vec<String> {
    let name = |part: &str| {
        let word = part.split_whitespace().next()?;
        Some(word.split([':', '(']).next().unwrap_or(word).to_owned())
    };
    field.split([',', '|']).filter_map(name).collect()
}

/// MD5 of one file inside a package, as dpkg compares configuration files.
pub(crate) fn md5_inside(package: &Path, path: &str) -> Option<String> {
    let mut tar =
        Command::new("dpkg-deb").arg("--fsys-tarfile").arg(package).stdout(Stdio::piped()).spawn().ok()?;
    let stream = tar.stdout.take()?;
    let mut extract = Command::new("tar");
    extract.args(["--extract", "--to-stdout", "--file=-"]).arg(format!(".{path}"));
    let mut extract = extract.stdin(stream).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let stream = extract.stdout.take()?;
    let sum = Command::new("md5sum").stdin(stream).output().ok()?;
    let good = extract.wait().ok()?.success();
    // tar may stop reading once it has its file: what dpkg-deb says about that does not matter.
    let _ = tar.wait();
    let text = String::from_utf8(sum.stdout).ok()?;
    good.then(|| text.split(' ').next().map(str::to_owned)).flatten()
}

/// MD5 of a file of the host.
pub(crate) fn md5_of(path: &Path) -> Option<String> {
    let text = ask(Command::new("md5sum").arg("--").arg(path)).ok()?;
    Some(text.trim_start_matches('\\').split(' ').next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_contents_give_path_and_size() {
        let line = "-rw-r--r-- root/root      1234 2026-01-02 03:04 ./usr/share/a b/c";
        assert_eq!(parse_content(line), Some(("/usr/share/a b/c".to_owned(), 1234)));
        assert_eq!(parse_content("drwxr-xr-x root/root 0 2026-01-02 03:04 ./usr/"), None);
        let link = "lrwxrwxrwx root/root 0 2026-01-02 03:04 ./bin/x -> ../y";
        assert_eq!(parse_content(link), Some(("/bin/x".to_owned(), 0)));
        assert_eq!(parse_content("nonsense"), None);
    }

    #[test]
    fn names_of_dependencies_lose_versions_and_architectures() {
        assert_eq!(names("libc6 (>= 2.36), dpkg:any | perl-base (= 5)"), ["libc6", "dpkg", "perl-base"]);
    }
}
