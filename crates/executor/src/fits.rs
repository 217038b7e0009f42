//! Whether a plan is still for the pool that is there.

use std::collections::BTreeMap;

use lifeboat_model::{Plan, World};

use crate::ExecutorError;

/// A plan is for the pool as it was seen: the same coordinator, its hosts, its guests where it found them.
pub(crate) fn fits(plan: &Plan, world: &World) -> Result<(), ExecutorError> {
    let stale = |reason: String| Err(ExecutorError::Stale { reason });
    if *world.pool() != plan.pool {
        return stale(format!("the plan is for pool {}, this is {}", plan.pool, world.pool()));
    }
    if world.coordinator() != plan.coordinator.as_ref() {
        let now = world.coordinator().map_or_else(|| "none".to_owned(), ToString::to_string);
        return stale(format!("the coordinator is now {now}"));
    }
    if let Some(on) =
        world.features().find(|feature| feature.is_on() && !plan.suspends.contains(&feature.kind))
    {
        return stale(format!("{} was switched on", on.kind));
    }
    let mut place = BTreeMap::new();
    for step in &plan.steps {
        match world.host(&step.host) {
            None => return stale(format!("host {} is no longer in the pool", step.host)),
            Some(host) if !host.reachable => return stale(format!("host {} does not answer", step.host)),
            Some(host) if host.maintenance => {
                return stale(format!("host {} was put into maintenance", step.host));
            }
            Some(_) => {}
        }
        if let Some(lost) = step.moves.iter().find(|planned| world.host(&planned.to).is_none()) {
            return stale(format!("host {}, which was to take guest {}, is gone", lost.to, lost.guest));
        }
        let mut expected = std::collections::BTreeSet::new();
        for planned in &step.moves {
            let Some(guest) = world.guest(&planned.guest) else {
                return stale(format!("guest {} is gone", planned.guest));
            };
            let from = place.get(&planned.guest).copied().unwrap_or(&guest.host);
            if *from != planned.from {
                return stale(format!(
                    "guest {} is on {}, not on {}",
                    planned.guest, guest.host, planned.from
                ));
            }
            expected.insert(&planned.guest);
            place.insert(&planned.guest, &planned.to);
        }
        // Guests that stay are shut down there, if they run.
        for stop in &step.stops {
            let Some(guest) = world.guest(&stop.guest) else {
                return stale(format!("guest {} is gone", stop.guest));
            };
            let on = place.get(&stop.guest).copied().unwrap_or(&guest.host);
            if *on != step.host {
                return stale(format!("guest {} is on {on}, not on {}", stop.guest, step.host));
            }
            expected.insert(&stop.guest);
        }
        let stranger = world.running_on(&step.host).find(|guest| {
            !expected.contains(&guest.id) && place.get(&guest.id).is_none_or(|now| *now == &step.host)
        });
        if let Some(guest) = stranger {
            return stale(format!("guest {} runs on {} and has no target in the plan", guest.id, step.host));
        }
    }
    Ok(())
}
