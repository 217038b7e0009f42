//! Carrying out migrations on a tree that nobody uses yet.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lifeboat_bank::state::{Step, parse_migration};

use super::KeepError;
use crate::health::run_limited;

/// Longest time of one program.
const LIMIT: Duration = Duration::from_secs(60);

/// Brings the tree from version `from` to `to`, one step of a version at a time: `N-M.json` first, then the program
/// `N-M` with the tree as its working folder and its argument. At least one of them is there for each step.
pub(super) fn migrate(folder: &Path, tree: &Path, from: u32, to: u32) -> Result<(), KeepError> {
    for version in from..to {
        let (from, to) = (version, version + 1);
        let failed = |reason: String| KeepError::Migration { from, to, reason };
        let steps = folder.join(format!("{from}-{to}.json"));
        let program = folder.join(format!("{from}-{to}"));
        let mut found = false;
        match fs::read(&steps) {
            Ok(text) => {
                found = true;
                let migration = parse_migration(&text).map_err(KeepError::state(&steps))?;
                for step in &migration.steps {
                    take(tree, step).map_err(failed)?;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(KeepError::File { doing: "reading", path: steps, source }),
        }
        let executable = |path: &Path| {
            path.metadata()
                .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
        };
        if executable(&program) {
            found = true;
            let mut command = Command::new(&program);
            command.arg(tree).current_dir(tree);
            run_limited(&mut command, LIMIT, &mut || ()).map_err(failed)?;
        }
        if !found {
            return Err(KeepError::NoMigration { from, to });
        }
    }
    Ok(())
}

fn take(tree: &Path, step: &Step) -> Result<(), String> {
    let told = |path: &str, error: &std::io::Error| format!("{path}: {error}");
    match step {
        Step::Rename { from, to } => {
            let Some(old) = inside(tree, from)? else { return Ok(()) };
            if old.symlink_metadata().is_err() {
                return Ok(());
            }
            let parent = to.rsplit_once('/').map(|(parent, _)| parent);
            if let Some(parent) = parent {
                make_folders(tree, parent)?;
            }
            let new = tree.join(to);
            if new.symlink_metadata().is_ok() {
                return Err(format!("{from} cannot become {to}: something has that name"));
            }
            fs::rename(old, new).map_err(|error| told(from, &error))
        }
        Step::Remove { path } => {
            let Some(place) = inside(tree, path)? else { return Ok(()) };
            let Ok(metadata) = place.symlink_metadata() else { return Ok(()) };
            let removed =
                if metadata.is_dir() { fs::remove_dir_all(&place) } else { fs::remove_file(&place) };
            removed.map_err(|error| told(path, &error))
        }
    }
}

/// The place of a path whose folders are all real ones; none if one is missing. A link on the way is refused: it could
/// lead out of the tree.
fn inside(tree: &Path, path: &str) -> Result<Option<PathBuf>, String> {
    let mut place = tree.to_owned();
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        place.push(part);
        if parts.peek().is_none() {
            break;
        }
        match place.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(format!("{path}: {part} is no folder")),
            Err(_) => return Ok(None),
        }
    }
    Ok(Some(place))
}

fn make_folders(tree: &Path, path: &str) -> Result<(), String> {
    let mut place = tree.to_owned();
    for part in path.split('/') {
        place.push(part);
        match place.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(format!("{path}: {part} is no folder")),
            Err(_) => fs::create_dir(&place).map_err(|error| format!("{path}: {error}"))?,
        }
    }
    Ok(())
}
