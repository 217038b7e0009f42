//! Whether a bank can be trusted: by its structure, and by its content.

use serde::Serialize;

use crate::esx::EsxBank;
use crate::esx::content::{BankContent, Depth, Look, Role};
use crate::fat::FatSeverity;

/// The file system of a bank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Structure {
    /// Nothing is damaged.
    Sound,
    /// Something is.
    Damaged {
        /// The first thing, as a sentence.
        why: String,
    },
}

/// The files that a bank needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Content {
    /// Every file that is needed is there and whole.
    Whole,
    /// All are there by name and size; nobody looked into them.
    NotLooked,
    /// Something is missing or damaged.
    Damaged {
        /// The first thing, as a sentence.
        why: String,
    },
}

/// What is wrong with a bank, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BankDamage {
    /// Its file system.
    pub structure: Structure,
    /// Its files.
    pub content: Content,
}

impl BankDamage {
    /// Judges a bank.
    #[must_use]
    pub fn of(bank: &EsxBank, content: &BankContent, depth: Depth) -> Self {
        let broken = content.fat.findings.iter().find(|finding| finding.severity != FatSeverity::Innocent);
        let structure = match broken {
            Some(finding) => Structure::Damaged { why: finding.text.clone() },
            None if bank.uuid.is_none() => {
                Structure::Damaged { why: "the second sector lacks the mark of a bank".to_owned() }
            }
            None => Structure::Sound,
        };
        let content = match first_fault(bank, content) {
            Some(why) => Content::Damaged { why },
            None if depth == Depth::Structure => Content::NotLooked,
            None => Content::Whole,
        };
        Self { structure, content }
    }

    /// Whether nothing was found, as far as was looked.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.structure == Structure::Sound && !matches!(self.content, Content::Damaged { .. })
    }

    /// Whether every file can be read and is right, whatever the rest of the file system is like.
    #[must_use]
    pub fn can_be_copied(&self) -> bool {
        !matches!(self.content, Content::Damaged { .. })
    }
}

fn first_fault(bank: &EsxBank, content: &BankContent) -> Option<String> {
    let Some(cfg) = &bank.cfg else {
        return Some(format!("it {}", bank.cfg_error.as_deref().unwrap_or("has no boot.cfg")));
    };
    if let Some(refused) = &cfg.refused {
        return Some(format!("`{}` in boot.cfg is not a number", refused.key));
    }
    if cfg.values.kernel.is_empty() {
        return Some("boot.cfg names no kernel".to_owned());
    }
    if cfg.values.modules.is_empty() {
        return Some("boot.cfg names no module".to_owned());
    }
    if let Some(file) = content.unnamed().next() {
        return Some(format!("{} looks like a module, and boot.cfg does not name it", file.path));
    }
    if let Some(missing) = content.missing.first() {
        return Some(format!("{} is missing", missing.name));
    }
    content.belonging().find_map(|file| {
        let needed = matches!(file.role, Role::Kernel | Role::Module | Role::State);
        match &file.look {
            Look::Broken { why } => Some(format!("{}: {why}", file.path)),
            Look::NotLooked | Look::Whole(_) if needed && file.len == 0 => {
                Some(format!("{} has no content", file.path))
            }
            Look::NotLooked | Look::Whole(_) if !content.owns(file) => {
                Some(format!("{} shares clusters with another file, or its chain is damaged", file.path))
            }
            Look::NotLooked | Look::Whole(_) => None,
        }
    })
}
