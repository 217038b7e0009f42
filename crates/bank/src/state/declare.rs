//! What a release says of the state it keeps, and the declarative steps from one version to the next.

use serde::Deserialize;

use super::{StateError, check_path};

/// The schema of declarations and migrations.
pub const DECLARATION_SCHEMA: u32 = 1;

/// `/etc/lifeboat/state.json` in a root image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Declaration {
    /// [`DECLARATION_SCHEMA`].
    pub schema: u32,
    /// Version of the state that this release works with; from 1 on.
    pub version: u32,
    /// Directories that are kept, as absolute paths, for example `/etc/host`. They exist in the root image.
    pub keep: Vec<String>,
}

/// `/etc/lifeboat/migrations/N-M.json` in a root image, M = N + 1.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Migration {
    /// [`DECLARATION_SCHEMA`].
    pub schema: u32,
    /// Carried out in this order.
    #[serde(default)]
    pub steps: Vec<Step>,
}

/// One step. Paths are relative to the tree, for example `etc/host/motd`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Gives something another name. Nothing there under the old name is no error; something under the new one is.
    Rename {
        /// The old name.
        from: String,
        /// The new name; its directories are made.
        to: String,
    },
    /// Takes a file, a link, or a directory with all that is in it away. Nothing there is no error.
    Remove {
        /// What.
        path: String,
    },
}

fn json<'a, T: Deserialize<'a>>(text: &'a [u8], what: &'static str) -> Result<T, StateError> {
    #[derive(Deserialize)]
    struct Head {
        schema: u32,
    }
    let wrong = |source| StateError::Json { what, source };
    let head: Head = serde_json::from_slice(text).map_err(wrong)?;
    if head.schema != DECLARATION_SCHEMA {
        return Err(StateError::Schema { what, found: head.schema });
    }
    serde_json::from_slice(text).map_err(wrong)
}

/// Reads a declaration.
pub fn parse_declaration(text: &[u8]) -> Result<Declaration, StateError> {
    let declaration: Declaration = json(text, "the declaration of the saved state (state.json)")?;
    if declaration.version == 0 {
        return Err(StateError::Damaged {
            reason: "state.json has version 0; versions begin at 1".to_owned(),
        });
    }
    for keep in &declaration.keep {
        let inside = keep.strip_prefix('/');
        let path = || keep.clone();
        check_path(
            inside.ok_or_else(|| StateError::Path { path: path(), reason: "it is not absolute" })?.as_bytes(),
        )?;
    }
    for (index, one) in declaration.keep.iter().enumerate() {
        let within = |other: &String| one == other || one.starts_with(&format!("{other}/"));
        if declaration.keep.iter().enumerate().any(|(at, other)| at != index && within(other)) {
            return Err(StateError::Path {
                path: one.clone(),
                reason: "it lies in another one that is kept",
            });
        }
    }
    Ok(declaration)
}

/// Reads the steps of a migration.
pub fn parse_migration(text: &[u8]) -> Result<Migration, StateError> {
    let migration: Migration = json(text, "a migration of the saved state")?;
    for step in &migration.steps {
        match step {
            Step::Rename { from, to } => {
                check_path(from.as_bytes())?;
                check_path(to.as_bytes())?;
            }
            Step::Remove { path } => check_path(path.as_bytes())?,
        }
    }
    Ok(migration)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_declaration_names_directories_that_do_not_overlap() {
        let good =
            parse_declaration(br#"{"schema":1,"version":2,"keep":["/etc/host","/etc/hosts2"]}"#).unwrap();
        assert_eq!((good.version, good.keep.len()), (2, 2));
        for wrong in [
            r#"{"schema":2,"version":2,"keep":[]}"#,
            r#"{"schema":1,"version":0,"keep":[]}"#,
            r#"{"schema":1,"version":1,"keep":["etc"]}"#,
            r#"{"schema":1,"version":1,"keep":["/"]}"#,
            r#"{"schema":1,"version":1,"keep":["/etc/../root"]}"#,
            r#"{"schema":1,"version":1,"keep":["/etc","/etc/host"]}"#,
            r#"{"schema":1,"version":1,"keep":["/etc","/etc"]}"#,
            "",
        ] {
            assert!(parse_declaration(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_migration_has_steps_that_stay_in_the_tree() {
        let text =
            br#"{"schema":1,"steps":[{"rename":{"from":"etc/a","to":"etc/b"}},{"remove":{"path":"etc/c"}}]}"#;
        assert_eq!(parse_migration(text).unwrap().steps.len(), 2);
        for wrong in [
            r#"{"schema":1,"steps":[{"rename":{"from":"/etc/a","to":"b"}}]}"#,
            r#"{"schema":1,"steps":[{"remove":{"path":".."}}]}"#,
            r#"{"schema":1,"steps":[{"explode":{}}]}"#,
        ] {
            assert!(parse_migration(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
