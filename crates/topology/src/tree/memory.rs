//! A tree in memory: what a probe's document says, what an agent sent, what a test needs.
//!
//! Promises: a folder is there when something is in it. Does not: limit what is put in; who fills it does.

use std::collections::{BTreeMap, BTreeSet};

use super::seen::{Tree, TreeError};

#[derive(Debug, Clone)]
enum Node {
    File(Vec<u8>),
    Link(String),
}

/// Files and links by their paths.
#[derive(Debug, Clone, Default)]
pub struct MemTree {
    nodes: BTreeMap<String, Node>,
    folders: BTreeMap<String, BTreeSet<String>>,
}

impl MemTree {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a file in, in place of what was there.
    pub fn file(&mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.put(&path.into(), Node::File(content.into()));
    }

    /// Puts a symbolic link in, in place of what was there.
    pub fn link(&mut self, path: impl Into<String>, target: impl Into<String>) {
        self.put(&path.into(), Node::Link(target.into()));
    }

    fn put(&mut self, path: &str, node: Node) {
        let path = path.trim_start_matches('/');
        let mut below = path;
        loop {
            let (folder, name) = below.rsplit_once('/').unwrap_or(("", below));
            let new = self.folders.entry(folder.to_owned()).or_default().insert(name.to_owned());
            if folder.is_empty() || !new {
                break;
            }
            below = folder;
        }
        self.nodes.insert(path.to_owned(), node);
    }
}

impl Tree for MemTree {
    fn read_dir(&self, path: &str) -> Result<Vec<String>, TreeError> {
        match self.folders.get(path) {
            Some(names) => Ok(names.iter().cloned().collect()),
            None if self.nodes.contains_key(path) => Err(TreeError::NotA("a folder")),
            None => Err(TreeError::NotFound),
        }
    }

    fn read_file(&self, path: &str, limit: usize) -> Result<Vec<u8>, TreeError> {
        match self.nodes.get(path) {
            Some(Node::File(bytes)) if bytes.len() > limit => Err(TreeError::TooLong { limit }),
            Some(Node::File(bytes)) => Ok(bytes.clone()),
            Some(Node::Link(_)) => Err(TreeError::NotA("a file")),
            None if self.folders.contains_key(path) => Err(TreeError::NotA("a file")),
            None => Err(TreeError::NotFound),
        }
    }

    fn read_link(&self, path: &str) -> Result<Option<String>, TreeError> {
        match self.nodes.get(path) {
            Some(Node::Link(target)) => Ok(Some(target.clone())),
            Some(Node::File(_)) => Ok(None),
            None if self.folders.contains_key(path) => Ok(None),
            None => Err(TreeError::NotFound),
        }
    }
}
