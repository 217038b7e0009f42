//! One roll, in a process of its own.
//!
//! Owns: the pool, its store in a folder of its own, the figures as one line of JSON. Promises: the folder is removed.
//! Does not: fail when the roll does not come to its end within the limit; it tells so.

use std::path::Path;
use std::time::{Duration, Instant};

use lifeboat_executor::{Executor, ExecutorError, Options};
use lifeboat_hypervisor::Hypervisor;
use lifeboat_hypervisor::sim::{Behaviour, ClockMode, SimKernel, SimPool, SimSpec};
use lifeboat_model::{InFlight, Policy, RollId};
use lifeboat_plan::{Options as PlanOptions, plan};
use lifeboat_store::{Holder, Store};
use serde_json::{Value, json};

use super::clocked::{Clocked, Watch};
use crate::Failure;
use crate::pools::{Mix, Rule, Shape, before, pool, target};
use crate::report::peak_rss_mib;

/// `roll-one HOSTS GIB IN-FLIGHT LIMIT FOLDER`: one roll, and how it went.
pub(crate) fn child(args: &[String]) -> Result<(), Failure> {
    let [hosts, gib, in_flight, limit, folder] = args else {
        return Err("roll-one needs hosts, GiB, hosts in flight, a limit in seconds and a folder".into());
    };
    let shape = Shape {
        hosts: hosts.parse()?,
        gib: gib.parse()?,
        percent: 70,
        seed: 1,
        rule: Rule::None,
        mix: Mix::Azure,
    };
    let folder = Path::new(folder).join(format!("lifeboat-bench-roll-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let told = measure(shape, in_flight.parse()?, Duration::from_secs(limit.parse()?), &folder);
    std::fs::remove_dir_all(&folder)?;
    println!("{}", told?);
    Ok(())
}

/// Longest wait for news, in the pool's time.
const WAIT: Duration = Duration::from_secs(5);
/// How long further news are waited for, in the pool's time.
const GATHER: Duration = Duration::from_secs(2);

fn measure(shape: Shape, in_flight: u32, limit: Duration, folder: &Path) -> Result<Value, Failure> {
    let spec =
        SimSpec { hosts: u32::try_from(shape.hosts)?, disks: false, progress_steps: 0, ..SimSpec::default() };
    let mut sim = {
        let inventory = pool(shape)?;
        SimPool::in_memory_of(&spec, &inventory, before(), ClockMode::Virtual)?
    };
    sim.offer_release(target(), SimKernel::always(Behaviour::Good))?;
    let policy = Policy { max_in_flight: InFlight::Hosts(in_flight), ..Policy::default() };
    let (made, guests, plan_s) = {
        let world = sim.observe()?;
        let began = Instant::now();
        let made = plan(&world, &target(), &policy, &PlanOptions::default())?;
        (made, world.guests().len(), began.elapsed().as_secs_f64())
    };
    let rss_before = peak_rss_mib();
    let (moves, hash, id) = (made.figures.moves.planned, made.hash()?, RollId::new("bench")?);
    let mut store = Store::open(&folder.join("lifeboat.db"))?;
    let mut driver = Clocked::new(sim);
    let sim_began = driver.now();
    let holder = Holder { name: "bench".to_owned(), since: "now".to_owned() };
    let began = Instant::now();
    // The clock of the pool is simulated: what happens within two of its seconds goes into one transaction, as what
    // happens within moments would at such a size.
    let options = Options { wait: WAIT, gather: GATHER, ..Options::new(holder) };
    let mut executor = Executor::start(&mut store, &mut driver, &id, &made, &hash, "{}", options)?;
    drop(made);
    let start_s = began.elapsed().as_secs_f64();
    let mut watch = Watch::new(limit);
    let began = Instant::now();
    let end = match executor.run(&mut watch) {
        Ok(end) => format!("{end:?}"),
        Err(ExecutorError::Left { .. }) => format!("NOT ENDED within {} s", limit.as_secs()),
        Err(error) => return Err(error.into()),
    };
    let seconds = began.elapsed().as_secs_f64();
    let committed = executor.journal().committed();
    drop(executor);
    let lost = driver.inner.guests_lost().len();
    if lost > 0 {
        return Err(format!("{lost} guests were lost").into());
    }
    let most_moves = driver.inner.guest_lives().map(|(_, life)| life.moves).max().unwrap_or(0);
    let (disk, files) = on_disk(folder)?;
    let known = [watch.append, driver.observe, driver.look, driver.order, driver.poll]
        .map(|spent| spent.time.as_secs_f64());
    let [append_s, observe_s, look_s, order_s, poll_s] = known;
    // The first look belongs to the start.
    let rest_s = seconds - known.iter().sum::<f64>();
    Ok(json!({
        "end": end, "seconds": seconds, "committed": committed, "guests": guests, "moves": moves,
        "most_moves": most_moves, "events": watch.events, "appends": watch.append.calls,
        "sim_hours": driver.now().since(sim_began).duration().as_secs_f64() / 3600.0,
        "plan_s": plan_s, "start_s": start_s, "append_s": append_s, "append_calls": watch.append.calls,
        "observe_s": observe_s, "observe_calls": driver.observe.calls,
        "look_s": look_s, "look_calls": driver.look.calls,
        "order_s": order_s, "order_calls": driver.order.calls,
        "poll_s": poll_s, "poll_calls": driver.poll.calls, "rest_s": rest_s,
        "disk_mib": disk, "files": files, "rss_mib": peak_rss_mib(), "rss_before_mib": rss_before,
    }))
}

/// Size of all files together in MiB, and each by name.
fn on_disk(folder: &Path) -> Result<(f64, String), Failure> {
    let mut files = Vec::new();
    let mut all = 0.0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let mib = f64::from(u32::try_from(entry.metadata()?.len() / 1024)?) / 1024.0;
        all += mib;
        files.push(format!("{} {mib:.1} MiB", entry.file_name().display()));
    }
    files.sort();
    Ok((all, files.join(", ")))
}
