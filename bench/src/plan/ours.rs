//! Lifeboat's own plan, played on the same field as all others.
//!
//! Owns: the replay. Promises: a plan that overfills a host, breaks a rule or names a guest twice in a step is an
//! error, not a figure. Does not: take counts from the plan's own figures; only its makespan and bounds.

use lifeboat_model::{Plan, Severity, World};
use lifeboat_plan::lint;

use super::even::spread;
use super::field::{Cost, Field, Names};

/// Plays a plan.
///
/// # Errors
/// What is wrong with the plan.
pub(crate) fn play(world: &World, plan: &Plan, field: &Field, names: &Names<'_>) -> Result<Cost, String> {
    // At 10,000 hosts the linter takes longer than everything else here; the replay below looks at the same rules.
    if field.hosts() < 10_000
        && let Some(finding) = lint(world, plan).into_iter().find(|finding| finding.severity > Severity::Note)
    {
        return Err(format!("the linter does not accept the plan: {finding}"));
    }
    let mut field = field.clone();
    for wave in plan.steps.chunk_by(|a, b| a.wave == b.wave) {
        let hosts: Vec<usize> =
            wave.iter().map(|step| host_of(names, step.host.as_str())).collect::<Result<_, _>>()?;
        for (step, &host) in wave.iter().zip(&hosts) {
            for planned in &step.moves {
                let guest = *names.guest.get(planned.guest.as_str()).ok_or("a guest that is not there")?;
                let to = host_of(names, planned.to.as_str())?;
                if field.at[guest] != host || !field.may(guest, to) || hosts.contains(&to) {
                    return Err(format!("guest {} may not go to {}", planned.guest, planned.to));
                }
                field.shift(guest, to);
            }
        }
        for &host in &hosts {
            field.close(host);
        }
        for &host in &hosts {
            field.take_down(host);
        }
        for &host in &hosts {
            field.bring_up(host);
        }
    }
    field.cost.millis = plan.figures.makespan.planned.0;
    if field.cost.moves != plan.figures.moves.planned || field.cost.mib != plan.figures.moved.planned.0 {
        return Err("the plan's own figures are not those that were counted".to_owned());
    }
    // Hosts of neighbouring waves may be down together: the plan's figure is the limit that the roll keeps.
    let peak = usize::try_from(plan.figures.peak_hosts_down.planned).unwrap_or(usize::MAX);
    let more = peak.saturating_sub(field.cost.peak_down) as u64 * field.memory.first().copied().unwrap_or(0);
    field.cost.peak_down = field.cost.peak_down.max(peak);
    field.cost.headroom -= i64::try_from(more).unwrap_or(i64::MAX);
    Ok(spread(field))
}

fn host_of(names: &Names<'_>, name: &str) -> Result<usize, String> {
    names.host.get(name).copied().ok_or_else(|| format!("host {name} is not in the pool"))
}
