//! SCSI devices: what each says of itself, and through what it is reached.
//!
//! Promises: ids of pages 0x80 and 0x83 are decoded from their bytes; a damaged page is a remark and gives what stands
//! before the damage.

use std::collections::BTreeMap;

use super::block::{Block, Sort};
use super::place::Place;
use crate::ident::{
    Association, DesignatorKind, DeviceIds, DiskId, IdKind, PAGE, decode_page_80, decode_page_83, name_string,
};
use crate::model::{Hctl, LunKind, PathState, Target, Transport};
use crate::tree::View;

/// One SCSI device: a LUN on one path.
#[derive(Debug)]
pub(super) struct ScsiDevice {
    pub(super) hctl: Hctl,
    pub(super) place: Place,
    pub(super) kind: LunKind,
    pub(super) vendor: Option<String>,
    pub(super) model: Option<String>,
    pub(super) revision: Option<String>,
    pub(super) serial: Option<String>,
    pub(super) ids: DeviceIds,
    pub(super) block: Option<String>,
    pub(super) transport: Transport,
    pub(super) target: Target,
    pub(super) state: PathState,
    pub(super) words: String,
}

pub(super) fn read(view: &View<'_>, blocks: &[Block]) -> Vec<ScsiDevice> {
    let mut dirs: BTreeMap<String, Option<String>> = BTreeMap::new();
    for name in view.list("sys/bus/scsi/devices") {
        if name.parse::<Hctl>().is_ok() {
            dirs.extend(view.resolve(&format!("sys/bus/scsi/devices/{name}")).map(|dir| (dir, None)));
        }
    }
    for name in view.list("sys/class/scsi_device") {
        dirs.extend(view.resolve(&format!("sys/class/scsi_device/{name}/device")).map(|dir| (dir, None)));
    }
    for block in blocks.iter().filter(|block| block.place.hctl.is_some() && block.partition.is_none()) {
        if let Some((dir, _)) = block.dir.split_once("/block/") {
            dirs.insert(dir.to_owned(), Some(block.kernel.clone()));
        }
    }
    dirs.into_iter().filter_map(|(dir, block)| one(view, &dir, block, blocks)).collect()
}

fn one(view: &View<'_>, dir: &str, block: Option<String>, blocks: &[Block]) -> Option<ScsiDevice> {
    let place = Place::of(dir);
    let hctl = place.hctl?;
    let at = |name: &str| format!("{dir}/{name}");
    let mut ids = DeviceIds::default();
    let node = block.as_deref().and_then(|name| blocks.iter().find(|block| block.kernel == name));
    let word = |file: &str, prop: &str| view.text(&at(file)).or_else(|| node?.words(prop));
    let (vendor, model) = (word("vendor", "ID_VENDOR"), word("model", "ID_MODEL"));
    let mut serial = page_80(view, &at("vpd_pg80"));
    let mut specific = None;
    page_83(view, &at("vpd_pg83"), &mut ids, &mut specific);
    if let Some(wwid) = view.text(&at("wwid")) {
        // The kernel writes `t10.` with the blanks of the page.
        match wwid.strip_prefix("t10.") {
            Some(rest) => ids.take(IdKind::T10, rest),
            None => name_string(&wwid).into_iter().for_each(|id| ids.add(id)),
        }
    }
    // RAID controllers of HP tell a unique id of their own.
    if let Some(hex) = view.text(&at("unique_id")) {
        ids.extend_one(DiskId::of_hex(&hex));
    }
    if serial.is_none() {
        serial = node
            .and_then(|node| node.prop("ID_SCSI_SERIAL").or_else(|| node.prop("SCSI_IDENT_SERIAL")))
            .map(str::to_owned);
    }
    if let (Some(vendor), Some(model)) = (&vendor, &model) {
        for serial in [&serial, &specific].into_iter().flatten() {
            ids.take(IdKind::Scsi, &format!("{vendor} {model} {serial}"));
        }
    }
    let (transport, target, link) = reach(view, dir, &place);
    let (state, words) = state(view, dir, link);
    let rom = node.is_some_and(|node| node.sort == Sort::Rom);
    let kind = view.number(&at("type")).map(LunKind::of_type);
    Some(ScsiDevice {
        hctl,
        kind: kind.unwrap_or(if rom { LunKind::Rom } else { LunKind::Disk }),
        vendor,
        model,
        revision: word("rev", "ID_REVISION"),
        serial,
        ids,
        block,
        transport,
        target,
        state,
        words,
        place,
    })
}

fn page_80(view: &View<'_>, path: &str) -> Option<String> {
    let bytes = view.bytes(path, PAGE)?;
    match decode_page_80(&bytes) {
        Ok(serial) => serial,
        Err(error) => {
            view.remark(path, error.to_string());
            None
        }
    }
}

fn page_83(view: &View<'_>, path: &str, ids: &mut DeviceIds, specific: &mut Option<String>) {
    let Some(bytes) = view.bytes(path, PAGE) else { return };
    let (designators, damage) = decode_page_83(&bytes);
    if let Some(damage) = damage {
        view.remark(path, damage.to_string());
    }
    for designator in designators.into_iter().filter(|one| one.association == Association::Lun) {
        match designator.kind {
            DesignatorKind::Id(id) => ids.add(id),
            DesignatorKind::Vendor(text) => drop(specific.get_or_insert(text)),
            _ => {}
        }
    }
}

/// Transport, target, and the state of the link to it where the transport has one: its word, and whether it is up.
fn reach(view: &View<'_>, dir: &str, place: &Place) -> (Transport, Target, Option<(String, bool)>) {
    let fallback = place.target.clone().unwrap_or_else(|| "target".to_owned());
    if let Some(rport) = &place.rport {
        let at = |name: &str| view.text(&format!("sys/class/fc_remote_ports/{rport}/{name}"));
        let wwpn = at("port_name").and_then(|name| address(&name));
        let id = wwpn.as_ref().map_or(fallback, |wwpn| format!("fc.{wwpn}"));
        let mut target = Target::new(id, Transport::Fc);
        target.wwnn = at("node_name").and_then(|name| address(&name));
        target.wwpn = wwpn;
        let state = at("port_state").map(|state| (format!("port {state}"), state == "Online"));
        return (Transport::Fc, target, state);
    }
    if let Some(session) = &place.session {
        let at = |name: &str| view.text(&format!("sys/class/iscsi_session/{session}/{name}"));
        let iqn = at("targetname");
        let mut target = Target::new(iqn.clone().unwrap_or(fallback), Transport::Iscsi);
        target.iqn = iqn;
        target.portals = portals(view, session);
        let state = at("state").map(|state| (format!("session {state}"), state == "LOGGED_IN"));
        return (Transport::Iscsi, target, state);
    }
    if let Some(end) = &place.end_device {
        let found = view
            .text(&format!("sys/class/sas_device/{end}/sas_address"))
            .or_else(|| view.text(&format!("{dir}/sas_address")))
            .and_then(|text| address(&text));
        let mut target = Target::new(found.as_ref().map_or(fallback, |a| format!("sas.{a}")), Transport::Sas);
        target.sas_address = found;
        return (Transport::Sas, target, None);
    }
    let transport = match () {
        () if place.ata => Transport::Ata,
        () if place.usb => Transport::Usb,
        () if place.virtio.is_some() => Transport::Virtio,
        () => Transport::Scsi,
    };
    (transport, Target::new(fallback, transport), None)
}

/// Portals of a session, from its connections.
pub(super) fn portals(view: &View<'_>, session: &str) -> Vec<String> {
    let Some(number) = session.strip_prefix("session") else { return Vec::new() };
    let mine = format!("connection{number}:");
    let mut portals = Vec::new();
    for name in view.list("sys/class/iscsi_connection").into_iter().filter(|name| name.starts_with(&mine)) {
        let at = |file: &str| view.text(&format!("sys/class/iscsi_connection/{name}/{file}"));
        let host = at("persistent_address").or_else(|| at("address"));
        let port = at("persistent_port").or_else(|| at("port"));
        if let (Some(host), Some(port)) = (host, port) {
            let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
            portals.push(format!("{host}:{port}"));
        }
    }
    portals
}

/// States of the SCSI layer, of ALUA, and of the link below.
fn state(view: &View<'_>, dir: &str, link: Option<(String, bool)>) -> (PathState, String) {
    let scsi = view.text(&format!("{dir}/state"));
    let access = view.text(&format!("{dir}/access_state"));
    let mut words: Vec<String> = scsi.iter().cloned().collect();
    words.extend(access.iter().cloned());
    let mut state = match scsi.as_deref() {
        Some("running") => PathState::Up,
        None => PathState::Unknown,
        Some(_) => PathState::Down,
    };
    match access.as_deref() {
        Some("standby") if state == PathState::Up => state = PathState::Standby,
        Some("unavailable" | "offline") => state = PathState::Down,
        _ => {}
    }
    if let Some((word, up)) = link {
        words.push(word);
        if !up {
            state = PathState::Down;
        }
    }
    (state, words.join(", "))
}

/// `0x5006016839a011e4` and `50:06:…` as 16 small digits.
pub(crate) fn address(text: &str) -> Option<String> {
    let digits: String = text.trim().trim_start_matches("0x").chars().filter(|c| *c != ':').collect();
    let fits = digits.len() == 16 && crate::ident::is_hex(&digits) && digits.bytes().any(|b| b != b'0');
    fits.then(|| digits.to_ascii_lowercase())
}
