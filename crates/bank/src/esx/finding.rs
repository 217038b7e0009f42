//! What was noticed about a disk with ESXi banks, what it means for the next upgrade, and which command mends it.

use serde::Serialize;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EsxSeverity {
    /// Nothing is wrong with it; worth knowing.
    Note,
    /// Worth a look: the way back may fail, or somebody has to decide something first.
    Warning,
    /// Something does not boot, content is lost, or the next upgrade fails.
    Error,
}

/// The command that mends a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Remedy {
    /// Foreign files are removed, and dirty bits cleared.
    Clean,
    /// A bank is made anew from the other.
    Rebuild {
        /// The bank that is made anew.
        bank: char,
        /// The bank that is copied; never written.
        from: char,
    },
    /// The bank is made the one that boots next.
    SetNext {
        /// That bank.
        bank: char,
    },
}

impl Remedy {
    /// The command as it is typed, for the disk `disk`.
    #[must_use]
    pub fn command(&self, disk: &str) -> String {
        match self {
            Self::Clean => format!("lifeboat bank clean {disk}"),
            Self::Rebuild { bank, from } => format!("lifeboat bank rebuild {disk} {bank} --from {from}"),
            Self::SetNext { bank } => format!("lifeboat bank set-next {disk} {bank}"),
        }
    }
}

/// Something a person should know about a disk with ESXi banks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EsxFinding {
    /// Stable word for programs, for example `esx-file-foreign`.
    pub code: &'static str,
    /// Its weight.
    pub severity: EsxSeverity,
    /// The bank; none when the whole disk is meant.
    pub bank: Option<char>,
    /// The file, from the root of the bank.
    pub path: Option<String>,
    /// What was seen, and where.
    pub text: String,
    /// What it means for the next upgrade of this host.
    pub next_upgrade: String,
    /// The command that mends it, if there is one.
    pub remedy: Option<Remedy>,
}

impl EsxFinding {
    /// A finding about the whole disk, without a remedy.
    #[must_use]
    pub fn new(
        code: &'static str,
        severity: EsxSeverity,
        text: impl Into<String>,
        next_upgrade: impl Into<String>,
    ) -> Self {
        let (text, next_upgrade) = (text.into(), next_upgrade.into());
        Self { code, severity, bank: None, path: None, text, next_upgrade, remedy: None }
    }

    /// The same, about a bank.
    #[must_use]
    pub fn on(mut self, bank: char) -> Self {
        self.bank = Some(bank);
        self
    }

    /// The same, about a file.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// The same, with a remedy, if there is one.
    #[must_use]
    pub fn with(mut self, remedy: Option<Remedy>) -> Self {
        self.remedy = remedy;
        self
    }
}
