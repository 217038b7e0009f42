//! Reading an image back and comparing it with its chunks, hashed on [`WORKERS`] threads.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{channel, sync_channel};
use std::thread;

use lifeboat_model::image::ImageTarget;

use super::WORKERS;
use super::steps::{Group, groups};
use crate::chunk::hash::ChunkHash;
use crate::chunk::index::ChunkIndex;

/// Groups on their way to a worker.
const IN_FLIGHT: usize = 3;

/// The first chunk that is not as it must be: its number and its first byte.
pub(super) fn compare(index: &ChunkIndex, target: &mut dyn ImageTarget) -> io::Result<Option<(usize, u64)>> {
    let wrong = each(index, target, true)?;
    let first = wrong.into_iter().min();
    Ok(first.and_then(|number| index.placed().nth(number).map(|(at, _)| (number, at))))
}

/// Which chunks lie where they belong, by number.
pub(super) fn in_place(index: &ChunkIndex, target: &mut dyn ImageTarget) -> io::Result<Vec<bool>> {
    let mut there = vec![true; index.chunks.len()];
    for number in each(index, target, false)? {
        if let Some(there) = there.get_mut(number) {
            *there = false;
        }
    }
    Ok(there)
}

/// Numbers of the chunks that differ; with `first_only` the search ends soon after the first one.
fn each(index: &ChunkIndex, target: &mut dyn ImageTarget, first_only: bool) -> io::Result<Vec<usize>> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let mut workers = Vec::new();
        for _ in 0..WORKERS {
            let (give, taken) = sync_channel::<(Group, Vec<u8>)>(IN_FLIGHT);
            let (give_back, spare) = channel::<Vec<u8>>();
            let stop = &stop;
            let worker = scope.spawn(move || {
                let mut wrong = Vec::new();
                for (group, bytes) in taken {
                    compare_group(index, group, &bytes, &mut wrong);
                    if !wrong.is_empty() {
                        stop.store(true, Ordering::Relaxed);
                    }
                    // The reader takes nothing back at the end.
                    let _ = give_back.send(bytes);
                }
                wrong
            });
            workers.push((give, spare, worker));
        }
        let mut read_all = || {
            let mut turn = workers.iter().cycle();
            for group in groups(index) {
                let Some((give, spare, _)) = turn.next() else { break };
                if first_only && stop.load(Ordering::Relaxed) {
                    break;
                }
                let mut bytes = spare.try_recv().unwrap_or_default();
                bytes.resize(group.len, 0);
                target.read_at(group.at, &mut bytes)?;
                target.reached(group.at + group.len as u64);
                if give.send((group, bytes)).is_err() {
                    break;
                }
            }
            Ok(())
        };
        let read: io::Result<()> = read_all();
        let mut wrong = Vec::new();
        for (give, spare, worker) in workers {
            drop((give, spare));
            match worker.join() {
                Ok(found) => wrong.extend(found),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        read.map(|()| wrong)
    })
}

fn compare_group(index: &ChunkIndex, group: Group, bytes: &[u8], wrong: &mut Vec<usize>) {
    let mut rest = bytes;
    for (number, chunk) in index.chunks.iter().enumerate().skip(group.first).take(group.count) {
        let Some((here, after)) = rest.split_at_checked(chunk.len as usize) else {
            wrong.push(number);
            return;
        };
        rest = after;
        if ChunkHash::of(here) != chunk.hash {
            wrong.push(number);
        }
    }
}
