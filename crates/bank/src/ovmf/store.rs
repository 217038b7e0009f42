//! Reading and changing variables in the image.

use std::ops::Range;

use super::layout::{DELETED, OvmfError, Record, encode_record, find_store, walk};
use crate::bytes::put;
use crate::efi::{Var, VarError, VarName, VarStore};
use crate::guid::Guid;

/// Longest variable with header, name and data that OVMF builds with 4 MiB of flash accept.
const LARGEST: usize = 0x8400;
/// Attributes that a stored variable may have here: non-volatile, boot services, runtime. All others ask for a
/// signature, a special store, or were withdrawn.
const PLAIN: u32 = 7;

/// The variable store inside a firmware image that is held in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OvmfVars {
    image: Vec<u8>,
    store: Range<usize>,
}

impl OvmfVars {
    /// Opens an image. Every record is checked now, so that later calls cannot meet a damaged one.
    pub fn open(image: Vec<u8>) -> Result<Self, OvmfError> {
        let store = find_store(&image)?;
        walk(&image, &store)?;
        Ok(Self { image, store })
    }

    /// The image as it is to be written to its file.
    pub fn image(&self) -> &[u8] {
        &self.image
    }

    /// Gives the image back.
    #[must_use]
    pub fn into_image(self) -> Vec<u8> {
        self.image
    }

    /// Bytes at the end of the store that no record uses. Dead records free more when room is needed.
    pub fn free(&self) -> usize {
        self.store.end - self.records().1
    }

    /// Records and the position behind them. The walk was good at opening and every change keeps it so.
    fn records(&self) -> (Vec<Record>, usize) {
        walk(&self.image, &self.store).unwrap_or((Vec::new(), self.store.end))
    }

    /// The record that holds the value: one that is settled, else one whose successor never came.
    fn find(&self, name: &VarName) -> Option<Record> {
        let (records, _) = self.records();
        let mut of_name = records.into_iter().filter(|r| r.lives() && r.name.as_ref() == Some(name));
        let first = of_name.next()?;
        if first.settled() { Some(first) } else { of_name.find(Record::settled).or(Some(first)) }
    }

    /// Marks all living records of a name dead, but for the one at `keep`.
    fn kill(&mut self, name: &VarName, keep: Option<usize>) {
        for record in self.records().0 {
            if record.lives() && record.name.as_ref() == Some(name) && Some(record.at) != keep {
                put(&mut self.image, record.at + 2, &[DELETED]);
            }
        }
    }

    /// Living records, moved together; the rest of the store becomes erased flash.
    fn without_dead(&self, but: &VarName) -> Vec<u8> {
        let (records, _) = self.records();
        let mut out = Vec::new();
        for record in &records {
            let shadowed = !record.settled()
                && records
                    .iter()
                    .any(|other| other.settled() && other.name == record.name && other.name.is_some());
            if record.lives() && !shadowed && record.name.as_ref() != Some(but) {
                out.extend_from_slice(self.image.get(record.at..record.data.end).unwrap_or_default());
                out.resize(out.len().next_multiple_of(4), 0xff);
            }
        }
        out
    }
}

fn var_name(name: &str, vendor: &Guid) -> VarName {
    VarName { vendor: *vendor, name: name.to_owned() }
}

impl VarStore for OvmfVars {
    fn get(&self, name: &str, vendor: &Guid) -> Result<Option<Var>, VarError> {
        let record = self.find(&var_name(name, vendor));
        Ok(record.map(|record| Var {
            attributes: record.attributes,
            data: self.image.get(record.data).unwrap_or_default().to_vec(),
        }))
    }

    fn set(&mut self, name: &str, vendor: &Guid, var: &Var) -> Result<(), VarError> {
        let name = var_name(name, vendor);
        let refused = |why| VarError::Refused { name: name.name.clone(), why };
        if var.attributes & !PLAIN != 0 {
            return Err(refused("its attributes ask for a signature or a special store"));
        }
        if var.attributes & 1 == 0 {
            return Err(refused("it is volatile, and this store keeps only what survives a reset"));
        }
        if var.data.is_empty() || name.name.is_empty() || name.name.contains('\0') {
            return Err(refused("its name or its data is empty, or its name holds a NUL"));
        }
        if self.get(&name.name, vendor)?.is_some_and(|old| old.attributes & !PLAIN != 0) {
            return Err(refused("the one that is there can be replaced only by a signed one"));
        }
        let record = encode_record(&name, var);
        if record.len() > LARGEST {
            return Err(refused("it is larger than the firmware accepts"));
        }
        let end = self.records().1;
        if end + record.len() <= self.store.end {
            // Whatever lies behind the last record is unused; erased, it cannot be taken for a record.
            if let Some(rest) = self.image.get_mut(end..self.store.end) {
                rest.fill(0xff);
            }
            put(&mut self.image, end, &record);
            self.kill(&name, Some(end));
            return Ok(());
        }
        let mut kept = self.without_dead(&name);
        let free = self.store.len().saturating_sub(kept.len());
        if record.len() > free {
            return Err(VarError::Full { name: name.name, needs: record.len(), free });
        }
        kept.extend_from_slice(&record);
        kept.resize(self.store.len(), 0xff);
        put(&mut self.image, self.store.start, &kept);
        Ok(())
    }

    fn delete(&mut self, name: &str, vendor: &Guid) -> Result<(), VarError> {
        let name = var_name(name, vendor);
        if self.get(&name.name, vendor)?.is_some_and(|old| old.attributes & !PLAIN != 0) {
            let why = "it can be removed only by a signed request";
            return Err(VarError::Refused { name: name.name, why });
        }
        self.kill(&name, None);
        Ok(())
    }

    fn list(&self) -> Result<Vec<VarName>, VarError> {
        let (records, _) = self.records();
        let mut names: Vec<VarName> =
            records.into_iter().filter(Record::lives).filter_map(|record| record.name).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }
}
