//! What a policy may say, and what may change while a roll goes on.
//!
//! Owns: ranges and contradictions of values. Promises: all errors at once, each with the key as the file has it.
//! Does not: look at files; whether a program or a time zone exists is seen at the edges.

use std::collections::BTreeSet;

use thiserror::Error;

use super::{InFlight, Policy, window};

/// Why a policy cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// A number is outside of what has a meaning.
    #[error("policy value {key} = {value} is outside {allowed}")]
    OutOfRange {
        /// Name of the value as written in the file.
        key: String,
        /// What was found.
        value: u64,
        /// What has a meaning.
        allowed: &'static str,
    },
    /// A text has no meaning, or two values contradict each other.
    #[error("policy value {key} = {value:?}: {reason}")]
    Wrong {
        /// Name of the value as written in the file; `hooks.2.command` is that of the third hook.
        key: String,
        /// What was found.
        value: String,
        /// Why it cannot be used, and what could.
        reason: String,
    },
}

impl PolicyError {
    /// Name of the value as written in the file; parts are separated by `.`, positions in lists count from 0.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::OutOfRange { key, .. } | Self::Wrong { key, .. } => key,
        }
    }
}

impl Policy {
    /// Checks every value.
    ///
    /// # Errors
    /// The first of [`Policy::problems`].
    pub fn validate(&self) -> Result<(), PolicyError> {
        self.problems().into_iter().next().map_or(Ok(()), Err)
    }

    /// Every value that has no meaning.
    #[must_use]
    pub fn problems(&self) -> Vec<PolicyError> {
        let mut problems = Vec::new();
        self.check_numbers(&mut problems);
        self.check_commands(&mut problems);
        self.check_names(&mut problems);
        for (at, window) in self.windows.iter().enumerate() {
            for (key, text) in [("from", &window.from), ("to", &window.to)] {
                if window::minutes_of(text).is_none() {
                    problems.push(wrong(
                        format!("windows.{at}.{key}"),
                        text,
                        "write a time as HH:MM, 00:00 to 24:00",
                    ));
                }
            }
            if window.from == window.to || (window.from == "24:00") {
                problems.push(wrong(
                    format!("windows.{at}.from"),
                    &window.from,
                    "the window would have no length",
                ));
            }
        }
        problems
    }

    fn check_numbers(&self, problems: &mut Vec<PolicyError>) {
        let in_flight = match self.max_in_flight {
            InFlight::Hosts(hosts) => ("max-in-flight.hosts", hosts, hosts >= 1, "1 and more"),
            InFlight::Percent(percent) => {
                ("max-in-flight.percent", percent, (1..=50).contains(&percent), "1 to 50")
            }
        };
        let attempts = ("attempts", self.attempts, (1..=20).contains(&self.attempts), "1 to 20");
        let lanes = self.migrations_per_host;
        let lanes = ("migrations-per-host", lanes, (1..=64).contains(&lanes), "1 to 64");
        let reserve = self.reserve_percent;
        let reserve = ("reserve-percent", reserve, reserve <= 90, "0 to 90");
        for (key, value, good, allowed) in [in_flight, attempts, lanes, reserve] {
            if !good {
                problems.push(PolicyError::OutOfRange {
                    key: key.to_owned(),
                    value: u64::from(value),
                    allowed,
                });
            }
        }
        let limits = [
            ("timeouts.step", self.timeouts.step),
            ("timeouts.migrate", self.timeouts.migrate),
            ("timeouts.stage", self.timeouts.stage),
            ("timeouts.install", self.timeouts.install),
            ("timeouts.reboot", self.timeouts.reboot),
            ("timeouts.guest", self.timeouts.guest),
            ("timeouts.owner", self.timeouts.owner),
        ];
        let hooks =
            self.hooks.iter().enumerate().map(|(at, hook)| (format!("hooks.{at}.timeout"), hook.timeout));
        let gates =
            self.gates.iter().enumerate().map(|(at, gate)| (format!("gates.{at}.timeout"), gate.timeout));
        let limits = limits.into_iter().map(|(key, limit)| (key.to_owned(), limit));
        for (key, limit) in limits.chain(hooks).chain(gates) {
            if limit.0 == 0 {
                problems.push(PolicyError::OutOfRange { key, value: 0, allowed: "1 ms and more" });
            }
        }
        for (at, gate) in self.gates.iter().enumerate() {
            if !(1..=1000).contains(&gate.attempts) {
                let (key, value) = (format!("gates.{at}.attempts"), u64::from(gate.attempts));
                problems.push(PolicyError::OutOfRange { key, value, allowed: "1 to 1000" });
            }
        }
    }

    fn check_commands(&self, problems: &mut Vec<PolicyError>) {
        let mut names = BTreeSet::new();
        let hooks = self.hooks.iter().enumerate().map(|(at, hook)| ("hooks", at, &hook.name, &hook.command));
        let gates = self.gates.iter().enumerate().map(|(at, gate)| ("gates", at, &gate.name, &gate.command));
        for (list, at, name, command) in hooks.chain(gates) {
            let good = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
            if name.is_empty() || name.len() > 64 || !name.chars().all(good) {
                let reason = "a name has 1 to 64 letters, digits, '-', '_' and '.'";
                problems.push(wrong(format!("{list}.{at}.name"), name, reason));
            }
            if !names.insert((list, name)) {
                problems.push(wrong(format!("{list}.{at}.name"), name, "the name is used twice"));
            }
            match command.first() {
                None => {
                    problems.push(wrong(
                        format!("{list}.{at}.command"),
                        "",
                        "name a program and its arguments",
                    ));
                }
                Some(program) if !program.starts_with('/') => {
                    let reason = "name the program by its absolute path; no shell and no PATH are used";
                    problems.push(wrong(format!("{list}.{at}.command"), program, reason));
                }
                Some(_) => {}
            }
        }
    }

    fn check_names(&self, problems: &mut Vec<PolicyError>) {
        for (at, rule) in self.guests.iter().enumerate() {
            if rule.guests.is_empty() {
                problems.push(wrong(format!("guests.{at}.guests"), "", "name at least one guest, or \"*\""));
            }
        }
        if let Some(canary) = &self.canary
            && self.last.contains(canary)
        {
            problems.push(wrong("canary".to_owned(), canary.as_str(), "it is also in `last`: choose one"));
        }
    }

    /// Keys in which `new` differs and that a plan is bound to: they cannot change while its roll goes on.
    #[must_use]
    pub fn bound_to_plan(&self, new: &Self) -> Vec<&'static str> {
        let differs = [
            ("order", self.order != new.order),
            ("canary", self.canary != new.canary),
            ("last", self.last != new.last),
            ("reserve-hosts", self.reserve_hosts != new.reserve_hosts),
            ("reserve-percent", self.reserve_percent != new.reserve_percent),
            ("one-per-fault-domain", self.one_per_fault_domain && !new.one_per_fault_domain),
            ("spill", self.spill != new.spill),
            ("placement", self.placement != new.placement),
            ("guests", self.guests != new.guests),
            ("immovable-guests", self.immovable_guests != new.immovable_guests),
        ];
        differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
    }
}

fn wrong(key: String, value: &str, reason: &str) -> PolicyError {
    PolicyError::Wrong { key, value: value.to_owned(), reason: reason.to_owned() }
}
