//! Links under `/dev` that lead to block devices.
//!
//! Promises: three folders deep and no further; a link counts by where it leads, whether or not a node is there, so
//! that a dump without nodes tells its names too.

use std::collections::BTreeMap;

use super::block::Block;
use crate::tree::View;

/// Folders of `/dev` that hold no block devices and can be large or strange.
const SKIP: [&str; 18] = [
    "block",
    "bsg",
    "bus",
    "char",
    "cpu",
    "dri",
    "fd",
    "hugepages",
    "input",
    "mqueue",
    "net",
    "pts",
    "shm",
    "snd",
    "usb",
    "vfio",
    "vhost",
    "dma_heap",
];

pub(super) fn read(view: &View<'_>, blocks: &mut [Block]) {
    let nodes: BTreeMap<String, usize> = blocks
        .iter()
        .enumerate()
        .map(|(at, block)| (format!("dev/{}", block.kernel.replace('!', "/")), at))
        .collect();
    let mut found = Vec::new();
    folder(view, "dev", 0, &nodes, &mut found);
    for (name, at) in found {
        if let Some(block) = blocks.get_mut(at) {
            block.names.insert(format!("/{name}"));
        }
    }
}

fn folder(
    view: &View<'_>,
    path: &str,
    depth: usize,
    nodes: &BTreeMap<String, usize>,
    found: &mut Vec<(String, usize)>,
) {
    for name in view.list(path) {
        if depth == 0 && SKIP.contains(&name.as_str()) {
            continue;
        }
        let place = format!("{path}/{name}");
        match view.target(&place) {
            Some(_) => {
                let node = view.resolve_node(&place).and_then(|node| nodes.get(&node).copied());
                found.extend(node.map(|at| (place, at)));
            }
            None if depth < 2 && !nodes.contains_key(&place) => folder(view, &place, depth + 1, nodes, found),
            None => {}
        }
    }
}
