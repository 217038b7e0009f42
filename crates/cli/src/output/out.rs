//! Standard output in the form that was asked for, and the one place where errors are printed.
//!
//! Promises: JSON carries its schema as the first field; a reader that closes the pipe ends output quietly.
//! Does not: write progress (that is `progress`).

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use serde::Serialize;

use super::colour::{ColourChoice, Paint, wanted};
use super::table::Table;
use super::wrap::wrapped;
use crate::error::{CliError, Kind};

/// Form of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// One JSON document.
    Json,
    /// One JSON object per line.
    Jsonl,
    /// Names only, one per line.
    Name,
}

impl Format {
    /// Whether a program reads it.
    pub(crate) fn is_json(self) -> bool {
        match self {
            Self::Json | Self::Jsonl => true,
            Self::Table | Self::Name => false,
        }
    }
}

/// Where results go.
#[derive(Debug, Clone)]
pub(crate) struct Out {
    /// The form.
    pub(crate) format: Format,
    /// Whether standard output has colour.
    pub(crate) colour: bool,
    error_colour: bool,
}

impl Out {
    pub(crate) fn new(format: Format, choice: ColourChoice) -> Self {
        let json = format.is_json();
        Self {
            format,
            colour: !json && wanted(choice, &io::stdout()),
            error_colour: wanted(choice, &io::stderr()),
        }
    }

    /// Columns of the terminal; none when standard output is not one.
    pub(crate) fn width() -> Option<usize> {
        let stdout = io::stdout();
        if !stdout.is_terminal() {
            return None;
        }
        let size = rustix::termios::tcgetwinsize(&stdout).ok()?;
        (size.ws_col >= 20).then_some(usize::from(size.ws_col))
    }

    /// Lines of the terminal; none when standard output is not one.
    pub(crate) fn height() -> Option<usize> {
        let stdout = io::stdout();
        if !stdout.is_terminal() {
            return None;
        }
        let size = rustix::termios::tcgetwinsize(&stdout).ok()?;
        (size.ws_row >= 8).then_some(usize::from(size.ws_row))
    }

    /// A word in its colour, or as it is.
    pub(crate) fn paint(&self, text: &str, paint: Paint) -> String {
        if self.colour { paint.wrap(text) } else { text.to_owned() }
    }

    /// A table as text.
    pub(crate) fn render(&self, table: &Table) -> String {
        table.render(Self::width(), self.colour)
    }

    /// A table as text in which nothing is shortened: what is too long for its column goes on below.
    pub(crate) fn wrap(&self, table: &Table) -> String {
        wrapped(table, Self::width()).render(Self::width(), self.colour)
    }

    /// Writes text as it is.
    #[expect(clippy::unused_self, reason = "a caller needs the output to write")]
    pub(crate) fn text(&self, text: &str) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(CliError::new(Kind::Failed, "writing to standard output").because(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// One result: `people` gives the text for people, `name` the name.
    pub(crate) fn object<T: Serialize>(
        &self,
        schema: &str,
        value: &T,
        name: &str,
        people: impl FnOnce() -> String,
    ) -> Result<(), CliError> {
        match self.format {
            Format::Table => self.text(&people()),
            Format::Name => self.text(&format!("{name}\n")),
            Format::Json => self.text(&with_schema(schema, value, true)?),
            Format::Jsonl => self.text(&with_schema(schema, value, false)?),
        }
    }

    /// Several results of one kind: `lifeboat.KIND-list/1` in JSON, each `lifeboat.KIND/1` in JSON lines.
    pub(crate) fn list<T: Serialize>(
        &self,
        kind: &str,
        items: &[T],
        name: impl Fn(&T) -> String,
        people: impl FnOnce() -> String,
    ) -> Result<(), CliError> {
        match self.format {
            Format::Table => self.text(&people()),
            Format::Name => self.text(&items.iter().map(|item| name(item) + "\n").collect::<String>()),
            Format::Json => {
                #[derive(Serialize)]
                struct List<'a, T> {
                    items: &'a [T],
                }
                self.text(&with_schema(&format!("{kind}-list"), &List { items }, true)?)
            }
            Format::Jsonl => items.iter().try_for_each(|item| self.text(&with_schema(kind, item, false)?)),
        }
    }

    /// A line for people on standard error: what goes on, not a result.
    #[expect(clippy::unused_self, reason = "a caller needs the output to speak")]
    pub(crate) fn say(&self, text: &str) {
        // Nobody is there to be told that standard error is closed.
        drop(writeln!(io::stderr().lock(), "{text}"));
    }

    /// Prints a failure and gives its exit code.
    pub(crate) fn error(&self, error: &CliError) -> ExitCode {
        let head = if self.error_colour { Paint::Bad.wrap("lifeboat:") } else { "lifeboat:".to_owned() };
        self.say(&format!("{head} {}", clean(&error.line())));
        if let Some(remedy) = error.remedy_text() {
            self.say(&format!("remedy: {}", clean(remedy)));
        }
        if !error.is_told() {
            self.error_json(error);
        }
        ExitCode::from(error.kind().code())
    }

    /// The same failure as `lifeboat.error/1` on standard output, if a program reads it.
    pub(crate) fn error_json(&self, error: &CliError) {
        #[derive(Serialize)]
        struct Form {
            exit: u8,
            kind: &'static str,
            meaning: &'static str,
            message: String,
            causes: Vec<String>,
            remedy: Option<String>,
        }
        if !self.format.is_json() {
            return;
        }
        let form = Form {
            exit: error.kind().code(),
            kind: error.kind().word(),
            meaning: error.kind().meaning(),
            message: error.to_string(),
            causes: error.causes(),
            remedy: error.remedy_text().map(str::to_owned),
        };
        if let Ok(text) = with_schema("error", &form, self.format == Format::Json) {
            // The exit code tells the same when standard output is gone.
            drop(self.text(&text));
        }
    }
}

/// Text from outside must not move the cursor; lines and tabs stay.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// JSON with `"schema": "lifeboat.NAME/1"` as the first field, and a newline. `value` must be a map.
pub(crate) fn with_schema<T: Serialize>(name: &str, value: &T, pretty: bool) -> Result<String, CliError> {
    let bug = |cause| CliError::new(Kind::Bug, format!("writing {name} as JSON")).because(cause);
    let body = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    let body = body.map_err(bug)?;
    let rest = body.strip_prefix('{').unwrap_or(&body);
    let gap = if pretty { "\n  " } else { "" };
    let space = if pretty { " " } else { "" };
    let comma = if rest.trim_start() == "}" { "" } else { "," };
    Ok(format!("{{{gap}\"schema\":{space}\"lifeboat.{name}/1\"{comma}{rest}\n"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn json_names_its_schema_first_and_stays_json() {
        #[derive(Serialize)]
        struct Empty {}
        for pretty in [true, false] {
            for text in [
                with_schema("x", &std::collections::BTreeMap::from([("a", 1)]), pretty).unwrap(),
                with_schema("x", &Empty {}, pretty).unwrap(),
            ] {
                let value: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(value["schema"], "lifeboat.x/1");
                assert!(text.trim_start_matches(['{', '\n', ' ']).starts_with("\"schema\""), "{text}");
            }
        }
    }
}
