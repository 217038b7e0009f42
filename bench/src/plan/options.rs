//! What may be said after `bench plan`.

use std::path::PathBuf;
use std::time::Duration;

use super::chart::PANELS;
use super::sample::Case;
use crate::Failure;
use crate::pools::{Mix, Rule};

/// What is to be measured, and where it goes.
#[derive(Debug)]
pub(crate) struct Arguments {
    seeds: Option<u64>,
    quick: bool,
    hosts: Option<usize>,
    load: Option<u64>,
    rule: Option<String>,
    mix: Option<String>,
    /// Seeds for which the real program is asked at 1,000 hosts.
    pub(crate) peer_seeds: u64,
    /// Longest time for the real program.
    pub(crate) limit: Duration,
    pub(crate) json: bool,
    /// Only the pools of the chart, and only the chart is written.
    pub(crate) chart: bool,
    /// Folder of the documents into which table and chart are written.
    pub(crate) write: Option<PathBuf>,
}

impl Arguments {
    pub(crate) fn parse(args: &[String]) -> Result<Self, Failure> {
        let mut arguments = Self {
            seeds: None,
            quick: false,
            hosts: None,
            load: None,
            rule: None,
            mix: None,
            peer_seeds: 3,
            limit: Duration::from_secs(300),
            json: false,
            chart: false,
            write: None,
        };
        let mut args = args.iter();
        while let Some(name) = args.next() {
            if name == "--quick" {
                arguments.quick = true;
                continue;
            }
            let value = args.next().ok_or_else(|| format!("{name} needs a value after it"))?;
            let number = || value.parse::<u32>().map_err(|_| format!("{name} {value}: not a number"));
            match name.as_str() {
                "-o" if value == "json" => arguments.json = true,
                "--seeds" => arguments.seeds = Some(u64::from(number()?.max(1))),
                "--hosts" => arguments.hosts = usize::try_from(number()?).ok(),
                "--load" => arguments.load = Some(u64::from(number()?)),
                "--rule" => arguments.rule = Some(value.clone()),
                "--mix" => arguments.mix = Some(value.clone()),
                "--peer-seeds" => arguments.peer_seeds = u64::from(number()?),
                "--peer-limit" => arguments.limit = Duration::from_secs(u64::from(number()?)),
                "--write" => arguments.write = Some(value.into()),
                "--chart" => {
                    arguments.chart = true;
                    arguments.write = Some(value.into());
                }
                _ => return Err(format!("{name} {value} has no meaning here\n{}", crate::USAGE).into()),
            }
        }
        Ok(arguments)
    }

    /// Seeds for a pool: 20, and 5 of the largest; 3 and 1 if it has to be quick.
    pub(crate) fn seeds(&self, case: &Case) -> u64 {
        let large = case.hosts >= 10_000;
        let usual = match (self.quick, large) {
            (false, false) => 20,
            (false, true) => 5,
            (true, false) => 3,
            (true, true) => 1,
        };
        self.seeds.unwrap_or(usual)
    }

    /// Whether everything is measured.
    pub(crate) fn is_whole(&self) -> bool {
        let all = self.hosts.is_none() && self.load.is_none() && self.rule.is_none() && self.mix.is_none();
        all && self.seeds.is_none() && !self.quick
    }

    pub(crate) fn wants(&self, case: &Case) -> bool {
        let word = case.rule.word();
        let plain = case.rule == Rule::None && case.mix == Mix::Azure;
        (!self.chart || plain && PANELS.contains(&(case.hosts, case.percent)))
            && self.hosts.is_none_or(|hosts| hosts == case.hosts)
            && self.load.is_none_or(|load| load == case.percent)
            && self.mix.as_ref().is_none_or(|mix| mix == case.mix.word())
            && self.rule.as_ref().is_none_or(|rule| rule == word || rule == "none" && word.is_empty())
    }
}
