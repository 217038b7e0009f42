//! Reading the storage that was asked for.

use std::path::Path;

use lifeboat_topology::{
    RealTree, ResolveError, SavedError, Topology, TopologyError, TreeError, read_linux, read_saved,
};

use crate::args::SourceArgs;
use crate::error::{CliError, Kind};

/// The topology of `--root`, with that of every `--from` added.
pub(super) fn open(args: &SourceArgs) -> Result<Topology, CliError> {
    let mut found: Option<Topology> = None;
    if args.from.is_empty() || args.root.is_some() {
        let root = args.root.as_deref().unwrap_or_else(|| Path::new("/"));
        if !root.is_dir() {
            let what = format!("{} is no folder", root.display());
            return Err(CliError::new(Kind::NotFound, what).remedy("give a single file with --from"));
        }
        let linux = read_linux(&RealTree::new(root)).map_err(|error| not_linux(root, error))?;
        found = Some(linux);
    }
    for path in &args.from {
        let more = read_saved(path).map_err(not_saved)?;
        match &mut found {
            Some(topology) => topology.add(more),
            None => found = Some(more),
        }
    }
    found.ok_or_else(|| CliError::usage("there is nothing to look at"))
}

fn not_linux(root: &Path, error: TopologyError) -> CliError {
    CliError::new(Kind::Failed, format!("reading storage under {}", root.display()))
        .because(error)
        .remedy("the folder must hold sys/ as a running Linux shows it")
}

fn not_saved(error: SavedError) -> CliError {
    let missing = matches!(&error, SavedError::Read { source: TreeError::NotFound, .. });
    let kind = if missing { Kind::NotFound } else { Kind::Failed };
    let remedy = if missing {
        "check the path"
    } else {
        "see which files are known: lifeboat storage topology --help"
    };
    CliError::new(kind, error.to_string()).because(error).remedy(remedy)
}

/// A name that is not found or fits several.
pub(super) fn unresolved(error: &ResolveError) -> CliError {
    let (kind, remedy) = match error {
        ResolveError::NotAName { .. } => (Kind::Usage, "examples: lifeboat storage resolve --help"),
        ResolveError::Ambiguous { .. } => (Kind::NotFound, "name one of them by its identity"),
        ResolveError::NoPartition { .. } => {
            (Kind::NotFound, "see what is on the disk: lifeboat storage topology --tree")
        }
        _ => (Kind::NotFound, "see what this host has: lifeboat storage topology"),
    };
    CliError::new(kind, error.to_string()).remedy(remedy)
}
