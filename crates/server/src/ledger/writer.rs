//! The thread that writes the ledger.
//!
//! Owns: the file and the order of entries. Promises: whoever waits for an entry goes on when it is on stable
//! storage and in the book; what many give at the same time is flushed once. Does not: decide.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::oneshot;

use super::file::LedgerFile;
use super::{Book, Entry, LedgerError};

/// Size from which the file may be rewritten.
const COMPACT_BYTES: u64 = 16 << 20;
/// Most entries that are flushed at once.
const BATCH: usize = 4096;

struct Batch {
    entries: Vec<Entry>,
    done: oneshot::Sender<Result<Vec<bool>, Arc<LedgerError>>>,
}

/// The ledger of a controller.
#[derive(Debug)]
pub struct Ledger {
    book: Arc<Mutex<Book>>,
    queue: Sender<Batch>,
}

impl Ledger {
    /// Opens the file at `path`, or makes one.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let (file, entries) = LedgerFile::open(path)?;
        let mut book = Book::default();
        for entry in &entries {
            book.apply(entry);
        }
        let book = Arc::new(Mutex::new(book));
        let (queue, work) = channel();
        let shared = Arc::clone(&book);
        thread::spawn(move || write_for_ever(file, &shared, &work));
        Ok(Self { book, queue })
    }

    /// What is known now.
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds entries, all or none; for each, whether it changed anything.
    pub async fn append(&self, entries: Vec<Entry>) -> Result<Vec<bool>, Arc<LedgerError>> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let (done, wait) = oneshot::channel();
        let broken = || Arc::new(LedgerError::Broken);
        self.queue.send(Batch { entries, done }).map_err(|_| broken())?;
        wait.await.map_err(|_| broken())?
    }
}

fn write_for_ever(mut file: LedgerFile, book: &Mutex<Book>, work: &Receiver<Batch>) {
    let mut compact_at = COMPACT_BYTES.max(file.len() * 2);
    while let Ok(first) = work.recv() {
        let mut batches = vec![first];
        let mut count = batches.iter().map(|batch| batch.entries.len()).sum::<usize>();
        while count < BATCH
            && let Ok(next) = work.try_recv()
        {
            count += next.entries.len();
            batches.push(next);
        }
        let entries: Vec<&Entry> = batches.iter().flat_map(|batch| &batch.entries).collect();
        match file.append(&entries) {
            Ok(()) => {
                for batch in batches {
                    let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
                    let changed = batch.entries.iter().map(|entry| book.apply(entry)).collect();
                    drop(book);
                    // Whoever went away does not need to know.
                    let _ = batch.done.send(Ok(changed));
                }
            }
            Err(error) => {
                eprintln!("lifeboatd: {}", lifeboat_model::chain(&error));
                let error = Arc::new(error);
                for batch in batches {
                    let _ = batch.done.send(Err(Arc::clone(&error)));
                }
            }
        }
        if file.len() > compact_at {
            let entries = book.lock().unwrap_or_else(PoisonError::into_inner).entries();
            if let Err(error) = file.rewrite(&entries) {
                eprintln!("lifeboatd: {}", lifeboat_model::chain(&error));
            }
            compact_at = COMPACT_BYTES.max(file.len() * 2);
        }
    }
}
