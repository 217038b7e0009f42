//! Where each value of a policy comes from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub(crate) enum Origin {
    /// No file says it.
    Default,
    /// A line of a file.
    File {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
    },
    /// The plan has it, but which file said it is not known.
    Plan,
    /// A person changed it while the roll went on.
    Changed {
        /// Who.
        who: String,
        /// When, RFC 3339.
        at: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Plan => f.write_str("the plan"),
            Self::Changed { who, at } => write!(f, "changed during the roll by {who} at {at}"),
        }
    }
}

/// Origins of values by the names of their keys; a key that is not there has its default.
pub(crate) type Origins = BTreeMap<String, Origin>;

/// The file that a policy was read from, as it is kept beside a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PolicySource {
    /// The file.
    pub(crate) path: PathBuf,
    /// Line of every value in it, from 1.
    pub(crate) lines: BTreeMap<String, usize>,
}

impl PolicySource {
    /// The origins that this file gives.
    pub(crate) fn origins(&self) -> Origins {
        let path = self.path.display().to_string();
        let of =
            |(key, line): (&String, &usize)| (key.clone(), Origin::File { path: path.clone(), line: *line });
        self.lines.iter().map(of).collect()
    }
}
