//! `bench decide`: a roll of 10,000 simulated hosts through the state machine, on one core.
//!
//! Owns: a loop as the executor's, without its journal file. Promises: the roll comes to its end or the benchmark
//! fails; the pool's own time is counted apart. Does not: write to a disk (see `bench journal` for what that costs).

use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat_model::{EVENT_SCHEMA, Event, EventKind, InFlight, Outcome, Policy, RollEnd, World};
use lifeboat_plan::{Options as PlanOptions, plan};
use lifeboat_roll::{Action, Journal, Scope, Status, decide};

use crate::fake::{Fake, furnish};
use crate::pools::{Mix, Rule, Shape, pool, target};
use crate::report::{Report, float, peak_rss_mib};
use crate::{Failure, Options};

const BENCH: &str = "decide";

#[derive(Default)]
struct Times {
    decide: Duration,
    apply: Duration,
    world: Duration,
    pool: Duration,
    calls: usize,
    rounds: u64,
}

struct Run {
    world: World,
    journal: Journal,
    fake: Fake,
    policy: Policy,
    times: Times,
    full_every: u64,
}

/// Measures, and adds to the report.
pub(crate) fn run(options: &Options, report: &mut Report) -> Result<(), Failure> {
    let shape = Shape {
        hosts: options.hosts,
        gib: options.gib,
        percent: 70,
        seed: 1,
        rule: Rule::None,
        mix: Mix::Azure,
    };
    let mut world = pool(shape)?;
    furnish(&mut world);
    let policy = Policy { max_in_flight: InFlight::Hosts(options.in_flight), ..Policy::default() };
    let guests = world.guests().len();
    let began = Instant::now();
    let made = plan(&world, &target(), &policy, &PlanOptions::default())?;
    let planned = began.elapsed();
    let rss = peak_rss_mib();
    if let Some(first) = made.blocked.first() {
        return Err(format!("host {} is blocked: {}", first.host, first.reason).into());
    }
    let moves = made.figures.moves.planned;
    let size = format!("{} hosts, {guests} guests, {moves} moves", options.hosts);
    report.add(BENCH, "plan of this pool", planned.as_secs_f64(), "s", size.clone());
    report.add(BENCH, "peak RSS with pool and plan", rss, "MiB", "");

    let (pool_name, hash) = (made.pool.clone(), made.hash()?);
    let journal = Journal::new(Arc::new(made), hash);
    let times = Times::default();
    let mut run = Run { world, journal, fake: Fake::new(1), policy, times, full_every: options.full_every };
    run.apply(EventKind::RollStarted { pool: pool_name, plan: hash, target: target() })?;
    run.apply(EventKind::ControllerStarted { holder: "bench".to_owned() })?;
    run.times = Times::default();
    let began = Instant::now();
    run.finish()?;
    let wall = began.elapsed();
    if *run.journal.status() != Status::Ended(RollEnd::Completed) {
        return Err(format!("the roll did not complete: {:?}", run.journal.status()).into());
    }

    let events = float(usize::try_from(run.journal.last_seq())?);
    let Times { decide, apply, world, pool, calls, rounds } = &run.times;
    let own = *decide + *apply + *world;
    let rate = |time: Duration| events / time.as_secs_f64();
    let looks = format!(
        "{} in flight; {rounds} rounds of one outcome; all hosts in flight looked at in every {}",
        options.in_flight,
        if options.full_every == 1 { "round, twice".to_owned() } else { format!("{}th", options.full_every) }
    );
    report.add(BENCH, "events", events, "", size);
    report.add(BENCH, "decide + apply + world", rate(own), "events/s", looks);
    report.add(BENCH, "with the simulated pool's time", rate(wall), "events/s", "all on one core");
    let share = |time: &Duration| time.as_secs_f64() / events * 1e6;
    report.add(BENCH, "  decide", share(decide), "us/event", format!("{calls} calls"));
    report.add(BENCH, "  apply", share(apply), "us/event", "");
    report.add(BENCH, "  world", share(world), "us/event", "");
    report.add(BENCH, "  simulated pool", share(pool), "us/event", "");
    report.add(BENCH, "peak RSS at the end", peak_rss_mib(), "MiB", "");
    Ok(())
}

impl Run {
    fn finish(&mut self) -> Result<(), Failure> {
        loop {
            self.settle()?;
            if let Status::Ended(_) = self.journal.status() {
                return Ok(());
            }
            self.listen()?;
            self.times.rounds += 1;
        }
    }

    /// As the executor's: all hosts, then those that changed, then all once more before it rests.
    fn settle(&mut self) -> Result<(), Failure> {
        let full = self.times.rounds.is_multiple_of(self.full_every);
        let mut everything = full;
        loop {
            let began = Instant::now();
            let touched = self.journal.take_touched();
            let scope = if everything { Scope::All } else { Scope::Steps(&touched) };
            let actions = decide(&self.world, &self.journal, &self.policy, scope, self.fake.now);
            self.times.decide += began.elapsed();
            self.times.calls += 1;
            if actions.is_empty() {
                if everything || !full {
                    return Ok(());
                }
                everything = true;
                continue;
            }
            everything = false;
            for action in actions {
                match action {
                    Action::Record(kind) => self.apply(kind)?,
                    Action::Perform { attempt, effect } => {
                        self.apply(EventKind::Intent { key: effect.key(), attempt, effect: effect.clone() })?;
                        let began = Instant::now();
                        self.fake.start(effect);
                        self.times.pool += began.elapsed();
                    }
                }
            }
        }
    }

    fn listen(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        let Some(news) = self.fake.poll(&self.world, &self.journal.plan().target) else {
            return Err("nothing is under way and the roll has not ended".into());
        };
        self.times.pool += began.elapsed();
        let began = Instant::now();
        if let Some(host) = news.host {
            self.journal.touch(&host.id);
            self.world.set_host(host);
        }
        if let Some(guest) = news.guest {
            if let Some(before) = self.world.guest(&guest.id) {
                let host = before.host.clone();
                self.journal.touch(&host);
            }
            self.journal.touch(&guest.host);
            self.world.set_guest(guest)?;
        }
        self.times.world += began.elapsed();
        self.apply(EventKind::Outcome { key: news.key, outcome: Outcome::Done { detail: None } })
    }

    fn apply(&mut self, what: EventKind) -> Result<(), Failure> {
        let seq = self.journal.last_seq() + 1;
        let event = Event { schema: EVENT_SCHEMA, seq, fence: 1, at: self.fake.now, what };
        let began = Instant::now();
        self.journal.apply(&event)?;
        self.times.apply += began.elapsed();
        Ok(())
    }
}
