//! The two files of a restore: what is written, and what was there.
//!
//! Both are backups in form. Either brings the tree to its state, however much of the other was done.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use super::RestoreError;
use crate::compare::Listing;
use crate::form::{
    Backup, BackupWriter, Entry, FilePart, FormError, Index, Kind, Purpose, Record, SectionWriter,
};
use crate::path::RelPath;
use crate::root::{Section, section_of};

/// The section of paths that are taken away.
pub(super) const REMOVALS: &str = "removals";
/// Its document.
pub(super) const PATHS: &str = "paths";

/// What goes into a set.
pub(super) struct Content<'a> {
    /// Where entries and content come from.
    pub(super) source: &'a Backup,
    /// Entries of `source`, as they are to be.
    pub(super) listing: &'a Listing,
    /// Which of them.
    pub(super) paths: &'a BTreeSet<RelPath>,
    /// Content instead of that of `source`, also of files that it does not have.
    pub(super) written: &'a BTreeMap<RelPath, Vec<u8>>,
    /// Folders that are there, and get their present metadata again.
    pub(super) folders: &'a BTreeMap<RelPath, Entry>,
    /// Paths that are taken away.
    pub(super) removals: &'a [RelPath],
}

/// Writes a set into an open, empty file.
pub(super) fn write_set(
    content: &Content<'_>,
    purpose: Purpose,
    template: &Index,
    file: File,
    path: &Path,
) -> Result<File, RestoreError> {
    let mut writer = BackupWriter::new(file, path)?;
    let mut out = writer.section(REMOVALS)?;
    let json = serde_json::to_vec(content.removals).map_err(|source| FormError::Json {
        what: "the list of removals".to_owned(),
        path: path.to_owned(),
        source,
    })?;
    out.document(PATHS, &json)?;
    writer = out.finish()?;
    for section in Section::ALL {
        let out = writer.section(section.word())?;
        let set = SetSection { content, out, done: BTreeSet::new() };
        writer = set.write(section)?.finish()?;
    }
    let index =
        Index { purpose, sections: Vec::new(), left_out: Vec::new(), left_out_more: 0, ..template.clone() };
    let (file, _) = writer.finish(index)?;
    Ok(file)
}

struct SetSection<'a> {
    content: &'a Content<'a>,
    out: SectionWriter,
    done: BTreeSet<RelPath>,
}

impl SetSection<'_> {
    fn write(mut self, section: Section) -> Result<SectionWriter, RestoreError> {
        let content = self.content;
        // Folders that are there come in the section that a walk would give them.
        let of_folder = |path: &RelPath| section_of(path).unwrap_or(Section::Configuration);
        let mut own: BTreeMap<&RelPath, &Entry> =
            content.folders.iter().filter(|(path, _)| of_folder(path) == section).collect();
        let new = |path: &RelPath| content.listing.get(path).filter(|item| item.section == section);
        let wanted: BTreeSet<&RelPath> = content.paths.iter().filter(|path| new(path).is_some()).collect();
        // What the source does not have comes in its place among what it has.
        let mut extra = wanted.clone();
        if let Some(mut reader) = content.source.section(section.word())? {
            while let Some(record) = reader.next()? {
                if let Record::Entry(entry) = record {
                    extra.remove(&entry.path);
                }
            }
        }
        let mut piece = Vec::new();
        if let Some(mut reader) = content.source.section(section.word())? {
            while let Some(record) = reader.next()? {
                let Record::Entry(entry) = record else { continue };
                if !wanted.contains(&entry.path) {
                    continue;
                }
                self.before(Some(&entry.path), &mut own, &mut extra)?;
                let Some(item) = content.listing.get(&entry.path) else { continue };
                if let Some(bytes) = content.written.get(&entry.path) {
                    self.whole(&item.entry, bytes)?;
                    continue;
                }
                self.put(&made(&item.entry))?;
                if let Kind::File { .. } = entry.kind {
                    while let FilePart::Piece { offset } = reader.part(&mut piece)? {
                        self.out.piece(offset, &piece)?;
                    }
                    self.out.end_file()?;
                }
            }
        }
        self.before(None, &mut own, &mut extra)?;
        Ok(self.out)
    }

    /// Writes what comes before a path and is not in the source.
    fn before(
        &mut self,
        path: Option<&RelPath>,
        own: &mut BTreeMap<&RelPath, &Entry>,
        rest: &mut BTreeSet<&RelPath>,
    ) -> Result<(), RestoreError> {
        let mut list: Vec<RelPath> = own.keys().copied().chain(rest.iter().copied()).cloned().collect();
        list.retain(|other| path.is_none_or(|path| other < path));
        list.sort();
        for next in list {
            if let Some(entry) = own.remove(&next) {
                self.put(entry)?;
            } else if rest.remove(&next)
                && let Some(item) = self.content.listing.get(&next)
            {
                match self.content.written.get(&next) {
                    Some(bytes) => self.whole(&item.entry, &bytes.clone())?,
                    None => self.put(&made(&item.entry))?,
                }
            }
        }
        Ok(())
    }

    fn whole(&mut self, entry: &Entry, bytes: &[u8]) -> Result<(), RestoreError> {
        self.put(&Entry { kind: Kind::File { len: bytes.len() as u64 }, ..entry.clone() })?;
        self.out.piece(0, bytes)?;
        self.out.end_file()?;
        Ok(())
    }

    /// Writes an entry behind the folders that lead to it.
    fn put(&mut self, entry: &Entry) -> Result<(), RestoreError> {
        for folder in entry.path.ancestors() {
            if self.done.insert(folder.clone()) {
                let known = self.content.folders.get(&folder);
                let known = known.or_else(|| self.content.listing.get(&folder).map(|item| &item.entry));
                let bare = Entry { path: folder.clone(), kind: Kind::OnTheWay, ..entry.clone() };
                let on_the_way = known.map_or(bare, |known| Entry { kind: Kind::OnTheWay, ..known.clone() });
                self.out.entry(&on_the_way)?;
            }
        }
        if self.done.insert(entry.path.clone()) || !entry.kind.is_folder() {
            self.out.entry(entry)?;
        }
        Ok(())
    }
}

/// A folder on the way that is missing is made as one of the set.
fn made(entry: &Entry) -> Entry {
    match entry.kind {
        Kind::OnTheWay => Entry { kind: Kind::Directory, ..entry.clone() },
        _ => entry.clone(),
    }
}
