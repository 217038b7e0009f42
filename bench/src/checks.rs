//! `bench checks`: all checks of a pool, as `check run` makes them.
//!
//! Owns: the pool they look at, which is simulated. Promises: the time of the checks is told apart from that of the
//! survey. Does not: ask a real driver; how long a real pool takes to answer is its matter.

use std::time::Instant;

use lifeboat_hypervisor::Hypervisor;
use lifeboat_hypervisor::sim::{Behaviour, ClockMode, SimKernel, SimPool, SimSpec};
use lifeboat_model::Policy;
use lifeboat_plan::check::{Ground, Looked, run as run_checks};

use crate::pools::{Mix, Rule, Shape, before, pool, target};
use crate::report::{Report, float, peak_rss_mib};
use crate::{Failure, Options};

const BENCH: &str = "checks";
/// Hosts of 1 TiB.
const POOLS: [usize; 3] = [100, 1_000, 10_000];

/// Measures, and adds to the report.
pub(crate) fn run(options: &Options, report: &mut Report) -> Result<(), Failure> {
    for hosts in POOLS.into_iter().filter(|&hosts| options.only_hosts.is_none_or(|only| only == hosts)) {
        let mut sim = {
            let shape = Shape { hosts, gib: 1024, percent: 70, seed: 1, rule: Rule::None, mix: Mix::Azure };
            let spec = SimSpec { hosts: u32::try_from(hosts)?, disks: false, ..SimSpec::default() };
            SimPool::in_memory_of(&spec, &pool(shape)?, before(), ClockMode::Virtual)?
        };
        sim.offer_release(target(), SimKernel::always(Behaviour::Good))?;
        let began = Instant::now();
        let survey = sim.survey(Some(&target()))?;
        let surveyed = began.elapsed().as_secs_f64();
        let policy = Policy::default();
        let ground = Ground { survey: &survey, policy: &policy, plan: None, rolls: &[] };
        let began = Instant::now();
        let checked = run_checks(&ground);
        let seconds = began.elapsed().as_secs_f64();
        let findings: usize = checked.iter().map(|check| check.findings.len()).sum();
        let blind = checked.iter().filter(|check| check.looked != Looked::Yes).count();
        let note = format!(
            "{} guests; {} checks, {findings} findings, {blind} could not see everything",
            survey.world.guests().len(),
            checked.len()
        );
        report.add(BENCH, format!("{hosts}: all checks"), seconds * 1e3, "ms", note);
        let share = seconds / float(hosts) * 1e6;
        report.add(BENCH, format!("{hosts}: for each host"), share, "us", "");
        report.add(BENCH, format!("{hosts}: survey by the simulated pool"), surveyed * 1e3, "ms", "");
        let note = "of this process so far, with the simulated pool and the survey";
        report.add(BENCH, format!("{hosts}: peak RSS"), peak_rss_mib(), "MiB", note);
    }
    Ok(())
}
