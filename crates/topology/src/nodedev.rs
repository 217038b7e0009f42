//! Node devices of libvirt: the documents of `virsh nodedev-dumpxml`, one or many in one text.
//!
//! Owns: reading them, and turning them into the files of sysfs that they were made from, so that one reader makes the
//! model. Promises: elements, depth and bytes are bounded; a document type is refused. Does not: connect to libvirt; a
//! state of a path is not in these documents, so it stays unknown.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use thiserror::Error;

use crate::linux::{TopologyError, read_linux};
use crate::model::{Source, SourceKind, Topology};
use crate::tree::MemTree;

/// Longest text.
const LONGEST: usize = 64 << 20;

/// Most elements.
const ELEMENTS: usize = 1_000_000;

/// Deepest nesting; real documents have six levels.
const DEPTH: usize = 32;

/// Why a text holds no node devices.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NodedevError {
    /// Too much of it.
    #[error("the text has more than {} MiB, {ELEMENTS} elements or {DEPTH} levels", LONGEST >> 20)]
    Large,
    /// Not well-formed.
    #[error("the text is not well-formed XML at byte {at}: {what}")]
    Form {
        /// Place.
        at: u64,
        /// What the parser says.
        what: String,
    },
    /// Another document.
    #[error("there is no <device> with a capability in it")]
    NoDevice,
    /// No block device among them.
    #[error("there is no block device among the node devices; dump those of capability storage too")]
    NoStorage(#[source] TopologyError),
}

#[derive(Debug, Default)]
struct Element {
    name: String,
    kind: String,
    id: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim()).filter(|text| !text.is_empty())
    }

    fn capability(&self, kind: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == "capability" && child.kind == kind)
    }
}

/// Reads node devices.
pub fn read_nodedev(text: &str) -> Result<Topology, NodedevError> {
    let roots = parse(text)?;
    let mut devices: Vec<&Element> = Vec::new();
    for root in &roots {
        let inner = root.children.iter().filter(|child| child.name == "device");
        devices.extend(inner.chain(std::iter::once(root)).filter(|one| one.name == "device"));
    }
    devices.retain(|device| device.child("capability").is_some());
    if devices.is_empty() {
        return Err(NodedevError::NoDevice);
    }
    let mut tree = MemTree::new();
    for device in &devices {
        files(&mut tree, device);
    }
    let topology = read_linux(&tree).map_err(NodedevError::NoStorage)?;
    Ok(Topology {
        source: Source { kind: SourceKind::Nodedev, forms: vec!["nodedev".to_owned()] },
        ..topology
    })
}

/// The files behind one device; what has no safe path in sysfs is passed over.
fn files(tree: &mut MemTree, device: &Element) {
    let Some(path) = device.text_of("path").and_then(|path| path.strip_prefix("/sys/devices/")) else {
        return;
    };
    let safe =
        |text: &str| text.len() <= 1024 && text.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if !safe(path) {
        return;
    }
    let dir = format!("sys/devices/{path}");
    let mut put = |path: String, text: Option<&str>| {
        if let Some(text) = text.filter(|_| safe(&path)) {
            tree.file(path, format!("{text}\n"));
        }
    };
    if let Some(pci) = device.capability("pci") {
        for (word, file) in [("vendor", "vendor"), ("product", "device")] {
            put(format!("{dir}/{file}"), pci.child(word).map(|child| child.id.as_str()));
        }
    }
    let mut links: Vec<(String, String)> = Vec::new();
    if let Some(driver) = device.child("driver").and_then(|driver| driver.text_of("name")) {
        links.push((format!("{dir}/driver"), format!("/sys/bus/drivers/{driver}")));
    }
    if let Some(host) = device.capability("scsi_host")
        && let Some(number) = host.text_of("host").filter(|number| number.parse::<u32>().is_ok())
    {
        links.push((format!("sys/class/scsi_host/host{number}"), format!("/{dir}/scsi_host/host{number}")));
        put(format!("{dir}/scsi_host/host{number}/unique_id"), host.text_of("unique_id").or(Some("0")));
        if let Some(fc) = host.capability("fc_host") {
            put(format!("sys/class/fc_host/host{number}/node_name"), fc.text_of("wwnn"));
            put(format!("sys/class/fc_host/host{number}/port_name"), fc.text_of("wwpn"));
        }
    }
    if let Some(port) =
        device.capability("scsi_target").and_then(|target| target.capability("fc_remote_port"))
        && let Some(name) = port.text_of("rport")
    {
        put(format!("sys/class/fc_remote_ports/{name}/port_name"), port.text_of("wwpn"));
    }
    if let Some(scsi) = device.capability("scsi") {
        let number = match scsi.text_of("type") {
            Some("disk") => Some("0"),
            Some("tape") => Some("1"),
            Some("cdrom") => Some("5"),
            Some("enclosure") => Some("13"),
            Some("raid") => Some("12"),
            _ => None,
        };
        put(format!("{dir}/type"), number);
        let name = path.rsplit('/').next().unwrap_or_default();
        links.push((format!("sys/bus/scsi/devices/{name}"), format!("/{dir}")));
    }
    if let Some(storage) = device.capability("storage") {
        block(&mut put, &mut links, device, storage, &dir);
    }
    for (link, target) in links.into_iter().filter(|(link, _)| safe(link)) {
        tree.link(link, target);
    }
}

fn block(
    put: &mut impl FnMut(String, Option<&str>),
    links: &mut Vec<(String, String)>,
    device: &Element,
    storage: &Element,
    dir: &str,
) {
    let Some(node) = storage.text_of("block").and_then(|node| node.strip_prefix("/dev/")) else { return };
    let kernel = dir.rsplit('/').next().unwrap_or(node);
    links.push((format!("sys/block/{kernel}"), format!("/{dir}")));
    let media = storage.children.iter().find(|child| child.name == "capability" && child.kind == "removable");
    let size = storage.text_of("size").or_else(|| media.and_then(|media| media.text_of("media_size")));
    let sectors = size.and_then(|size| size.parse::<u64>().ok()).map(|bytes| (bytes / 512).to_string());
    put(format!("{dir}/size"), Some(sectors.as_deref().unwrap_or("0")));
    if storage.text_of("drive_type") == Some("cdrom") {
        put(format!("{dir}/device/type"), Some("5"));
    }
    if let Some((above, _)) = dir.rsplit_once("/block/") {
        put(format!("{above}/vendor"), storage.text_of("vendor"));
        put(format!("{above}/model"), storage.text_of("model"));
    }
    // The database goes by numbers, which these documents do not tell: any that is free will do.
    let number = format!("0:{}", links_number(dir));
    put(format!("{dir}/dev"), Some(&number));
    let mut entry = String::new();
    for name in device.children.iter().filter(|child| child.name == "devnode" && child.kind == "link") {
        if let Some(name) = name.text.trim().strip_prefix("/dev/").filter(|name| !name.contains('\n')) {
            entry.extend(["S:", name, "\n"]);
        }
    }
    for (key, value) in [("ID_SERIAL", storage.text_of("serial")), ("ID_BUS", storage.text_of("bus"))] {
        if let Some(value) = value.filter(|value| !value.contains('\n')) {
            entry.extend(["E:", key, "=", value, "\n"]);
        }
    }
    put(format!("run/udev/data/b{number}"), Some(&entry));
}

/// A number that is the same for the same path.
fn links_number(dir: &str) -> u32 {
    dir.bytes().fold(2_166_136_261, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619))
}

fn parse(text: &str) -> Result<Vec<Element>, NodedevError> {
    if text.len() > LONGEST {
        return Err(NodedevError::Large);
    }
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut roots: Vec<Element> = Vec::new();
    let mut open: Vec<Element> = Vec::new();
    let mut count = 0;
    loop {
        let at = reader.buffer_position();
        let wrong = |what: String| NodedevError::Form { at, what };
        let event = reader.read_event().map_err(|error| wrong(error.to_string()))?;
        match event {
            Event::Start(start) => {
                count += 1;
                if count > ELEMENTS || open.len() >= DEPTH {
                    return Err(NodedevError::Large);
                }
                open.push(element(&start, at)?);
            }
            Event::Empty(start) => {
                count += 1;
                if count > ELEMENTS {
                    return Err(NodedevError::Large);
                }
                let done = element(&start, at)?;
                open.last_mut().map_or(&mut roots, |parent| &mut parent.children).push(done);
            }
            Event::End(_) => {
                if let Some(done) = open.pop() {
                    open.last_mut().map_or(&mut roots, |parent| &mut parent.children).push(done);
                }
            }
            Event::Text(text) => append(&mut open, &text.xml10_content()),
            Event::CData(text) => append(&mut open, &text.xml10_content()),
            Event::GeneralRef(name) => {
                let text = match name.xml10_content().as_ref() {
                    "amp" => "&",
                    "lt" => "<",
                    "gt" => ">",
                    "quot" => "\"",
                    "apos" => "'",
                    _ => " ",
                };
                append(&mut open, text);
            }
            Event::DocType(_) => return Err(wrong("it declares a document type".to_owned())),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    match open.last() {
        Some(left) => {
            Err(NodedevError::Form { at: text.len() as u64, what: format!("<{}> is not closed", left.name) })
        }
        None => Ok(roots),
    }
}

fn append(open: &mut [Element], text: &str) {
    if let Some(inner) = open.last_mut() {
        inner.text.push_str(text);
    }
}

fn element(start: &BytesStart<'_>, at: u64) -> Result<Element, NodedevError> {
    let wrong = |what: String| NodedevError::Form { at, what };
    let mut element = Element { name: start.local_name().into_inner().to_owned(), ..Element::default() };
    for attribute in start.attributes().take(16) {
        let attribute = attribute.map_err(|error| wrong(error.to_string()))?;
        let value =
            attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| wrong(error.to_string()))?;
        match attribute.key.local_name().into_inner() {
            "type" => element.kind = value.into_owned(),
            "id" => element.id = value.into_owned(),
            _ => {}
        }
    }
    Ok(element)
}
