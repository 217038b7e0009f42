//! Conditions: what a simulated pool is like beyond hosts, guests and features.
//!
//! Owns: the words of the conditions and their text form. Promises: what is written is read again as the same; a wrong
//! text is refused with the form of its kind. Does not: strike by itself; `conditions.rs` keeps them, and effects and
//! the survey ask for them.

use std::fmt;
use std::str::FromStr;

use lifeboat_model::{Bank, GuestId, HostId, TaskKind};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A place of a host that is written during an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SimPlace {
    /// Where the release lies until it is installed.
    Staging,
    /// The volumes of a bank.
    Bank(Bank),
    /// Where the host keeps its own state.
    State,
}

impl SimPlace {
    const WORDS: &str = "staging, bank-A, bank-B, state";

    fn word(self) -> &'static str {
        match self {
            Self::Staging => "staging",
            Self::Bank(Bank::A) => "bank-A",
            Self::Bank(Bank::B) => "bank-B",
            Self::State => "state",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Staging, Self::Bank(Bank::A), Self::Bank(Bank::B), Self::State]
            .into_iter()
            .find(|place| place.word().eq_ignore_ascii_case(word))
    }
}

impl fmt::Display for SimPlace {
    /// The name in a survey.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Staging => "staging",
            Self::Bank(Bank::A) => "bank A",
            Self::Bank(Bank::B) => "bank B",
            Self::State => "state",
        })
    }
}

/// Something that a host or a guest has or is like. Its text is the form of the command line and of `sim.json`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Condition {
    /// About a host.
    Host(HostId, HostCondition),
    /// About a guest.
    Guest(GuestId, GuestCondition),
    /// `task:backup|guest|host|roll:WORDS`: something goes on in the pool that this controller did not begin.
    Task {
        /// What kind.
        kind: SimTask,
        /// What it does to what.
        what: String,
    },
    /// `admission:HOSTS`: admission control wants the loss of so many hosts to be covered.
    Admission {
        /// How many.
        hosts: u32,
    },
}

/// Kind of a task, in the order of its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SimTask {
    /// A backup.
    Backup,
    /// Work on a guest.
    Guest,
    /// Work on a host by somebody else.
    Host,
    /// A roll of another tool.
    Roll,
}

impl SimTask {
    const ALL: [Self; 4] = [Self::Backup, Self::Guest, Self::Host, Self::Roll];

    fn word(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Guest => "guest",
            Self::Host => "host",
            Self::Roll => "roll",
        }
    }

    /// The word of a survey.
    pub(super) fn kind(self) -> TaskKind {
        match self {
            Self::Backup => TaskKind::Backup,
            Self::Guest => TaskKind::Guest,
            Self::Host => TaskKind::Host,
            Self::Roll => TaskKind::Roll,
        }
    }
}

/// What a host can be like.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostCondition {
    /// `pending-reboot:HOST:REASON`: it refuses releases until it was rebooted (I-03).
    PendingReboot {
        /// What was changed since it booted.
        reason: String,
    },
    /// `clock:HOST:OFFSET_MS`: its clock is wrong by so many milliseconds.
    Clock {
        /// Its clock less the pool's.
        offset_ms: i64,
    },
    /// `space:HOST:PLACE:BYTES`: so many bytes are free there; what does not fit is cut (I-04).
    Space {
        /// Where.
        place: SimPlace,
        /// Bytes free.
        free: u64,
    },
    /// `foreign-file:HOST:BANK:PATH`: the bank has a file that its manifest does not name; an install into it breaks
    /// off (I-05).
    ForeignFile {
        /// The bank.
        bank: Bank,
        /// Path within it.
        path: String,
    },
    /// `ghost:HOST:BANK`: the bank has an entry that is neither file nor directory and cannot be cleared (I-09).
    Ghost {
        /// The bank.
        bank: Bank,
    },
    /// `damage:HOST:BANK:WORDS`: the bank is not whole.
    Damage {
        /// The bank.
        bank: Bank,
        /// What is wrong with it.
        words: String,
    },
    /// `loader:HOST:BANK:VERSION`: the bank has this loader instead of the pool's.
    Loader {
        /// The bank.
        bank: Bank,
        /// Name and version.
        version: String,
    },
    /// `offers:HOST:CAPABILITY`: guests find this on the host.
    Offers {
        /// For example `cpu:avx512f`.
        capability: String,
    },
    /// `gains:HOST:CAPABILITY`: it offers this too when it runs a newer release than the pool's first.
    Gains {
        /// For example `cpu:amx`.
        capability: String,
    },
    /// `drops:HOST:CAPABILITY`: it does not offer this any more when it runs a newer release than the pool's first.
    Drops {
        /// For example `cpu:mpx`.
        capability: String,
    },
    /// `network-down:HOST:NET`: it has the network, but no traffic on it.
    NetworkDown {
        /// The network.
        network: String,
    },
    /// `no-network:HOST:NET`: it does not have a network that all others have.
    NoNetwork {
        /// The network.
        network: String,
    },
    /// `storage-paths:HOST:NAME:ALIVE/PATHS`: so many of the paths to a storage work.
    StoragePaths {
        /// The storage.
        storage: String,
        /// Paths that work.
        alive: u32,
        /// Paths that there should be.
        paths: u32,
    },
    /// `unguarded:HOST`: its agent writes and boots whatever it is told, also over its last good bank (I-25). Only
    /// in a pool without disks: with disks the guards are in what writes them.
    Unguarded,
    /// `unreachable:HOST`: somebody cuts its power. Taken back, it boots.
    Unreachable,
    /// `maintenance:HOST`: somebody put it into maintenance.
    Maintenance,
    /// `runs-newer:HOST`: somebody upgraded it by hand to the newest release that is offered (I-11). Not taken back.
    RunsNewer,
}

/// What a guest can be like.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum GuestCondition {
    /// `media:GUEST:IMAGE`: a CD image is connected; it cannot be moved.
    Media {
        /// The image.
        image: String,
    },
    /// `device:GUEST:NAME`: it has a device of its host for itself; it cannot be moved.
    Device {
        /// The device.
        device: String,
    },
    /// `local-disk:GUEST:NAME`: it has a disk that only its host has; it cannot be moved.
    LocalDisk {
        /// The disk.
        disk: String,
    },
    /// `auto-start:GUEST`: it starts with its host while the pool's automatism is on.
    AutoStart,
    /// `fault-tolerant:GUEST`: it has a second copy in lock step.
    FaultTolerant,
    /// `needs:GUEST:CAPABILITY`: it runs only where this is offered.
    Needs {
        /// For example `net:prod` or `cpu:avx512f`.
        capability: String,
    },
}

/// The forms, for messages and help.
pub const CONDITION_FORMS: [&str; 27] = [
    "pending-reboot:HOST:REASON",
    "clock:HOST:OFFSET_MS",
    "space:HOST:PLACE:BYTES",
    "foreign-file:HOST:BANK:PATH",
    "ghost:HOST:BANK",
    "damage:HOST:BANK:WORDS",
    "loader:HOST:BANK:VERSION",
    "offers:HOST:CAPABILITY",
    "gains:HOST:CAPABILITY",
    "drops:HOST:CAPABILITY",
    "network-down:HOST:NET",
    "no-network:HOST:NET",
    "storage-paths:HOST:NAME:ALIVE/PATHS",
    "unguarded:HOST",
    "unreachable:HOST",
    "maintenance:HOST",
    "runs-newer:HOST",
    "media:GUEST:IMAGE",
    "device:GUEST:NAME",
    "local-disk:GUEST:NAME",
    "auto-start:GUEST",
    "fault-tolerant:GUEST",
    "needs:GUEST:CAPABILITY",
    "task:backup:WORDS",
    "task:guest:WORDS",
    "task:host|roll:WORDS",
    "admission:HOSTS",
];

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a condition: {reason}")]
pub struct ConditionError {
    /// The text.
    pub text: String,
    /// What is wrong with it, and how it should be.
    pub reason: String,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task { kind, what } => write!(f, "task:{}:{what}", kind.word()),
            Self::Admission { hosts } => write!(f, "admission:{hosts}"),
            Self::Host(host, condition) => host_text(f, host, condition),
            Self::Guest(guest, condition) => match condition {
                GuestCondition::Media { image } => write!(f, "media:{guest}:{image}"),
                GuestCondition::Device { device } => write!(f, "device:{guest}:{device}"),
                GuestCondition::LocalDisk { disk } => write!(f, "local-disk:{guest}:{disk}"),
                GuestCondition::AutoStart => write!(f, "auto-start:{guest}"),
                GuestCondition::FaultTolerant => write!(f, "fault-tolerant:{guest}"),
                GuestCondition::Needs { capability } => write!(f, "needs:{guest}:{capability}"),
            },
        }
    }
}

fn host_text(f: &mut fmt::Formatter<'_>, host: &HostId, condition: &HostCondition) -> fmt::Result {
    use HostCondition as C;
    match condition {
        C::PendingReboot { reason } => write!(f, "pending-reboot:{host}:{reason}"),
        C::Clock { offset_ms } => write!(f, "clock:{host}:{offset_ms}"),
        C::Space { place, free } => write!(f, "space:{host}:{}:{free}", place.word()),
        C::ForeignFile { bank, path } => write!(f, "foreign-file:{host}:{bank}:{path}"),
        C::Ghost { bank } => write!(f, "ghost:{host}:{bank}"),
        C::Damage { bank, words } => write!(f, "damage:{host}:{bank}:{words}"),
        C::Loader { bank, version } => write!(f, "loader:{host}:{bank}:{version}"),
        C::Offers { capability } => write!(f, "offers:{host}:{capability}"),
        C::Gains { capability } => write!(f, "gains:{host}:{capability}"),
        C::Drops { capability } => write!(f, "drops:{host}:{capability}"),
        C::NetworkDown { network } => write!(f, "network-down:{host}:{network}"),
        C::NoNetwork { network } => write!(f, "no-network:{host}:{network}"),
        C::StoragePaths { storage, alive, paths } => {
            write!(f, "storage-paths:{host}:{storage}:{alive}/{paths}")
        }
        C::Unguarded => write!(f, "unguarded:{host}"),
        C::Unreachable => write!(f, "unreachable:{host}"),
        C::Maintenance => write!(f, "maintenance:{host}"),
        C::RunsNewer => write!(f, "runs-newer:{host}"),
    }
}

/// Longest text of a condition, in bytes.
const LONGEST: usize = 512;

/// The parts of a text, taken from the front. Names in simulated pools have no colon.
struct Parts<'a> {
    text: &'a str,
    rest: Option<&'a str>,
    form: String,
}

impl<'a> Parts<'a> {
    fn new(text: &'a str) -> (&'a str, Self) {
        let (word, rest) = match text.split_once(':') {
            Some((word, rest)) => (word, Some(rest)),
            None => (text, None),
        };
        let forms: Vec<&str> =
            CONDITION_FORMS.into_iter().filter(|form| form.split(':').next() == Some(word)).collect();
        let form = if forms.is_empty() {
            format!("conditions are {}", CONDITION_FORMS.join(", "))
        } else {
            format!("its form is {}", forms.join(" or "))
        };
        (word, Self { text, rest, form })
    }

    fn wrong(&self, reason: impl fmt::Display) -> ConditionError {
        ConditionError { text: self.text.to_owned(), reason: format!("{reason}; {}", self.form) }
    }

    fn next(&mut self, what: &str) -> Result<&'a str, ConditionError> {
        let rest = self.rest.take().unwrap_or_default();
        let (part, rest) = match rest.split_once(':') {
            Some((part, rest)) => (part, Some(rest)),
            None => (rest, None),
        };
        self.rest = rest;
        if part.is_empty() { Err(self.wrong(format!("{what} is missing"))) } else { Ok(part) }
    }

    /// Everything that is left.
    fn words(&mut self, what: &str) -> Result<String, ConditionError> {
        let rest = self.rest.take().unwrap_or_default();
        match rest.chars().find(|c| c.is_control()) {
            Some(bad) => Err(self.wrong(format!("{what} has the character {bad:?}"))),
            None if rest.trim().is_empty() => Err(self.wrong(format!("{what} is missing"))),
            None => Ok(rest.to_owned()),
        }
    }

    fn host(&mut self) -> Result<HostId, ConditionError> {
        let name = self.next("the host")?;
        HostId::new(name).map_err(|error| self.wrong(error))
    }

    fn guest(&mut self) -> Result<GuestId, ConditionError> {
        let name = self.next("the guest")?;
        GuestId::new(name).map_err(|error| self.wrong(error))
    }

    fn bank(&mut self) -> Result<Bank, ConditionError> {
        let word = self.next("the bank")?;
        word.parse().map_err(|error: String| self.wrong(error))
    }

    fn number<T: FromStr>(&self, text: &str, what: &str) -> Result<T, ConditionError> {
        text.parse().map_err(|_| self.wrong(format!("{what}, {text:?}, is not a number that fits")))
    }

    fn end(&self) -> Result<(), ConditionError> {
        match self.rest {
            None => Ok(()),
            Some(rest) => Err(self.wrong(format!("{rest:?} is too much"))),
        }
    }
}

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        let (word, mut parts) = Parts::new(text);
        if text.len() > LONGEST {
            return Err(ConditionError {
                text: text.chars().take(32).collect(),
                reason: format!("it has {} bytes; at most {LONGEST} are allowed", text.len()),
            });
        }
        let condition = match word {
            "task" => {
                let kind = parts.next("the kind")?;
                let known = SimTask::ALL.into_iter().find(|known| known.word() == kind);
                let kind = known.ok_or_else(|| parts.wrong(format!("{kind:?} is no kind of task")))?;
                Self::Task { kind, what: parts.words("what it does")? }
            }
            "admission" => {
                let hosts = parts.next("the number of hosts")?;
                Self::Admission { hosts: parts.number(hosts, "the number of hosts")? }
            }
            "media" | "device" | "local-disk" | "auto-start" | "fault-tolerant" | "needs" => {
                Self::Guest(parts.guest()?, guest_condition(word, &mut parts)?)
            }
            _ if CONDITION_FORMS.iter().any(|form| form.split(':').next() == Some(word)) => {
                let host = parts.host()?;
                Self::Host(host, host_condition(word, &mut parts)?)
            }
            other => return Err(parts.wrong(format!("the kind {other:?} is not known"))),
        };
        parts.end()?;
        Ok(condition)
    }
}

fn guest_condition(word: &str, parts: &mut Parts<'_>) -> Result<GuestCondition, ConditionError> {
    Ok(match word {
        "media" => GuestCondition::Media { image: parts.words("the image")? },
        "device" => GuestCondition::Device { device: parts.words("the device")? },
        "local-disk" => GuestCondition::LocalDisk { disk: parts.words("the disk")? },
        "auto-start" => GuestCondition::AutoStart,
        "fault-tolerant" => GuestCondition::FaultTolerant,
        "needs" => GuestCondition::Needs { capability: parts.words("the capability")? },
        other => return Err(parts.wrong(format!("{other:?} is nothing that a guest can be"))),
    })
}

fn host_condition(word: &str, parts: &mut Parts<'_>) -> Result<HostCondition, ConditionError> {
    use HostCondition as C;
    Ok(match word {
        "pending-reboot" => C::PendingReboot { reason: parts.words("the reason")? },
        "clock" => {
            let offset = parts.next("the offset")?;
            C::Clock { offset_ms: parts.number(offset, "the offset")? }
        }
        "space" => {
            let word = parts.next("the place")?;
            let place = SimPlace::parse(word)
                .ok_or_else(|| parts.wrong(format!("{word:?} is no place ({})", SimPlace::WORDS)))?;
            let free = parts.next("the bytes that are free")?;
            C::Space { place, free: parts.number(free, "the bytes that are free")? }
        }
        "foreign-file" => C::ForeignFile { bank: parts.bank()?, path: parts.words("the path")? },
        "ghost" => C::Ghost { bank: parts.bank()? },
        "damage" => C::Damage { bank: parts.bank()?, words: parts.words("what is damaged")? },
        "loader" => C::Loader { bank: parts.bank()?, version: parts.words("the version")? },
        "offers" => C::Offers { capability: parts.words("the capability")? },
        "gains" => C::Gains { capability: parts.words("the capability")? },
        "drops" => C::Drops { capability: parts.words("the capability")? },
        "network-down" => C::NetworkDown { network: parts.words("the network")? },
        "no-network" => C::NoNetwork { network: parts.words("the network")? },
        "storage-paths" => {
            let storage = parts.next("the storage")?.to_owned();
            let figures = parts.next("the paths")?;
            let (alive, paths) =
                figures.split_once('/').ok_or_else(|| parts.wrong("the paths are told as ALIVE/PATHS"))?;
            let alive: u32 = parts.number(alive, "the number of paths that work")?;
            let paths: u32 = parts.number(paths, "the number of paths")?;
            if alive > paths {
                return Err(parts.wrong("more paths work than there are"));
            }
            C::StoragePaths { storage, alive, paths }
        }
        "unguarded" => C::Unguarded,
        "unreachable" => C::Unreachable,
        "maintenance" => C::Maintenance,
        "runs-newer" => C::RunsNewer,
        other => return Err(parts.wrong(format!("{other:?} is nothing that a host can be"))),
    })
}

impl TryFrom<String> for Condition {
    type Error = ConditionError;

    fn try_from(text: String) -> Result<Self, ConditionError> {
        text.parse()
    }
}

impl From<Condition> for String {
    fn from(condition: Condition) -> Self {
        condition.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&str; 28] = [
        "pending-reboot:h03:agents were installed: two of them",
        "clock:h03:-90000",
        "space:h03:staging:1024",
        "space:h03:bank-B:0",
        "space:h03:state:18446744073709551615",
        "foreign-file:h03:B:/.Trashes/._x",
        "ghost:h03:B",
        "damage:h03:A:block 7 differs",
        "loader:h03:B:loader 1.2",
        "offers:h03:cpu:avx512f",
        "gains:h03:cpu:amx",
        "drops:h03:cpu:mpx",
        "network-down:h03:prod",
        "no-network:h03:prod",
        "storage-paths:h03:nfs1:1/4",
        "unguarded:h03",
        "unreachable:h03",
        "maintenance:h03",
        "runs-newer:h03",
        "media:g007:debian.iso",
        "device:g007:gpu 0",
        "local-disk:g007:scratch",
        "auto-start:g007",
        "fault-tolerant:g007",
        "needs:g007:net:prod",
        "task:backup:of g007",
        "task:roll:another tool",
        "admission:2",
    ];

    #[test]
    fn every_condition_is_read_as_it_is_written() {
        for text in ALL {
            assert_eq!(text.parse::<Condition>().map(|read| read.to_string()), Ok(text.to_owned()));
        }
        // Every form has an example here.
        for form in CONDITION_FORMS {
            let word = form.split(':').next();
            assert!(ALL.iter().any(|text| text.split(':').next() == word), "{form}");
        }
    }

    #[test]
    fn a_text_that_is_cut_anywhere_is_refused_or_another_condition() {
        for text in ALL {
            for end in 0..text.len() {
                let cut = text.get(..end).unwrap_or_default();
                if let Ok(read) = cut.parse::<Condition>() {
                    assert_eq!(read.to_string(), cut);
                }
            }
        }
    }

    #[test]
    fn a_wrong_condition_is_refused_with_its_form() {
        for (text, form) in [
            ("ghost:h1", "ghost:HOST:BANK"),
            ("ghost:h1:C", "ghost:HOST:BANK"),
            ("ghost:h1:A:more", "ghost:HOST:BANK"),
            ("clock:h1:soon", "clock:HOST:OFFSET_MS"),
            ("space:h1:cellar:5", "staging, bank-A"),
            ("space:h1:staging:-1", "space:HOST:PLACE:BYTES"),
            ("storage-paths:h1:nfs:4/2", "more paths work"),
            ("task:dance:x", "task:backup"),
            ("media:g1:", "media:GUEST:IMAGE"),
            ("damage:h1:A:a\u{7}b", "character"),
            ("boom:h1", "pending-reboot:HOST:REASON"),
            ("", "pending-reboot:HOST:REASON"),
        ] {
            let error = text.parse::<Condition>().err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(form), "{text:?}: {error}");
        }
        let long = format!("damage:h1:A:{}", "x".repeat(100_000));
        assert!(long.parse::<Condition>().is_err_and(|error| error.to_string().len() < 200));
    }
}
