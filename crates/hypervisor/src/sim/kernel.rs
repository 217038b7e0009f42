//! The "kernel" of a simulated release: a small text that says what a boot of it does.
//!
//! ```text
//! lifeboat-sim-kernel
//! behaviour=good
//! except=h04:panic
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use lifeboat_model::HostId;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// First line of the text.
const MAGIC: &str = "lifeboat-sim-kernel";

/// What a boot does.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// It comes up and passes its health checks.
    #[default]
    Good,
    /// The kernel panics and, by `panic=`, reboots.
    Panic,
    /// It stops without a word; only a watchdog ends it.
    Hang,
    /// It comes up and fails its health checks.
    Unhealthy,
}

impl Behaviour {
    /// The word in the text.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Panic => "panic",
            Self::Hang => "hang",
            Self::Unhealthy => "unhealthy",
        }
    }
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Why a text is no simulated kernel.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KernelError {
    /// Not a text, or its first line is another one.
    #[error("the kernel is none of a simulated release: its first line must be {MAGIC:?}")]
    Magic,
    /// A word that is no behaviour.
    #[error("{word:?} is no behaviour; there are good, panic, hang and unhealthy")]
    Behaviour {
        /// The word.
        word: String,
    },
    /// A line of another form.
    #[error("line {line} of the simulated kernel is not understood: {text:?}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// Its text.
        text: String,
    },
}

impl FromStr for Behaviour {
    type Err = KernelError;

    fn from_str(word: &str) -> Result<Self, KernelError> {
        let all = [Self::Good, Self::Panic, Self::Hang, Self::Unhealthy];
        let found = all.into_iter().find(|behaviour| behaviour.word() == word);
        found.ok_or_else(|| KernelError::Behaviour { word: word.to_owned() })
    }
}

/// What boots of one release do.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimKernel {
    /// On every host that is not named below.
    pub behaviour: Behaviour,
    /// On single hosts.
    pub except: BTreeMap<HostId, Behaviour>,
}

impl SimKernel {
    /// The same on every host.
    #[must_use]
    pub fn always(behaviour: Behaviour) -> Self {
        Self { behaviour, except: BTreeMap::new() }
    }

    /// Another behaviour on one host.
    #[must_use]
    pub fn except(mut self, host: HostId, behaviour: Behaviour) -> Self {
        self.except.insert(host, behaviour);
        self
    }

    /// What a boot on `host` does.
    #[must_use]
    pub fn on(&self, host: &HostId) -> Behaviour {
        self.except.get(host).copied().unwrap_or(self.behaviour)
    }

    /// Reads the text from the bytes of a kernel; NUL bytes of padding behind it are ignored.
    pub fn parse(bytes: &[u8]) -> Result<Self, KernelError> {
        let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        let text =
            std::str::from_utf8(bytes.get(..end).unwrap_or_default()).map_err(|_| KernelError::Magic)?;
        let mut lines = text.lines().zip(1..);
        if lines.next().map(|(line, _)| line) != Some(MAGIC) {
            return Err(KernelError::Magic);
        }
        let mut kernel = Self::default();
        for (text, line) in lines {
            let wrong = || KernelError::Line { line, text: text.to_owned() };
            match text.split_once('=') {
                Some(("behaviour", word)) => kernel.behaviour = word.parse()?,
                Some(("except", pair)) => {
                    let (host, word) = pair.rsplit_once(':').ok_or_else(wrong)?;
                    kernel.except.insert(HostId::new(host).map_err(|_| wrong())?, word.parse()?);
                }
                Some((_, _)) | None => return Err(wrong()),
            }
        }
        Ok(kernel)
    }
}

impl fmt::Display for SimKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{MAGIC}\nbehaviour={}", self.behaviour)?;
        self.except.iter().try_for_each(|(host, behaviour)| writeln!(f, "except={host}:{behaviour}"))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_kernel_says_what_it_does_on_each_host() {
        let h4 = HostId::new("h04").unwrap();
        let kernel = SimKernel::always(Behaviour::Good).except(h4.clone(), Behaviour::Panic);
        let mut bytes = kernel.to_string().into_bytes();
        bytes.extend([0; 100]);
        let read = SimKernel::parse(&bytes).unwrap();
        assert_eq!(read, kernel);
        assert_eq!(read.on(&h4), Behaviour::Panic);
        assert_eq!(read.on(&HostId::new("h05").unwrap()), Behaviour::Good);
    }

    #[test]
    fn other_bytes_are_no_kernel() {
        for bytes in [&b""[..], b"MZ\0\0", b"lifeboat-sim-kernel2\n", &[0xff; 64]] {
            assert_eq!(SimKernel::parse(bytes), Err(KernelError::Magic));
        }
        assert!(SimKernel::parse(b"lifeboat-sim-kernel\nbehaviour=strange\n").is_err());
        assert!(SimKernel::parse(b"lifeboat-sim-kernel\nexcept=h1\n").is_err());
        assert!(SimKernel::parse(b"lifeboat-sim-kernel\nother\n").is_err());
    }
}
