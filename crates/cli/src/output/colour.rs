//! Colour, which only ever repeats what a word says.

use std::io::IsTerminal;

use clap::ValueEnum;

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColourChoice {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A meaning that has a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    /// As it should be.
    Good,
    /// Look at it.
    Warn,
    /// It failed.
    Bad,
    /// Under way.
    Busy,
    /// Of less weight.
    Dim,
    /// Of more weight.
    Strong,
}

impl Paint {
    /// Wraps `text` into the codes of ECMA-48 (SGR).
    pub(crate) fn wrap(self, text: &str) -> String {
        let code = match self {
            Self::Good => "32",
            Self::Warn => "33",
            Self::Bad => "31;1",
            Self::Busy => "36",
            Self::Dim => "2",
            Self::Strong => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Decides for one stream: the option first, then `NO_COLOR` (no-color.org), then `CLICOLOR_FORCE`, then whether
/// it is a terminal that can.
pub(crate) fn wanted(choice: ColourChoice, stream: &impl IsTerminal) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match choice {
        ColourChoice::Always => true,
        ColourChoice::Never => false,
        ColourChoice::Auto => {
            if set("NO_COLOR") {
                return false;
            }
            let forced =
                std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0");
            forced || (stream.is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb"))
        }
    }
}
