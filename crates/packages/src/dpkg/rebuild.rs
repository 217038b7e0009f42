//! Rebuilding the package of an installed version from its files.
//!
//! Owns: the way back where no package file is kept. Promises: mode, owner, time and symbolic links are those on the host;
//! files that are no longer the package's are named before. Does not: restore what a maintainer script made.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::files::md5_of;
use super::status::Stanza;
use crate::command::ask;
use crate::error::{PackageError, at};
use crate::roots::Roots;

/// Fields of the status file that are not of the package.
const NOT_OF_THE_PACKAGE: &[&str] =
    &["status", "conffiles", "config-version", "triggers-pending", "triggers-awaited"];
/// Files beside the list of a package that belong to its control part.
const CONTROL: &[&str] = &[
    "preinst",
    "postinst",
    "prerm",
    "postrm",
    "config",
    "templates",
    "triggers",
    "shlibs",
    "symbols",
    "md5sums",
];

/// The file in dpkg's folder `info`; multi-arch packages carry their architecture in its name.
pub(crate) fn info_file(roots: &Roots, name: &str, arch: &str, kind: &str) -> Option<PathBuf> {
    let folder = roots.host_path("/var/lib/dpkg/info");
    let candidates = [folder.join(format!("{name}:{arch}.{kind}")), folder.join(format!("{name}.{kind}"))];
    candidates.into_iter().find(|path| path.is_file())
}

/// Installed paths of a package, from its list.
pub(crate) fn paths_of(roots: &Roots, name: &str, arch: &str) -> Vec<String> {
    let list = info_file(roots, name, arch, "list").and_then(|path| fs::read_to_string(path).ok());
    list.unwrap_or_default().lines().filter(|line| *line != "/.").map(str::to_owned).collect()
}

/// Files whose content is not the package's; an error when the package cannot be rebuilt at all.
pub(crate) fn changed_files(
    roots: &Roots,
    stanza: &Stanza,
    name: &str,
    arch: &str,
) -> Result<Vec<String>, String> {
    if info_file(roots, name, arch, "list").is_none() {
        return Err("dpkg has no list of its files".to_owned());
    }
    let conffiles = stanza.conffiles();
    let is_conffile = |path: &str| conffiles.iter().any(|(known, _)| known == path);
    let sums = info_file(roots, name, arch, "md5sums").and_then(|path| fs::read_to_string(path).ok());
    let sums = sums.unwrap_or_default();
    let mut changed = Vec::new();
    for (sum, path) in sums.lines().filter_map(|line| line.split_once("  ")) {
        let path = format!("/{path}");
        if !is_conffile(&path) && md5_of(&roots.host_path(&path)).as_deref() != Some(sum) {
            changed.push(path);
        }
    }
    Ok(changed)
}

/// Builds the package of `stanza` in `folder`.
pub(crate) fn rebuild(roots: &Roots, stanza: &Stanza, folder: &Path) -> Result<PathBuf, PackageError> {
    let field = |key: &str| stanza.get(key).unwrap_or_default().to_owned();
    let (name, arch, version) = (field("Package"), field("Architecture"), field("Version"));
    let tree = folder.join(format!("{name}.tree"));
    // What an earlier try left.
    let _ = fs::remove_dir_all(&tree);
    fs::create_dir_all(tree.join("DEBIAN")).map_err(at("creating", &tree))?;
    for path in paths_of(roots, &name, &arch) {
        copy(&roots.host_path(&path), &tree.join(path.trim_start_matches('/')))?;
    }
    write_control(roots, stanza, &tree, &name, &arch)?;
    let file = folder.join(format!("{name}_{}_{arch}.deb", version.replace(':', "%3a")));
    let built = ask(Command::new("dpkg-deb").args(["--build", "-Zgzip"]).arg(&tree).arg(&file));
    // The file counts; what stays of its tree is only waste.
    let _ = fs::remove_dir_all(&tree);
    built?;
    Ok(file)
}

fn write_control(
    roots: &Roots,
    stanza: &Stanza,
    tree: &Path,
    name: &str,
    arch: &str,
) -> Result<(), PackageError> {
    let control = tree.join("DEBIAN");
    fs::set_permissions(&control, fs::Permissions::from_mode(0o755)).map_err(at("opening up", &control))?;
    let mut text = String::new();
    for (key, value) in &stanza.fields {
        if !NOT_OF_THE_PACKAGE.contains(&key.to_lowercase().as_str()) {
            let blank = if value.is_empty() || value.starts_with('\n') { "" } else { " " };
            text.extend([key, ":", blank, value, "\n"]);
        }
    }
    let path = control.join("control");
    fs::write(&path, text).map_err(at("writing", &path))?;
    let there = |path: &&(String, String)| tree.join(path.0.trim_start_matches('/')).exists();
    let conffiles = stanza.conffiles();
    let lines = conffiles.iter().filter(there).flat_map(|(path, _)| [path, "\n"]);
    let conffiles: String = lines.collect();
    if !conffiles.is_empty() {
        let path = control.join("conffiles");
        fs::write(&path, conffiles).map_err(at("writing", &path))?;
    }
    for kind in CONTROL {
        if let Some(path) = info_file(roots, name, arch, kind) {
            let to = control.join(kind);
            fs::copy(&path, &to).map_err(at("copying", &path))?;
            chown(&to, Some(0), Some(0)).map_err(at("giving to root", &to))?;
        }
    }
    Ok(())
}

/// Copies one path; a file that is gone is left out, as its absence is how the host is.
fn copy(from: &Path, to: &Path) -> Result<(), PackageError> {
    let Ok(meta) = fs::symlink_metadata(from) else { return Ok(()) };
    if let Some(above) = to.parent() {
        fs::create_dir_all(above).map_err(at("creating", above))?;
    }
    let kind = meta.file_type();
    if kind.is_dir()
        || (kind.is_symlink() && fs::metadata(from).is_ok_and(|meta| meta.is_dir()) && to.is_dir())
    {
        fs::create_dir_all(to).map_err(at("creating", to))?;
    } else if kind.is_symlink() {
        let target = fs::read_link(from).map_err(at("reading the link", from))?;
        symlink(target, to).map_err(at("linking", to))?;
        return lchown(to, Some(meta.uid()), Some(meta.gid())).map_err(at("giving away", to));
    } else if kind.is_file() {
        fs::copy(from, to).map_err(at("copying", from))?;
        let file = fs::File::options().write(true).open(to).map_err(at("opening", to))?;
        let time = meta.modified().map_err(at("looking at", from))?;
        file.set_modified(time).map_err(at("setting the time of", to))?;
    } else {
        return Ok(());
    }
    chown(to, Some(meta.uid()), Some(meta.gid())).map_err(at("giving away", to))?;
    // After chown(2), which clears the bits of set-user-id.
    fs::set_permissions(to, meta.permissions()).map_err(at("setting the mode of", to))
}
