//! From a pool to a plan.
//!
//! Owns: [`plan`], which puts the other modules in their order. Promises: deterministic; needs O(guests · log hosts)
//! time on pools without exotic constraints. Does not: act.

use lifeboat_model::{
    Blocked, FeatureView, GuestStop, GuestStrategy, HostId, Mib, Move, PLAN_SCHEMA, Plan, PlanStep, Policy,
    ReleaseRef, World,
};

use crate::bound::Ground;
use crate::layout::Layout;
use crate::options::{Options, PlanError};
use crate::pool::Pool;
use crate::ramp::{Rules, Strategy, lay_out};
use crate::room::{Fit, Role};
use crate::standing::{Spare, Standing, judge, roles};
use crate::{explain, figures, order, standing};

/// Tried in this order; the first that leaves the fewest hosts without a turn wins. Nearly always that is the first.
const STRATEGIES: [Strategy; 4] = [
    Strategy { old_fit: Fit::Roomy, large_first: false },
    Strategy { old_fit: Fit::Tight, large_first: false },
    Strategy { old_fit: Fit::Roomy, large_first: true },
    Strategy { old_fit: Fit::Tight, large_first: true },
];

/// How often a pool is laid out again without the hosts that had no turn. One round is nearly always enough; after
/// the last one the plan is still good, but excluding its blocked hosts may give other steps.
const ROUNDS: usize = 16;

/// Plans how the hosts of `world` come to run `target`.
///
/// Hosts that cannot be upgraded as things are stand in [`Plan::blocked`], each with its reason; the steps are then
/// those of the other hosts. Excluding exactly the blocked hosts gives the same steps.
///
/// # Errors
/// [`PlanError`] if the policy has no meaning, the pool is empty, or a host that the caller names cannot be left out.
pub fn plan(
    world: &World,
    target: &ReleaseRef,
    policy: &Policy,
    options: &Options,
) -> Result<Plan, PlanError> {
    policy.validate()?;
    check_input(world, options)?;
    let pool = Pool::new(world, policy);
    let (mut standings, mut blocked) = judge(&pool, target, policy, options);
    let mut first = order::first_host(&pool, policy, &standings)?;
    let last = order::last_hosts(&pool, policy)?;
    if let Some(host) = first
        && standings[host] == Standing::Blocked
    {
        wait_for_first(&pool, host, &mut standings, &mut blocked);
        first = None;
    }
    let mut notes = order::notes(&pool, policy, &standings, first);
    let spare = Spare::of(&pool, policy);
    let mut rules = Rules {
        first,
        in_flight: in_flight(&pool, &standings, policy, spare),
        one_per_domain: policy.one_per_fault_domain,
        spill: usize::try_from(policy.spill).unwrap_or(usize::MAX),
        // The first host may be named last too if it is the only one.
        last: last.into_iter().filter(|host| first != Some(*host)).collect(),
    };
    let mut roles = roles(&pool, &standings);
    let mut layout = best_layout(&pool, &roles, &rules);
    // A host that turned out to have no turn may have taken guests as if it had. So lay out again without it.
    for _ in 0..ROUNDS {
        if layout.stuck.is_empty() {
            break;
        }
        blocked.extend(explain::stuck(&pool, &layout));
        for &(host, _) in &layout.stuck {
            standings[host] = Standing::Blocked;
        }
        roles = standing::roles(&pool, &standings);
        rules.in_flight = in_flight(&pool, &standings, policy, spare);
        if first.is_some_and(|first| standings[first] == Standing::Blocked) {
            rules.first = None;
        }
        layout = best_layout(&pool, &roles, &rules);
    }
    blocked.extend(explain::stuck(&pool, &layout));
    blocked.sort_by(|a, b| a.host.cmp(&b.host));
    let ground = Ground { pool: &pool, roles: &roles, layout: &layout, rules: &rules, spare, policy };
    let figures::Counted { placed, figures, notes: costs } = figures::count(&ground, &options.timing);
    notes.extend(costs);
    let excluded = with(&pool, &standings, Standing::Excluded);
    if !excluded.is_empty() {
        let names: Vec<&str> = excluded.iter().map(HostId::as_str).collect();
        notes.push(format!("left out on request, and still on another release: {}", names.join(", ")));
    }
    let suspends = if layout.steps.is_empty() {
        Vec::new()
    } else {
        world.features().filter(|feature| FeatureView::is_on(feature)).map(|feature| feature.kind).collect()
    };
    Ok(Plan {
        schema: PLAN_SCHEMA,
        pool: world.pool().clone(),
        target: target.clone(),
        policy: policy.clone(),
        coordinator: world.coordinator().cloned(),
        suspends,
        steps: named(&pool, &layout),
        unchanged: with(&pool, &standings, Standing::Unchanged),
        blocked,
        excluded,
        placement: placed
            .moves
            .into_iter()
            .map(|(guest, from, to)| one_move(&pool, guest, from, to))
            .collect(),
        figures,
        notes,
    })
}

/// 1 EiB: sums over a million hosts and guests stay far below 2^64.
const MOST_MEMORY: Mib = Mib(1 << 40);

fn check_input(world: &World, options: &Options) -> Result<(), PlanError> {
    if world.hosts().len() == 0 {
        return Err(PlanError::NoHosts { pool: world.pool().clone() });
    }
    for (list, names) in [("exclude", &options.exclude), ("retry", &options.retry)] {
        if let Some(host) = names.iter().find(|host| world.host(host).is_none()) {
            return Err(PlanError::UnknownHost { host: host.clone(), pool: world.pool().clone(), list });
        }
    }
    let hosts = world.hosts().map(|host| (host.memory, "host", host.id.as_str()));
    let guests = world.guests().map(|guest| (guest.memory, "guest", guest.id.as_str()));
    match hosts.chain(guests).find(|(memory, _, _)| *memory > MOST_MEMORY) {
        None => Ok(()),
        Some((memory, kind, name)) => Err(PlanError::AbsurdMemory {
            subject: format!("{kind} {name}"),
            pool: world.pool().clone(),
            memory,
        }),
    }
}

fn wait_for_first(pool: &Pool<'_>, first: usize, standings: &mut [Standing], blocked: &mut Vec<Blocked>) {
    for (host, standing) in standings.iter_mut().enumerate() {
        if *standing == Standing::Upgrade {
            *standing = Standing::Blocked;
            blocked.push(explain::after_first(pool, host, first));
        }
    }
}

/// How many hosts may be out of service: what the policy allows, less if the reserve needs it. With hosts of
/// different size the largest ones count, so that any choice of so many hosts keeps the reserve. Guests that are down
/// with their host need no room elsewhere.
fn in_flight(pool: &Pool<'_>, standings: &[Standing], policy: &Policy, spare: Spare) -> usize {
    let allowed = policy.in_flight_of(pool.hosts.len());
    if spare.reserve == 0 {
        return allowed;
    }
    let turns = pool.hosts.iter().zip(standings).filter(|(_, standing)| **standing == Standing::Upgrade);
    let mut sizes: Vec<u64> = turns.map(|(host, _)| host.lost()).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let mut out = 0;
    let fit = sizes.into_iter().take_while(|size| {
        out += size;
        out <= spare.usable()
    });
    fit.take(allowed).count().max(1)
}

fn best_layout(pool: &Pool<'_>, roles: &[Role], rules: &Rules) -> Layout {
    let mut best: Option<Layout> = None;
    for strategy in STRATEGIES {
        let layout = lay_out(pool, roles, rules, strategy);
        if layout.stuck.is_empty() {
            return layout;
        }
        if best.as_ref().is_none_or(|best| layout.stuck.len() < best.stuck.len()) {
            best = Some(layout);
        }
    }
    best.unwrap_or_default()
}

fn named(pool: &Pool<'_>, layout: &Layout) -> Vec<PlanStep> {
    let steps = layout.steps.iter().map(|step| {
        let host = &pool.hosts[step.host];
        let stops = host.staying.iter().map(|&guest| {
            let guest = &pool.guests[guest];
            GuestStop {
                guest: guest.view.id.clone(),
                memory: guest.view.memory,
                by_owner: guest.strategy == GuestStrategy::Leave,
            }
        });
        let moves = step.moves.iter().map(|&(guest, target)| one_move(pool, guest, step.host, target));
        PlanStep {
            host: host.view.id.clone(),
            wave: step.wave,
            moves: moves.collect(),
            stops: stops.collect(),
        }
    });
    steps.collect()
}

fn one_move(pool: &Pool<'_>, guest: usize, from: usize, to: usize) -> Move {
    let guest = pool.guests[guest].view;
    Move {
        guest: guest.id.clone(),
        from: pool.hosts[from].view.id.clone(),
        to: pool.hosts[to].view.id.clone(),
        memory: guest.memory,
    }
}

fn with(pool: &Pool<'_>, standings: &[Standing], asked: Standing) -> Vec<HostId> {
    let hosts = pool.hosts.iter().zip(standings).filter(|(_, standing)| **standing == asked);
    hosts.map(|(host, _)| host.view.id.clone()).collect()
}
