//! A policy file, read and judged.

use std::path::Path;

use lifeboat_model::Policy;

use super::origin::{Origins, PolicySource};
use super::problem::{Problem, error_of};
use super::read::Reading;
use super::sense;
use crate::error::{CliError, file_error};
use crate::files::read_text;

/// A policy that can be used, and where its values come from.
#[derive(Debug, Clone)]
pub(crate) struct LoadedPolicy {
    /// The policy.
    pub(crate) policy: Policy,
    /// Origins of the values that the file has; every other value has its default.
    pub(crate) origins: Origins,
    /// The file and its lines, to be kept beside a plan.
    pub(crate) source: PolicySource,
}

/// Largest policy file that is read.
const LIMIT: u64 = 1 << 20;

/// Reads a policy file.
///
/// # Errors
/// Every mistake of the file at once, with its place; or why the file cannot be read.
pub(crate) fn load(path: &Path) -> Result<LoadedPolicy, CliError> {
    let (problems, loaded) = look(path)?;
    if problems.is_empty() { Ok(loaded) } else { Err(error_of(path, &problems)) }
}

/// Every mistake of a file, and the error that they make.
pub(crate) fn problems_of(path: &Path) -> Result<(Vec<Problem>, Option<CliError>), CliError> {
    let (problems, _) = look(path)?;
    let error = (!problems.is_empty()).then(|| error_of(path, &problems));
    Ok((problems, error))
}

fn look(path: &Path) -> Result<(Vec<Problem>, LoadedPolicy), CliError> {
    let text = read_text(path, "the policy", LIMIT)?;
    let mut reading = Reading::of(&path.display().to_string(), &text);
    sense::judge(&mut reading);
    let lines = reading.lines();
    let full = path.canonicalize().map_err(|source| file_error("looking at", path, source))?;
    let source = PolicySource { path: full, lines };
    let origins = PolicySource { path: path.to_owned(), lines: source.lines.clone() }.origins();
    let mut problems = reading.problems;
    problems.sort_by_key(|problem| (problem.line, problem.column));
    Ok((problems, LoadedPolicy { policy: reading.policy, origins, source }))
}
