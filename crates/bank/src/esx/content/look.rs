//! Looking through the files of several banks at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use lifeboat_model::io::ReadAt;
use serde::Serialize;

use super::roles::{BankContent, Role};
use crate::esx::EsxBank;
use crate::esx::archive::{Inspected, inspect};
use crate::esx::state::list_state;
use crate::fat::Extent;

/// What the content of a file turned out to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Look {
    /// Nobody looked.
    NotLooked,
    /// It is what it should be.
    Whole(Inspected),
    /// It is not; the words complete a sentence that begins with "it".
    Broken {
        /// What is wrong.
        why: String,
    },
}

/// A file to look through.
struct Job {
    bank: usize,
    file: usize,
    extents: Result<Vec<Extent>, String>,
    is_state: bool,
}

/// Looks through every file that belongs to its bank, with `threads` threads. `banks` and `contents` go together.
pub fn look_into(
    disk: &(dyn ReadAt + Sync),
    banks: &[EsxBank],
    contents: &mut [BankContent],
    threads: usize,
) {
    let mut jobs = jobs_of(disk, banks, contents);
    // The largest first, so that no thread is left alone with one at the end.
    jobs.sort_by_key(|job| std::cmp::Reverse(size(job)));
    let next = AtomicUsize::new(0);
    let looks = Mutex::new(Vec::new());
    let work = || {
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let look = look(disk, job);
            if let Ok(mut looks) = looks.lock() {
                looks.push((job.bank, job.file, look));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.clamp(1, 16) {
            scope.spawn(work);
        }
        work();
    });
    for (bank, file, look) in looks.into_inner().unwrap_or_default() {
        if let Some(file) = contents.get_mut(bank).and_then(|content| content.files.get_mut(file)) {
            file.look = look;
        }
    }
}

fn size(job: &Job) -> u64 {
    job.extents.iter().flatten().map(|extent| extent.len).sum()
}

fn jobs_of(disk: &dyn ReadAt, banks: &[EsxBank], contents: &[BankContent]) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (index, (bank, content)) in banks.iter().zip(contents).enumerate() {
        let chains = match &bank.volume {
            Some(view) => view.chains(disk),
            None => Err("lies on a volume that the loader cannot read".to_owned()),
        };
        for (number, file) in content.files.iter().enumerate() {
            if !file.role.belongs() || file.is_dir {
                continue;
            }
            let extents = chains
                .as_ref()
                .map_err(Clone::clone)
                .and_then(|chains| chains.extents(file.cluster, file.len));
            jobs.push(Job { bank: index, file: number, extents, is_state: file.role == Role::State });
        }
    }
    jobs
}

fn look(disk: &dyn ReadAt, job: &Job) -> Look {
    let extents = match &job.extents {
        Ok(extents) => extents,
        Err(why) => return Look::Broken { why: why.clone() },
    };
    match inspect(disk, extents) {
        Err(error) => Look::Broken { why: error.to_string() },
        Ok(inspected) if job.is_state => match list_state(disk, extents) {
            Ok(_) => Look::Whole(inspected),
            Err(error) => Look::Broken { why: error.to_string() },
        },
        Ok(inspected) => Look::Whole(inspected),
    }
}
