//! `bench images`: installs of a whole host image beside other tools, full and from the release before.
//!
//! Owns: the order of the runs. Promises: every way does the same work on the same bytes in turn, and what it left is
//! compared with the image byte for byte; a way whose program is missing is named with the reason. Does not: judge.

mod chart;
mod check;
mod inputs;
mod options;
mod ours;
mod page;
mod peers;
mod run;
mod ways;

use crate::Failure;
use crate::report::load_average;
use check::Checks;
use inputs::Place;
use options::ImagesOptions;
use run::Sample;
use ways::{Kind, Way, ways};

pub(crate) use check::child as check_child;
pub(crate) use run::child as run_child;

/// What came of one way.
#[derive(Debug)]
struct Row {
    way: Way,
    outcome: Result<Figures, String>,
}

#[derive(Debug, Clone)]
struct Figures {
    samples: Vec<Sample>,
    /// Bytes that a host would have to fetch.
    bytes: Option<u64>,
}

impl Figures {
    fn median(&self, of: impl Fn(&Sample) -> f64) -> f64 {
        let mut values: Vec<f64> = self.samples.iter().map(of).collect();
        crate::report::quantile(&mut values, 0.5)
    }

    fn wall(&self) -> f64 {
        self.median(|sample| sample.wall)
    }

    fn cpu(&self) -> f64 {
        self.median(|sample| sample.cpu)
    }

    /// Most memory of one process in any round, in MiB.
    fn rss(&self) -> f64 {
        self.samples.iter().map(|sample| sample.rss_mib).fold(0.0, f64::max)
    }

    fn spread(&self) -> (f64, f64) {
        let walls = self.samples.iter().map(|sample| sample.wall);
        walls.fold((f64::INFINITY, 0.0), |(least, most), wall| (least.min(wall), most.max(wall)))
    }
}

/// Everything that was measured.
#[derive(Debug)]
struct Measured {
    rows: Vec<Row>,
    checks: Checks,
    load: (String, String),
    rounds: usize,
    disk: bool,
    inputs: String,
}

pub(crate) fn run(args: &[String]) -> Result<(), Failure> {
    let options = ImagesOptions::parse(args)?;
    let place = Place::prepare(&options)?;
    let load_before = load_average();
    let mut rows = Vec::new();
    for way in ways() {
        if options.only.as_ref().is_some_and(|only| !way.name.contains(only.as_str())) {
            continue;
        }
        eprintln!("preparing {}", way.name);
        let outcome = place.prepare_way(&way).map(|bytes| Figures { samples: Vec::new(), bytes });
        rows.push(Row { way, outcome });
    }
    for round in 0..options.rounds {
        // Each round begins with another way, so that none always follows the same neighbour.
        let len = rows.len().max(1);
        for index in 0..rows.len() {
            let Some(row) = rows.get_mut((index + round * 5) % len) else { continue };
            let Ok(figures) = &mut row.outcome else { continue };
            match place.measure(&row.way) {
                Ok(sample) => {
                    eprintln!("round {}: {}: {:.2} s", round + 1, row.way.name, sample.wall);
                    figures.samples.push(sample);
                }
                Err(error) => row.outcome = Err(error.to_string()),
            }
        }
    }
    // Some bytes are known only after a run.
    for row in &mut rows {
        if let Ok(figures) = &mut row.outcome
            && figures.bytes.is_none()
        {
            figures.bytes = place.bytes(&row.way)?;
        }
    }
    let checks = if options.only.is_some() { Checks::default() } else { check::run(&place)? };
    let measured = Measured {
        rows,
        checks,
        load: (load_before, load_average()),
        rounds: options.rounds,
        disk: options.disk.is_some(),
        inputs: place.describe()?,
    };
    place.clean();
    let text = page::markdown(&measured)?;
    println!("{text}");
    if let Some(docs) = &options.write {
        std::fs::write(docs.join("bench-images.md"), page::whole(&text))?;
        chart::write(&docs.join("images/bench-images.svg"), &measured)?;
    }
    Ok(())
}

/// Rows of a kind that came to figures.
fn of_kind(measured: &Measured, kind: Kind) -> Vec<(&Way, &Figures)> {
    let rows = measured.rows.iter().filter(|row| row.way.kind == kind);
    let mut good: Vec<(&Way, &Figures)> =
        rows.filter_map(|row| Some((&row.way, row.outcome.as_ref().ok()?))).collect();
    good.sort_by(|a, b| a.1.wall().total_cmp(&b.1.wall()));
    good
}
