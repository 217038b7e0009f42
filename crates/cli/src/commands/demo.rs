//! `lifeboat demo`: a simulated pool is upgraded while you watch; then a bad release is stopped.
//!
//! Owns: the story and its texts. Promises: it uses the same planner, journal, executor and banks as every other
//! roll; it fails if the story does not end as it tells; it leaves nothing behind unless asked to. Does not:
//! pretend that simulated hosts are machines.

use std::path::{Path, PathBuf};

use lifeboat_bundle::{SecretKey, TrustStore};
use lifeboat_executor::Executor;
use lifeboat_hypervisor::Hypervisor;
use lifeboat_hypervisor::sim::{Behaviour, ClockMode, SimKernel, SimPool, SimSpec, build_sim_bundle};
use lifeboat_model::{
    HostId, InFlight, Millis, Plan, Policy, PoolName, ReleaseRef, ReleaseVersion, RollEnd, Sha256Hex,
    Timestamp, World,
};
use lifeboat_plan::Timing;

use super::roll::{advice, executor_error, live, new_roll_id, open_store, options, summary};
use crate::args::DemoArgs;
use crate::error::{CliError, Kind};
use crate::output::Paint;
use crate::run::Ctx;
use crate::state::{DriverKind, PlanSource, StateDir};

/// Simulated time passes so many times as fast as real time.
const SPEED: u32 = 60;

pub(crate) fn run(ctx: &Ctx, args: &DemoArgs) -> Result<(), CliError> {
    let scratch = Scratch::new(args.keep.as_deref())?;
    let ctx = Ctx {
        out: ctx.out.clone(),
        state: StateDir::locate(Some(&scratch.path))?,
        yes: true,
        dry_run: false,
        verbose: ctx.verbose,
    };
    if ctx.dry_run {
        return Ok(());
    }
    let mut demo = Demo::set_up(&ctx, args)?;
    demo.good_roll()?;
    demo.bad_roll()?;
    if args.keep.is_some() {
        let dir = scratch.path.display();
        ctx.out.say(&format!("the pool is kept; look around: lifeboat --state-dir {dir} pool show demo"));
    }
    Ok(())
}

/// The folder of the demonstration; removed at the end unless it is to be kept.
struct Scratch {
    path: PathBuf,
    remove: bool,
}

impl Scratch {
    fn new(keep: Option<&Path>) -> Result<Self, CliError> {
        let path = match keep {
            Some(path) => {
                StateDir::make_dir(path)?;
                std::fs::canonicalize(path)
                    .map_err(|source| crate::error::file_error("finding the directory", path, source))?
            }
            None => std::env::temp_dir().join(format!("lifeboat-demo-{}", std::process::id())),
        };
        StateDir::make_dir(&path)?;
        Ok(Self { path, remove: keep.is_none() })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.remove {
            // What cannot be removed lies in the folder for temporary files.
            drop(std::fs::remove_dir_all(&self.path));
        }
    }
}

struct Demo<'a> {
    ctx: &'a Ctx,
    pool: SimPool,
    key: SecretKey,
    mode: ClockMode,
}

impl<'a> Demo<'a> {
    fn set_up(ctx: &'a Ctx, args: &DemoArgs) -> Result<Self, CliError> {
        let mut random = [0_u8; 32];
        getrandom::fill(&mut random)
            .map_err(|error| CliError::new(Kind::Failed, format!("random bytes from the kernel: {error}")))?;
        let key = SecretKey::from_random(random, "demo")
            .map_err(|cause| CliError::new(Kind::Failed, "making a key").because(cause))?;
        let trust = TrustStore::new(vec![key.public()])
            .map_err(|cause| CliError::new(Kind::Failed, "trusting a key").because(cause))?;
        let name = PoolName::new("demo").map_err(|cause| CliError::usage("a pool's name").because(cause))?;
        let dir = ctx.state.pool_dir(&name).join("sim");
        let (_, bundle) = make_release(ctx, &key, "1.0", 1, &SimKernel::always(Behaviour::Good))?;
        let spec = SimSpec {
            pool: name.clone(),
            hosts: args.hosts,
            guests: args.guests,
            features: super::pool_sim::features(),
            ..SimSpec::default()
        };
        let mode = if args.fast { ClockMode::Virtual } else { ClockMode::Scaled { factor: SPEED } };
        ctx.out.say(&format!(
            "Setting up a simulated pool: {} hosts, {} guests. Every host has a disk image with two boot banks.",
            args.hosts, args.guests
        ));
        let pool = SimPool::create(&dir, &spec, &bundle, &trust, mode).map_err(pool_error)?;
        ctx.state.add_pool(&name, DriverKind::Sim, &dir, SPEED)?;
        Ok(Self { ctx, pool, key, mode })
    }

    fn good_roll(&mut self) -> Result<(), CliError> {
        self.heading("1. A good release reaches every host");
        let good = SimKernel::always(Behaviour::Good);
        let end = self.roll("2.0", 2, &good)?;
        if end != RollEnd::Completed {
            return Err(unexpected("release 2.0 should have reached every host", &end));
        }
        self.guests_are_well()
    }

    fn bad_roll(&mut self) -> Result<(), CliError> {
        let victim = self.victim()?;
        self.heading(&format!("2. A bad release: its kernel panics on {victim}"));
        let bad = SimKernel::always(Behaviour::Good).except(victim.clone(), Behaviour::Panic);
        let end = self.roll("3.0", 3, &bad)?;
        let RollEnd::Stopped { reason } = &end else {
            return Err(unexpected(&format!("the roll should have stopped at {victim}"), &end));
        };
        self.guests_are_well()?;
        let say = |text: &str| self.ctx.out.say(text);
        say("");
        say(&format!("What happened: {reason}."));
        say("No hand was on it: the one-shot boot was used up, and the firmware took the old bank.");
        let world = self.pool.observe().map_err(pool_error)?;
        let back = world.host(&victim);
        let serves = back.is_some_and(|host| !host.maintenance && host.reachable);
        let version =
            back.and_then(|host| host.version.as_ref()).map(ToString::to_string).unwrap_or_default();
        if !serves || version != "2.0" {
            return Err(unexpected(&format!("{victim} should serve with 2.0"), &end));
        }
        say(&format!(
            "{victim} serves with {version}; no further host was touched; every feature is restored."
        ));
        Ok(())
    }

    /// A host in the middle of the order: some are upgraded before it, some wait behind it.
    fn victim(&mut self) -> Result<HostId, CliError> {
        let world = self.pool.observe().map_err(pool_error)?;
        let release = ReleaseRef {
            name: "sim-host".to_owned(),
            version: ReleaseVersion("3.0".to_owned()),
            serial: 3,
            digest: Sha256Hex::of(b"to learn the order"),
        };
        let plan = plan(&world, &release)?;
        let victim = plan.steps.get(plan.steps.len() / 2).map(|step| step.host.clone());
        victim.ok_or_else(|| CliError::new(Kind::Bug, "the plan has no steps"))
    }

    /// Makes a release, plans, shows the plan, and carries it out.
    fn roll(&mut self, version: &str, serial: u64, kernel: &SimKernel) -> Result<RollEnd, CliError> {
        let (release, bundle) = make_release(self.ctx, &self.key, version, serial, kernel)?;
        self.pool.offer_bundle(&bundle).map_err(pool_error)?;
        let world = self.pool.observe().map_err(pool_error)?;
        let plan = plan(&world, &release)?;
        let source = PlanSource {
            schema: 1,
            bundle,
            trust: self.key.public().to_text(),
            pool_id: String::new(),
            policy: None,
        };
        let (hash, _) = self.ctx.state.keep_plan(&plan, &source)?;
        self.ctx.out.say(&format!("plan {}: {}", hash.short(), summary(&plan).trim_end()));
        if self.mode != ClockMode::Virtual {
            self.ctx.out.say(&format!("(simulated time: one second here is {SPEED} seconds in the pool)\n"));
        }
        let mut store = open_store(self.ctx)?;
        let id = new_roll_id()?;
        let context = serde_json::to_string(&source)
            .map_err(|cause| CliError::new(Kind::Bug, "writing the source of a plan").because(cause))?;
        let mut view = live(self.ctx, &id)?;
        let mut executor = Executor::start(
            &mut store,
            &mut self.pool,
            &id,
            &plan,
            &hash,
            &context,
            options(plan.steps.len()),
        )
        .map_err(executor_error)?;
        let end = executor.run(&mut view).map_err(executor_error)?;
        view.draw(executor.snapshot(), true);
        if matches!(end, RollEnd::Stopped { .. }) {
            self.ctx.out.say(&format!("\nWhat to do: {}", advice(executor.journal())));
        }
        Ok(end)
    }

    /// The proof that no guest noticed.
    fn guests_are_well(&mut self) -> Result<(), CliError> {
        let lives: Vec<_> = self.pool.guest_lives().map(|(_, life)| life.clone()).collect();
        let suffered = lives.iter().filter(|life| life.lost || life.restarts > 0).count();
        if suffered > 0 || !self.pool.guests_lost().is_empty() {
            return Err(CliError::new(Kind::Bug, format!("{suffered} guests were lost or restarted")));
        }
        let moves: u32 = lives.iter().map(|life| life.moves).sum();
        let text =
            format!("{} guests run, none was restarted or lost; {moves} live migrations so far", lives.len());
        self.ctx.out.say(&text);
        Ok(())
    }

    fn heading(&self, text: &str) {
        self.ctx.out.say(&format!("\n{}", self.ctx.out.paint(text, Paint::Strong)));
    }
}

fn plan(world: &World, release: &ReleaseRef) -> Result<Plan, CliError> {
    let policy = Policy { max_in_flight: InFlight::Hosts(2), ..Policy::default() };
    let options = lifeboat_plan::Options { timing: timing(), ..lifeboat_plan::Options::default() };
    lifeboat_plan::plan(world, release, &policy, &options)
        .map_err(|cause| CliError::new(Kind::Failed, "planning").because(cause))
}

/// What a turn takes in the simulated pool: check, state, maintenance, stage, install, boot, health.
fn timing() -> Timing {
    Timing { upgrade: Millis::from_secs(273), ..Timing::default() }
}

fn make_release(
    ctx: &Ctx,
    key: &SecretKey,
    version: &str,
    serial: u64,
    kernel: &SimKernel,
) -> Result<(ReleaseRef, PathBuf), CliError> {
    let created = SimSpec::default().start;
    let (release, bytes) = build_sim_bundle(version, serial, kernel, seconds(created), key)
        .map_err(|cause| CliError::new(Kind::Failed, format!("building release {version}")).because(cause))?;
    let folder = ctx.state.root().join("releases");
    StateDir::make_dir(&folder)?;
    let path = folder.join(format!("{}-{version}.lfb", release.name));
    crate::files::replace(&path, 0o600, |file| std::io::Write::write_all(file, &bytes))?;
    Ok((release, path))
}

fn seconds(time: Timestamp) -> u64 {
    time.0 / 1000
}

fn unexpected(what: &str, end: &RollEnd) -> CliError {
    CliError::new(Kind::Bug, format!("{what}, but it ended with {end:?}")).remedy("please report it")
}

fn pool_error(cause: lifeboat_hypervisor::DriverError) -> CliError {
    CliError::new(Kind::Failed, "the simulated pool").because(cause)
}
