//! Orders from outside for the process that has the pool open.
//!
//! ```text
//! inbox/NUMBER-PID.json      orders that wait, the oldest first by name
//! inbox/NUMBER-PID.refused   orders that could not be carried out, for a person to look at
//! ```
//!
//! Promises: an order is there whole or not at all; it is carried out once, also if the controller dies while it does
//! so: what was carried out stands in `sim.json` until its file is gone. A file that cannot be read stops nothing.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::order::SimOrder;
use super::pool::SimPool;
use super::state::write_durably;
use crate::DriverError;

const INBOX: &str = "inbox";
/// Number of the form of a file that is written here.
const SCHEMA: u32 = 1;
/// Largest file that is read.
const LIMIT: u64 = 1 << 20;

#[derive(Debug, Serialize, Deserialize)]
struct Letter {
    schema: u32,
    orders: Vec<SimOrder>,
}

/// Leaves orders for the process that has the pool in `dir` open; it takes them the next time it looks for news.
/// Without such a process they wait for the next one.
///
/// # Errors
/// [`DriverError::File`] if the file cannot be written.
pub fn leave_orders(dir: &Path, orders: &[SimOrder]) -> Result<(), DriverError> {
    let inbox = dir.join(INBOX);
    let file = |doing| {
        let path = inbox.display().to_string();
        move |source| DriverError::File { doing, path, source }
    };
    fs::create_dir_all(&inbox).map_err(file("making the folder"))?;
    let letter = Letter { schema: SCHEMA, orders: orders.to_vec() };
    let bytes = serde_json::to_vec(&letter).map_err(|error| file("writing")(error.into()))?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    write_durably(&inbox, &format!("{:020}-{}.json", since.as_nanos(), std::process::id()), &bytes)
}

fn read(path: &Path) -> Result<Vec<SimOrder>, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LIMIT {
        return Err(format!("it is larger than {LIMIT} bytes"));
    }
    let letter: Letter = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    if letter.schema == SCHEMA {
        Ok(letter.orders)
    } else {
        Err(format!("its schema is {}, and this program knows {SCHEMA}", letter.schema))
    }
}

fn is_letter(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "json")
}

impl SimPool {
    /// Whether orders wait.
    pub(super) fn has_letters(&self) -> bool {
        let Some(dir) = &self.dir else { return false };
        let mut entries = fs::read_dir(dir.join(INBOX)).into_iter().flatten().flatten();
        entries.any(|entry| is_letter(&entry.file_name().to_string_lossy()))
    }

    /// Carries out what was left in the inbox.
    pub(super) fn take_inbox(&mut self) -> Result<(), DriverError> {
        let Some(inbox) = self.dir.as_ref().filter(|_| !self.looks).map(|dir| dir.join(INBOX)) else {
            return Ok(());
        };
        let file = |doing: &'static str, path: &Path| {
            let path = path.display().to_string();
            move |source| DriverError::File { doing, path, source }
        };
        let entries = match fs::read_dir(&inbox) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(file("reading the folder", &inbox)(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(file("reading the folder", &inbox))?.file_name();
            names.extend(name.into_string().ok().filter(|name| is_letter(name)));
        }
        names.sort();
        for name in names {
            let path = inbox.join(&name);
            if !self.state.taken.contains(&name) {
                let done = read(&path).and_then(|orders| self.carry_out(&orders));
                if let Err(reason) = done {
                    let refused = format!("{}\n{reason}\n", fs::read_to_string(&path).unwrap_or_default());
                    write_durably(&inbox, &name.replace(".json", ".refused"), refused.as_bytes())?;
                }
                self.state.taken.insert(name.clone());
                self.touch();
                self.save()?;
            }
            fs::remove_file(&path).map_err(file("removing", &path))?;
            self.state.taken.remove(&name);
        }
        Ok(())
    }

    /// Every order is carried out, whatever became of those before it.
    fn carry_out(&mut self, orders: &[SimOrder]) -> Result<(), String> {
        let mut reasons = Vec::new();
        for order in orders {
            if let Err(error) = self.order(order) {
                reasons.push(error.to_string());
            }
        }
        if reasons.is_empty() { Ok(()) } else { Err(reasons.join("\n")) }
    }
}
