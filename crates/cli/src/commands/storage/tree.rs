//! Storage as a tree: adapter, target, LUN, and what stands on it.

use std::collections::BTreeSet;

use lifeboat_topology::{Adapter, Device, DeviceKind, Lun, Path, Topology};

use crate::output::{Out, Paint};
use crate::run::Ctx;
use crate::size::show_size;

/// One line and those below it.
struct Node {
    text: String,
    paint: Option<Paint>,
    children: Vec<Node>,
}

/// Deepest stack of volumes that is drawn.
const DEPTH: usize = 24;

impl Node {
    fn new(text: String) -> Self {
        Self { text, paint: None, children: Vec::new() }
    }
}

pub(super) fn tree(ctx: &Ctx, topology: &Topology) -> String {
    let mut told = BTreeSet::new();
    let mut roots: Vec<Node> =
        topology.adapters.iter().map(|one| adapter(topology, one, &mut told)).collect();
    let lost: Vec<&Lun> =
        topology.luns.iter().filter(|lun| !told.contains(&lun.identity.to_string())).collect();
    if !lost.is_empty() {
        let mut root = Node::new("LUNs whose adapter is not told".to_owned());
        for lun in lost {
            let mut node = Node::new(lun_words(lun));
            node.children = stacks(topology, lun);
            root.children.push(node);
        }
        roots.push(root);
    }
    let on_luns: BTreeSet<&str> =
        topology.luns.iter().flat_map(|lun| &lun.devices).map(String::as_str).collect();
    let mut software = Node::new("without an adapter".to_owned());
    for device in
        topology.devices.iter().filter(|one| one.on.is_empty() && !on_luns.contains(one.kernel.as_str()))
    {
        software.children.push(stack(topology, device, 0));
    }
    if !software.children.is_empty() {
        roots.push(software);
    }
    let mut text = String::new();
    for root in &roots {
        line(ctx, &mut text, "", root, Some(Paint::Strong));
        below(ctx, &mut text, "", &root.children);
    }
    text
}

fn below(ctx: &Ctx, text: &mut String, indent: &str, nodes: &[Node]) {
    for (at, node) in nodes.iter().enumerate() {
        let last = at + 1 == nodes.len();
        line(ctx, text, &format!("{indent}{}", if last { "└─ " } else { "├─ " }), node, node.paint);
        below(ctx, text, &format!("{indent}{}", if last { "   " } else { "│  " }), &node.children);
    }
}

fn line(ctx: &Ctx, text: &mut String, lead: &str, node: &Node, paint: Option<Paint>) {
    let clean: String = node.text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    let room = Out::width().map_or(usize::MAX, |width| width.saturating_sub(lead.chars().count()));
    let shown: String = if clean.chars().count() > room {
        clean.chars().take(room.saturating_sub(1)).chain(['…']).collect()
    } else {
        clean
    };
    text.push_str(lead);
    text.push_str(&paint.map_or_else(|| shown.clone(), |paint| ctx.out.paint(&shown, paint)));
    text.push('\n');
}

fn adapter(topology: &Topology, adapter: &Adapter, told: &mut BTreeSet<String>) -> Node {
    let words = [
        Some(adapter.id.clone()),
        Some(adapter.transport.to_string()),
        adapter.driver.clone(),
        adapter.address.clone(),
        adapter.model.clone(),
        adapter.wwpn.as_ref().map(|wwpn| format!("wwpn {wwpn}")),
        adapter.iqn.clone(),
        adapter.sas_address.as_ref().map(|address| format!("sas {address}")),
        adapter.state.clone(),
    ];
    let mut root = Node::new(words.into_iter().flatten().collect::<Vec<_>>().join("  "));
    let mine: Vec<&Path> = topology.paths.iter().filter(|path| path.adapter == adapter.id).collect();
    let mut targets: Vec<Option<&str>> = Vec::new();
    for path in &mine {
        if !targets.contains(&path.target.as_deref()) {
            targets.push(path.target.as_deref());
        }
    }
    for target in targets {
        let paths = mine.iter().filter(|path| path.target.as_deref() == target);
        let nodes: Vec<Node> = paths.map(|path| self::path(topology, path, told)).collect();
        match target {
            None => root.children.extend(nodes),
            Some(id) => {
                let known = topology.targets.iter().find(|target| target.id == id);
                let portals = known.map(|target| target.portals.join(", ")).filter(|text| !text.is_empty());
                let text = portals.map_or_else(|| id.to_owned(), |portals| format!("{id}  at {portals}"));
                root.children.push(Node { children: nodes, ..Node::new(text) });
            }
        }
    }
    for session in &adapter.sessions {
        if !mine.iter().any(|path| path.target.as_deref() == Some(session.target.as_str())) {
            let portal = session.portal.as_deref().unwrap_or("-");
            let state = session.state.as_deref().unwrap_or("state not told");
            root.children.push(Node::new(format!("{}  at {portal}  {state}, no LUN", session.target)));
        }
    }
    if root.children.is_empty() {
        root.children.push(Node { paint: Some(Paint::Dim), ..Node::new("no LUN".to_owned()) });
    }
    root
}

fn lun_words(lun: &Lun) -> String {
    let name =
        [lun.vendor.as_deref(), lun.model.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let words = [
        lun.bytes.map(show_size),
        Some(lun.identity.to_string()),
        Some(name).filter(|name| !name.is_empty()),
        (lun.kind != lifeboat_topology::LunKind::Disk).then(|| lun.kind.word().to_owned()),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join("  ")
}

fn path(topology: &Topology, path: &Path, told: &mut BTreeSet<String>) -> Node {
    let number = path.number.map_or_else(|| "disk".to_owned(), |number| format!("LUN {number}"));
    let device = path.device.clone().or_else(|| path.name.clone()).unwrap_or_default().replace('!', "/");
    let word = match path.state {
        lifeboat_topology::PathState::Unknown => String::new(),
        state => format!("  {}", state.word()),
    };
    let Some(lun) = topology.luns.iter().find(|lun| lun.identity == path.lun) else {
        return Node::new(format!("{number}  {device}{word}"));
    };
    let first = told.insert(lun.identity.to_string());
    let mut node = Node::new(if first {
        format!("{number}  {device}{word}  {}", lun_words(lun))
    } else {
        format!("{number}  {device}{word}  {}, as above", lun.identity)
    });
    if path.state == lifeboat_topology::PathState::Down {
        node.paint = Some(Paint::Bad);
    }
    if first {
        node.children = stacks(topology, lun);
    }
    node
}

/// What stands on a LUN: on its map if there is one, else on its device.
fn stacks(topology: &Topology, lun: &Lun) -> Vec<Node> {
    if let Some(map) = lun.map.as_ref().and_then(|map| topology.device(map.device.as_deref()?)) {
        let mut node = stack(topology, map, 0);
        let policy = lun.map.as_ref().and_then(|map| map.policy.as_ref());
        node.text.push_str(&policy.map_or_else(String::new, |policy| format!("  {policy}")));
        return vec![node];
    }
    let mut nodes: Vec<Node> = Vec::new();
    for device in lun.devices.iter().take(1).filter_map(|name| topology.device(name)) {
        let own = stack(topology, device, 0);
        if let Some(content) = content(device) {
            nodes.push(Node::new(content));
        }
        nodes.extend(own.children);
    }
    nodes
}

fn content(device: &Device) -> Option<String> {
    let words: Vec<String> = device
        .content
        .iter()
        .map(|content| match &content.label {
            Some(label) => format!("{} {label:?}", content.kind),
            None => content.kind.clone(),
        })
        .chain(device.mounts.iter().cloned())
        .collect();
    (!words.is_empty()).then(|| words.join("  "))
}

fn stack(topology: &Topology, device: &Device, depth: usize) -> Node {
    let size = device.bytes.map(show_size);
    let kind = Some(device.kind.word().to_owned()).filter(|_| device.kind != DeviceKind::Partition);
    let label = device.label();
    let kernel =
        Some(format!("({})", device.kernel)).filter(|_| label != device.kernel && device.dm.is_some());
    let words = [Some(label), kernel, size, kind, device.detail.clone(), content(device)];
    let mut node = Node::new(words.into_iter().flatten().collect::<Vec<_>>().join("  "));
    if depth < DEPTH {
        node.children = topology.upon(&device.kernel).map(|upon| stack(topology, upon, depth + 1)).collect();
    }
    node
}
