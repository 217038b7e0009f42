//! A machine's probe as a tree: the documents in which installers keep what they saw of a machine.
//!
//! Owns: the JSON of probert, `{"storage": {"blockdev": {"/dev/sda": {"DEVPATH": …, "attrs": {…}}}, …}}`, turned into the
//! files that it was made from: sysfs, udev's database, the mount table. Promises: sizes, which such a document gives in
//! bytes, become sectors again; no path leaves its folder. Does not: invent what was not probed: pages 0x80 and 0x83 are
//! not in it.

use serde_json::{Map, Value};
use thiserror::Error;

use crate::tree::MemTree;

/// Most devices of one document.
const DEVICES: usize = 100_000;

/// Why a document is no probe.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// Not JSON.
    #[error("reading the probe as JSON")]
    Json(#[source] serde_json::Error),
    /// Another document.
    #[error("the document has no storage.blockdev: it is no probe of a machine")]
    Form,
    /// More devices than any machine has.
    #[error("the document has more than {DEVICES} devices")]
    Large,
}

/// The files that a probe was made from.
pub fn probe_tree(json: &[u8]) -> Result<MemTree, ProbeError> {
    let document: Value = serde_json::from_slice(json).map_err(ProbeError::Json)?;
    let storage = document.get("storage").unwrap_or(&document);
    let devices = storage.get("blockdev").and_then(Value::as_object).ok_or(ProbeError::Form)?;
    if devices.len() > DEVICES {
        return Err(ProbeError::Large);
    }
    let mut tree = MemTree::new();
    let mut kernels = Vec::new();
    for (node, device) in devices {
        let Some((kernel, dir)) = device_files(&mut tree, node, device) else { continue };
        kernels.push((kernel, dir, device));
    }
    slaves(&mut tree, storage, &kernels);
    mounts(&mut tree, storage);
    Ok(tree)
}

type Probed<'a> = (String, String, &'a Value);

fn device_files(tree: &mut MemTree, node: &str, device: &Value) -> Option<(String, String)> {
    let text = |key: &str| device.get(key).and_then(Value::as_str);
    let kernel = node.strip_prefix("/dev/")?.replace('/', "!");
    let path = text("DEVPATH")?;
    let safe = path.starts_with("/devices/") && path.split('/').all(|part| part != ".." && part != ".");
    if !safe || kernel.is_empty() || kernel == ".." || path.len() > 1024 {
        return None;
    }
    let dir = format!("sys{path}");
    let attrs = device.get("attrs").and_then(Value::as_object);
    for (name, value) in attrs.into_iter().flatten() {
        let Some(value) = value.as_str().filter(|_| !name.contains("..")) else { continue };
        let value =
            if name == "size" { (value.parse::<u64>().ok()? / 512).to_string() } else { value.to_owned() };
        tree.file(format!("{dir}/{name}"), format!("{value}\n"));
    }
    if text("DEVTYPE") != Some("partition") {
        tree.link(format!("sys/block/{kernel}"), format!("/{dir}"));
    }
    if let (Some(major), Some(minor)) = (text("MAJOR"), text("MINOR")) {
        let mut entry = String::new();
        let links = text("DEVLINKS").unwrap_or_default().split(' ');
        for link in links.filter_map(|link| link.strip_prefix("/dev/")) {
            entry.extend(["S:", link, "\n"]);
        }
        for (key, value) in device.as_object().into_iter().flatten() {
            if let Some(value) = value.as_str().filter(|value| !value.contains('\n')) {
                entry.extend(["E:", key, "=", value, "\n"]);
            }
        }
        tree.file(format!("run/udev/data/b{major}:{minor}"), entry);
    }
    if let (Some(name), Some(uuid)) = (text("DM_NAME"), text("DM_UUID")) {
        tree.file(format!("{dir}/dm/name"), format!("{name}\n"));
        tree.file(format!("{dir}/dm/uuid"), format!("{uuid}\n"));
    }
    Some((kernel, dir))
}

/// What stands on what: not in the devices themselves, but in the probes of multipath, LVM and md.
fn slaves(tree: &mut MemTree, storage: &Value, devices: &[Probed<'_>]) {
    let names = |value: Option<&Value>| -> Vec<String> {
        let list = value.and_then(Value::as_array).into_iter().flatten();
        list.filter_map(|node| Some(node.as_str()?.strip_prefix("/dev/")?.to_owned())).collect()
    };
    for (kernel, dir, device) in devices {
        let text = |key: &str| device.get(key).and_then(Value::as_str).unwrap_or_default();
        let raid = storage.get("raid").and_then(|raid| raid.get(format!("/dev/{kernel}"))).unwrap_or(device);
        let mut below = names(raid.get("devices"));
        let (name, uuid) = (text("DM_NAME"), text("DM_UUID"));
        if uuid.starts_with("mpath-") {
            let paths =
                storage.get("multipath").and_then(|probe| probe.get("paths")).and_then(Value::as_array);
            let field = |path: &Value, key: &str| path.get(key).and_then(Value::as_str).map(str::to_owned);
            let mine =
                paths.into_iter().flatten().filter(|path| field(path, "multipath").as_deref() == Some(name));
            below.extend(mine.filter_map(|path| field(path, "device")));
        } else if uuid.starts_with("part") {
            let whole = devices.iter().find(|(_, _, other)| {
                other.get("DM_NAME").and_then(Value::as_str)
                    == Some(text("DM_MPATH")).filter(|map| !map.is_empty())
            });
            below.extend(whole.map(|(kernel, ..)| kernel.clone()));
        } else if uuid.starts_with("LVM-") {
            let lvm = storage.get("lvm");
            let volume = |v: &&Map<String, Value>| {
                let field =
                    |key: &str| v.get(key).and_then(Value::as_str).unwrap_or_default().replace('-', "--");
                format!("{}-{}", field("volgroup"), field("name")) == name
            };
            let volumes = lvm.and_then(|lvm| lvm.get("logical_volumes")).and_then(Value::as_object);
            let found = volumes.into_iter().flat_map(Map::values).filter_map(Value::as_object).find(volume);
            let group = found.and_then(|volume| volume.get("volgroup")).and_then(Value::as_str);
            let groups = lvm.and_then(|lvm| lvm.get("volume_groups"));
            below.extend(names(group.and_then(|name| groups?.get(name)?.get("devices"))));
        }
        for name in below.iter().filter(|name| !name.contains('/')) {
            tree.link(format!("{dir}/slaves/{name}"), format!("/sys/block/{name}"));
        }
    }
}

fn mounts(tree: &mut MemTree, storage: &Value) {
    let mut table = String::new();
    let mut todo: Vec<&Value> =
        storage.get("mount").and_then(Value::as_array).into_iter().flatten().rev().collect();
    while let Some(mount) = todo.pop() {
        let text = |key: &str| mount.get(key).and_then(Value::as_str).unwrap_or_default();
        let escape =
            |text: &str| text.replace('\\', "\\134").replace(' ', "\\040").replace(['\n', '\t'], "_");
        let number = if text("maj:min").is_empty() { "0:0" } else { text("maj:min") };
        let (place, kind, source) = (escape(text("target")), escape(text("fstype")), escape(text("source")));
        table.extend(["1 1 ", number, " / ", &place, " rw - ", &kind, " ", &source, " rw\n"]);
        todo.extend(mount.get("children").and_then(Value::as_array).into_iter().flatten().rev());
    }
    tree.file("proc/self/mountinfo", table);
}
