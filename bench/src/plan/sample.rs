//! One pool of one seed, rolled in every way.
//!
//! Owns: the list of ways. Promises: all ways begin from the same pool. Does not: judge.

use std::path::Path;
use std::time::{Duration, Instant};

use lifeboat_model::{GuestStrategy, InFlight, Plan, Policy, World};
use lifeboat_plan::{Options, plan};

use super::field::{Cost, Field};
use super::{hroller, ours, waves, window};
use crate::pools::{Mix, Random, Rule, Shape, pool, target};
use crate::report::peak_rss_mib;

/// A kind of pool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) hosts: usize,
    pub(crate) gib: u64,
    pub(crate) in_flight: u32,
    pub(crate) percent: u64,
    pub(crate) rule: Rule,
    pub(crate) mix: Mix,
}

/// A way to roll a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Ramp,
    RampSpill,
    Random,
    Serial,
    Waves,
    Window,
    StarlingX,
    XoOld,
    XoNew,
    Hroller,
}

impl Way {
    pub(crate) const ALL: [Self; 10] = [
        Self::Ramp,
        Self::RampSpill,
        Self::Random,
        Self::Serial,
        Self::Waves,
        Self::Window,
        Self::StarlingX,
        Self::XoOld,
        Self::XoNew,
        Self::Hroller,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ramp => "Lifeboat, spill 0",
            Self::RampSpill => "Lifeboat, spill K",
            Self::Random => "random, serial *",
            Self::Serial => "least loaded, serial *",
            Self::Waves => "least loaded, waves of K *",
            Self::Window => "least loaded, window of K *",
            Self::StarlingX => "StarlingX lists *",
            Self::XoOld => "xapi + restore, old *",
            Self::XoNew => "xapi + restore, new *",
            Self::Hroller => "hroller (real program)",
        }
    }

    /// Whether it brings guests back, so that no fewer than two moves per guest are possible.
    pub(crate) fn restores(self) -> bool {
        matches!(self, Self::XoOld | Self::XoNew | Self::Hroller)
    }

    pub(crate) fn ours(self) -> bool {
        matches!(self, Self::Ramp | Self::RampSpill)
    }
}

/// What no way of these can go below: that of `keep`, as the plan with spill 0 says it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) moves: u64,
    pub(crate) mib: u64,
    pub(crate) millis: u64,
}

/// What one pool came to.
pub(crate) struct Sample {
    pub(crate) guests: u64,
    pub(crate) movable: u64,
    pub(crate) load: u64,
    pub(crate) bounds: Bounds,
    pub(crate) blocked: usize,
    /// Hosts that would be blocked if guests that cannot move may not be stopped.
    pub(crate) blocked_if_forbidden: usize,
    pub(crate) waves: u32,
    pub(crate) plan_ms: f64,
    pub(crate) rss_mib: f64,
    /// In the order of [`Way::ALL`]; why not, if not.
    pub(crate) costs: Vec<Result<Cost, String>>,
}

impl Sample {
    /// Rolls one pool in every way.
    ///
    /// # Errors
    /// If the pool cannot be made, or Lifeboat makes no plan or a wrong one.
    pub(crate) fn take(
        case: &Case,
        shape: Shape,
        peer: Option<&Path>,
        limit: Duration,
    ) -> Result<Self, crate::Failure> {
        let world = pool(shape)?;
        let policy = Policy {
            max_in_flight: InFlight::Hosts(case.in_flight),
            immovable_guests: GuestStrategy::StopStart,
            ..Policy::default()
        };
        // Resets the high-water mark of this process (proc(5)), so that it belongs to this pool.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        let began = Instant::now();
        let made = plan(&world, &target(), &policy, &Options::default())?;
        let plan_ms = began.elapsed().as_secs_f64() * 1000.0;
        let rss_mib = peak_rss_mib();
        let blocked_if_forbidden = if case.rule == Rule::Pinned {
            let strict = Policy { immovable_guests: GuestStrategy::Forbid, ..policy.clone() };
            plan(&world, &target(), &strict, &Options::default())?.blocked.len()
        } else {
            0
        };
        let (field, names) = Field::new(&world);
        let at_once = policy.in_flight_of(case.hosts);
        let apart = policy.one_per_fault_domain;
        let mut sample = Self {
            guests: field.guests() as u64,
            movable: field.fixed.iter().filter(|&&fixed| !fixed).count() as u64,
            load: field.load(),
            bounds: bounds(&made),
            blocked: made.blocked.len(),
            blocked_if_forbidden,
            waves: made.figures.waves,
            plan_ms,
            rss_mib,
            costs: Vec::new(),
        };
        let mut serial = field.clone();
        waves::roll(&mut serial, 1, apart, waves::Choice::LeastLoaded);
        for way in Way::ALL {
            sample.costs.push(match way {
                Way::Ramp => Ok(play(&world, &made, &field, &names)?),
                Way::RampSpill if case.in_flight == 1 => {
                    Err("one host in flight: nothing to spill".to_owned())
                }
                Way::RampSpill => {
                    let policy = Policy { spill: case.in_flight, ..policy.clone() };
                    let made = plan(&world, &target(), &policy, &Options::default())?;
                    Ok(play(&world, &made, &field, &names)?)
                }
                Way::Random => Ok(waves::cost_of(&field, |field| {
                    waves::roll(field, 1, apart, waves::Choice::Random(Random::new(shape.seed)));
                })),
                Way::Serial => Ok(waves::cost_of(&serial, |_| {})),
                Way::Waves => Ok(waves::cost_of(&field, |field| {
                    waves::roll(field, at_once, apart, waves::Choice::LeastLoaded);
                })),
                Way::Window => Ok(waves::cost_of(&field, |field| window::roll(field, at_once, apart))),
                Way::StarlingX => Ok(waves::cost_of(&field, |field| waves::lists(field, at_once, apart))),
                Way::XoOld => Ok(waves::cost_of(&serial, |field| waves::restore(field, false))),
                Way::XoNew => Ok(waves::cost_of(&serial, |field| waves::restore(field, true))),
                Way::Hroller if case.hosts > 1_000 => Err("not asked beyond 1,000 hosts".to_owned()),
                Way::Hroller if case.rule != Rule::None => Err("not asked with constraints".to_owned()),
                Way::Hroller => match peer {
                    Some(program) => hroller::roll(program, limit, &world, &field, &names),
                    None => Err(String::new()),
                },
            });
        }
        Ok(sample)
    }

    pub(crate) fn cost(&self, way: Way) -> Option<&Cost> {
        let at = Way::ALL.iter().position(|&other| other == way)?;
        self.costs.get(at)?.as_ref().ok()
    }

    /// Why a way was not measured.
    pub(crate) fn why_not(&self, way: Way) -> Option<&str> {
        let at = Way::ALL.iter().position(|&other| other == way)?;
        self.costs.get(at)?.as_ref().err().map(String::as_str)
    }
}

fn bounds(made: &Plan) -> Bounds {
    Bounds {
        moves: made.figures.moves.bound,
        mib: made.figures.moved.bound.0,
        millis: made.figures.makespan.bound.0,
    }
}

fn play(world: &World, made: &Plan, field: &Field, names: &super::field::Names<'_>) -> Result<Cost, String> {
    ours::play(world, made, field, names)
}
