//! `bench journal`: durable appends, beside a plain file.
//!
//! Owns: the samples. Promises: every sample of the store has one of the plain file right after it, with the same
//! bytes. Does not: pull the plug; whether the disk keeps what it acknowledges is the disk's matter.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use lifeboat_model::{Effect, Event, EventKind, Outcome, Policy, RollId, Timestamp};
use lifeboat_plan::{Options as PlanOptions, plan};
use lifeboat_store::{Holder, RollRow, Store, Tail};

use crate::pools::{Mix, Rule, Shape, pool, target};
use crate::report::{Report, float, quantile};
use crate::{Failure, Options};

const BENCH: &str = "journal";

/// Measures, and adds to the report.
pub(crate) fn run(options: &Options, report: &mut Report) -> Result<(), Failure> {
    let folder = options.dir.join(format!("lifeboat-bench-journal-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let done = measure(options, &folder, report);
    std::fs::remove_dir_all(&folder)?;
    done
}

fn measure(options: &Options, folder: &Path, report: &mut Report) -> Result<(), Failure> {
    let mut store = Store::open(&folder.join("journal.db"))?;
    let mut raw = OpenOptions::new().append(true).create(true).open(folder.join("plain"))?;
    let world = pool(Shape { hosts: 3, gib: 64, percent: 45, seed: 1, rule: Rule::None, mix: Mix::Azure })?;
    let made = plan(&world, &target(), &Policy::default(), &PlanOptions::default())?;
    let id = RollId::new("bench")?;
    store.create_roll(&id, &made, &made.hash()?, "{}", Timestamp(1))?;
    let holder = Holder { name: "bench".to_owned(), since: "now".to_owned() };
    let lease = store.lease(&made.pool, holder)?;
    let row = store.roll(&id)?;
    let mut tail = Tail::of(&row, &[], lease.fence);
    let host = world.hosts().next().ok_or("the pool is empty")?.id.clone();
    for batch in [1_usize, 10] {
        let kinds: Vec<EventKind> = (0..batch.div_ceil(2))
            .flat_map(|_| {
                let effect = Effect::Stage { host: host.clone(), release: target() };
                let key = effect.key();
                let outcome = Outcome::Done { detail: None };
                [
                    EventKind::Intent { key: key.clone(), attempt: 1, effect },
                    EventKind::Outcome { key, outcome },
                ]
            })
            .take(batch)
            .collect();
        let (mut ours, mut plain) = (Vec::new(), Vec::new());
        let mut bytes = 0;
        let count = if batch == 1 { options.appends } else { options.appends / 2 };
        for _ in 0..count {
            let (events, millis) = append(&mut store, &row, &mut tail, &kinds)?;
            ours.push(millis);
            let mut text = Vec::new();
            for event in &events {
                serde_json::to_writer(&mut text, event)?;
                text.push(b'\n');
            }
            bytes = text.len();
            plain.push(write(&mut raw, &text)?);
        }
        let what = if batch == 1 { "1 event".to_owned() } else { format!("{batch} events") };
        let (p50, p99, rate) = figures(&mut ours, batch);
        let (plain50, plain99, plain_rate) = figures(&mut plain, batch);
        let note = format!("{count} appends; plain file, {bytes} bytes + fdatasync: {plain50:.3} ms");
        report.add(BENCH, format!("{what}: p50"), p50, "ms", note);
        report.add(BENCH, format!("{what}: p99"), p99, "ms", format!("plain file {plain99:.3} ms"));
        report.add(BENCH, format!("{what}: rate"), rate, "events/s", format!("plain file {plain_rate:.0}"));
        report.add(BENCH, format!("{what}: p50 ratio"), p50 / plain50, "", "store / plain file; 1 is best");
    }
    Ok(())
}

fn append(
    store: &mut Store,
    row: &RollRow,
    tail: &mut Tail,
    kinds: &[EventKind],
) -> Result<(Vec<Event>, f64), Failure> {
    let began = Instant::now();
    let events = store.append(row, tail, kinds, Timestamp(2), None)?;
    Ok((events, began.elapsed().as_secs_f64() * 1e3))
}

fn write(file: &mut File, text: &[u8]) -> Result<f64, Failure> {
    let began = Instant::now();
    file.write_all(text)?;
    file.sync_data()?;
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

/// Median, 99th percentile, and events per second over all samples.
fn figures(millis: &mut [f64], batch: usize) -> (f64, f64, f64) {
    let all: f64 = millis.iter().sum();
    let rate = float(millis.len() * batch) / all * 1e3;
    (quantile(millis, 0.5), quantile(millis, 0.99), rate)
}
