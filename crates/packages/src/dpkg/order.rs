//! The order of unpacking and configuring.
//!
//! Owns: asking apt, and an order of our own where apt is not installed. Promises: what apt would remove or would have to
//! fetch is a blocker, never a surprise. Does not: resolve dependencies.

use std::process::Command;

use lifeboat_model::Finding;

use crate::codes::finding;
use crate::command::ask;
use crate::error::PackageError;
use crate::manager::PackageFile;
use crate::plan::Step;
use crate::roots::Roots;

/// Steps for `files`, and why they cannot be done.
pub(crate) fn order(roots: &Roots, files: &[PackageFile]) -> Result<(Vec<Step>, Vec<Finding>), PackageError> {
    match ask(&mut apt(roots, files)) {
        Ok(text) => Ok(from_apt(&text, files)),
        Err(PackageError::Start { .. }) => Ok((own(files, false), Vec::new())),
        Err(PackageError::Program { tail, .. }) => {
            let noise = ["W:", "Reading ", "Building ", "Note, "];
            let says = |line: &&str| !line.is_empty() && !noise.iter().any(|head| line.starts_with(head));
            let words: Vec<&str> = tail.lines().map(str::trim).filter(says).collect();
            Ok((own(files, false), vec![finding("package-not-closed", "the packages", words.join("; "))]))
        }
        Err(error) => Err(error),
    }
}

fn apt(roots: &Roots, files: &[PackageFile]) -> Command {
    let mut apt = Command::new("apt-get");
    apt.args(["--simulate", "--no-remove", "--allow-downgrades", "--no-install-recommends", "-q"]);
    apt.args(["-o", "APT::Get::Show-User-Simulation-Note=false", "-o", "Debug::NoLocking=true"]);
    if !roots.is_host() {
        let root = roots.root.display();
        apt.arg("-o").arg(format!("Dir={root}"));
        apt.arg("-o").arg(format!("Dir::State::status={root}/var/lib/dpkg/status"));
    }
    apt.arg("install");
    // apt takes a path for a file only if it begins so.
    apt.args(files.iter().map(|file| std::path::absolute(&file.path).unwrap_or_else(|_| file.path.clone())));
    apt
}

/// What one line of apt's simulation does.
enum Act<'a> {
    Unpack(&'a str),
    Configure(&'a str),
    Remove(&'a str),
}

fn parse_act(line: &str) -> Option<Act<'_>> {
    let mut words = line.split_whitespace();
    let act = words.next()?;
    let name = words.next()?;
    let name = name.split(':').next().unwrap_or(name);
    match act {
        "Inst" => Some(Act::Unpack(name)),
        "Conf" => Some(Act::Configure(name)),
        "Remv" | "Purg" => Some(Act::Remove(name)),
        _ => None,
    }
}

fn from_apt(text: &str, files: &[PackageFile]) -> (Vec<Step>, Vec<Finding>) {
    let mut steps: Vec<Step> = Vec::new();
    let mut findings = Vec::new();
    for act in text.lines().filter_map(parse_act) {
        match act {
            Act::Unpack(name) => match files.iter().find(|file| file.name == name) {
                Some(file) => push_file(&mut steps, &file_name(file)),
                None => findings.push(finding(
                    "package-not-closed",
                    name,
                    "it is needed, and not among the packages",
                )),
            },
            Act::Configure(name) => match steps.last_mut() {
                Some(Step::Configure { names }) => names.push(name.to_owned()),
                _ => steps.push(Step::Configure { names: vec![name.to_owned()] }),
            },
            Act::Remove(name) => {
                findings.push(finding("package-not-closed", name, "it would have to be removed"));
            }
        }
    }
    // apt leaves out what has the version already: the plan did too, but for a package that is not whole.
    for file in files {
        let name = file_name(file);
        let has = |step: &Step| matches!(step, Step::Unpack { files, .. } if files.contains(&name));
        if !steps.iter().any(has) {
            steps.insert(0, Step::Unpack { files: vec![name], old: false });
        }
    }
    steps.push(Step::Configure { names: Vec::new() });
    (steps, findings)
}

fn push_file(steps: &mut Vec<Step>, name: &str) {
    match steps.last_mut() {
        Some(Step::Unpack { files, .. }) => files.push(name.to_owned()),
        _ => steps.push(Step::Unpack { files: vec![name.to_owned()], old: false }),
    }
}

/// The order without apt: what others need before they are unpacked comes first and is configured; then the rest, which
/// dpkg configures in its own order.
pub(crate) fn own(files: &[PackageFile], old: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut left: Vec<&PackageFile> = files.iter().collect();
    while !left.is_empty() {
        let waits = |file: &&&PackageFile| {
            file.pre_depends
                .iter()
                .any(|need| left.iter().any(|other| other.name == *need && other.name != file.name))
        };
        let mut ready: Vec<&PackageFile> = left.iter().filter(|file| !waits(file)).copied().collect();
        if ready.is_empty() {
            // A circle: dpkg says what it thinks of it.
            ready.clone_from(&left);
        }
        left.retain(|file| !ready.iter().any(|done| done.path == file.path));
        steps.push(Step::Unpack { files: ready.iter().map(|file| file_name(file)).collect(), old });
        if !left.is_empty() {
            let names = ready.iter().map(|file| file.name.clone()).collect();
            steps.push(Step::Configure { names });
        }
    }
    steps.push(Step::Configure { names: Vec::new() });
    steps
}

fn file_name(file: &PackageFile) -> String {
    file.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, needs: &[&str]) -> PackageFile {
        PackageFile {
            path: format!("/x/{name}.deb").into(),
            name: name.to_owned(),
            pre_depends: needs.iter().map(|need| (*need).to_owned()).collect(),
            ..PackageFile::default()
        }
    }

    #[test]
    fn what_is_needed_before_unpacking_is_configured_first() {
        let steps = own(&[package("b", &["a"]), package("a", &[])], false);
        let unpack = |name: &str| Step::Unpack { files: vec![format!("{name}.deb")], old: false };
        let configure =
            |names: &[&str]| Step::Configure { names: names.iter().map(|n| (*n).to_owned()).collect() };
        assert_eq!(steps, [unpack("a"), configure(&["a"]), unpack("b"), configure(&[])]);
    }

    #[test]
    fn a_circle_ends() {
        let steps = own(&[package("a", &["b"]), package("b", &["a"])], false);
        assert_eq!(steps.len(), 2);
    }

    #[test]
    fn a_removal_and_a_missing_package_in_apts_answer_are_findings() {
        let text = "Inst a [1] (2 x [all])\nRemv gone [1]\nInst far (3 Debian [amd64])\nConf a (2 x [all])\n";
        let (steps, findings) = from_apt(text, &[package("a", &[])]);
        assert_eq!(findings.iter().map(|f| f.subject.as_str()).collect::<Vec<_>>(), ["gone", "far"]);
        assert_eq!(steps.len(), 3);
    }
}
