//! Adapters, devices and volumes of ESX: `esxcfg-scsidevs -a`, `-c`, `-l` and `-m`, `esxcli storage core adapter list`,
//! `core device list`, `nmp device list`, `vmfs extent list`.

use super::build::{Builder, Seen, rough_size};
use super::esx::{esx_id, runtime};
use super::read::Reader;
use crate::ident::{DiskId, Identity};
use crate::linux::address;
use crate::model::{DeviceKind, FileSystem, Lun, LunKind, Map, Partition, Transport};
use crate::names::esx;

#[derive(Debug, Default)]
pub(super) struct Devices {
    current: Option<DiskId>,
}

impl Reader for Devices {
    fn line(&mut self, line: &str, out: &mut Builder) -> Option<&'static str> {
        let text = line.trim();
        let words: Vec<&str> = text.split_whitespace().collect();
        if let [id] = words.as_slice()
            && let Some(id) = esx_id(id)
        {
            self.current = Some(id);
            return None;
        }
        let form = adapter(&words, out).or_else(|| compact(&words, out)).or_else(|| volume(&words, out));
        if form.is_some() {
            return form;
        }
        if text.is_empty() {
            self.current = None;
        }
        let (key, value) = text.split_once(':')?;
        self.key(key, value.trim(), out)
    }
}

impl Devices {
    fn key(&mut self, key: &str, value: &str, out: &mut Builder) -> Option<&'static str> {
        let id = self.current.clone()?;
        let nmp = "esxcli storage nmp device list";
        let map = |lun: &mut Lun, change: fn(&mut Map, String)| {
            change(lun.map.get_or_insert_with(Map::default), value.to_owned());
        };
        match key {
            "Storage Array Type" => out.lun(&id, |lun| map(lun, |map, value| map.handler = Some(value))),
            "Path Selection Policy" => out.lun(&id, |lun| map(lun, |map, value| map.policy = Some(value))),
            "Device Display Name" => out.lun(&id, |lun| map(lun, |map, value| map.name = plain(&value))),
            "Working Paths" => {
                for name in value.split([',', ' ']).filter(|name| !name.is_empty()) {
                    let Some((adapter, number)) = runtime(name) else { continue };
                    let seen = Seen {
                        adapter,
                        number: Some(number),
                        name: Some(name.to_owned()),
                        ..Seen::default()
                    };
                    out.path(&id, seen, Transport::Other, |path| {
                        if path.words.is_empty() {
                            path.state = crate::model::PathState::Up;
                            "working".clone_into(&mut path.words);
                        }
                    });
                }
            }
            _ => return describe(&id, key, value, out),
        }
        Some(nmp)
    }
}

/// Keys of `core device list` and `esxcfg-scsidevs -l`.
fn describe(id: &DiskId, key: &str, value: &str, out: &mut Builder) -> Option<&'static str> {
    let text = || Some(value.to_owned()).filter(|value| !value.is_empty());
    match key {
        "Vendor" if value.contains("Model:") => {
            // One line in `esxcfg-scsidevs -l`: `DGC Model: VRAID Revis: 0531`.
            let (vendor, rest) = value.split_once("Model:")?;
            let (model, revision) = rest.split_once("Revis:").unwrap_or((rest, ""));
            out.lun(id, |lun| {
                lun.vendor = Some(vendor.trim().to_owned());
                lun.model = Some(model.trim().to_owned());
                lun.revision = Some(revision.trim().to_owned()).filter(|text| !text.is_empty());
            });
        }
        "Vendor" => out.lun(id, |lun| lun.vendor = text()),
        "Model" => out.lun(id, |lun| lun.model = text()),
        "Revision" => out.lun(id, |lun| lun.revision = text()),
        "Device Type" => out.lun(id, |lun| lun.kind = kind_of(value)),
        "Size" => {
            // MiB without a unit in esxcli, `20480 MB` in esxcfg-scsidevs.
            let bytes = rough_size(&value.replace(' ', "")).or_else(|| rough_size(&format!("{value}M")));
            out.lun(id, |lun| lun.bytes = bytes);
        }
        "Other UIDs" => {
            let other = value.split([',', ' ']).find_map(esx);
            out.lun(id, |lun| lun.ids.extend_one(other));
        }
        _ => return None,
    }
    Some("esxcli storage core device list")
}

/// `vmhba1 qla2xxx link-n/a fc.2000…:2100… (8:0.0) QLogic Corp ISP2432-based 4Gb Fibre`
fn adapter(words: &[&str], out: &mut Builder) -> Option<&'static str> {
    let [name, driver, link, uid, place, model @ ..] = words else { return None };
    let numbered = name.strip_prefix("vmhba").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
    if !numbered || !link.starts_with("link-") || !place.starts_with('(') {
        return None;
    }
    let transport = match uid.split('.').next().unwrap_or_default() {
        "fc" => Transport::Fc,
        "iqn" => Transport::Iscsi,
        "sas" => Transport::Sas,
        "usb" => Transport::Usb,
        "ide" | "sata" => Transport::Ata,
        _ if *driver == "usb-storage" => Transport::Usb,
        _ => Transport::Other,
    };
    let ports = uid.strip_prefix("fc.").and_then(|ports| ports.split_once(':'));
    out.adapter(name, transport, |adapter| {
        adapter.driver = Some((*driver).to_owned());
        adapter.address =
            Some(place.trim_matches(['(', ')', '}']).to_owned()).filter(|place| !place.is_empty());
        adapter.model = Some(model.join(" ")).filter(|model| !model.is_empty());
        adapter.state = link.strip_prefix("link-").filter(|state| *state != "n/a").map(str::to_owned);
        if let Some((node, port)) = ports {
            (adapter.wwnn, adapter.wwpn) = (address(node), address(port));
        }
        if uid.starts_with("iqn.") {
            adapter.iqn = Some((*uid).to_owned());
        }
    });
    Some("esxcfg-scsidevs -a")
}

/// `naa.6001… Direct-Access /dev/sdb 69376MB NMP Local DELL Disk (naa.6001…)`
fn compact(words: &[&str], out: &mut Builder) -> Option<&'static str> {
    let [device, kind, _, size, plugin, name @ ..] = words else { return None };
    let bytes = rough_size(size)?;
    let id = esx_id(device)?;
    if !size.ends_with("MB") {
        return None;
    }
    out.lun(&id, |lun| {
        lun.kind = kind_of(kind);
        lun.bytes = Some(bytes).filter(|bytes| *bytes > 0);
        let map = lun.map.get_or_insert_with(Map::default);
        map.name = plain(&name.join(" "));
        map.features.get_or_insert_with(|| (*plugin).to_owned());
    });
    // A local device is named by its only path.
    let path = device.strip_prefix("mpx.");
    if let Some((name, (adapter, number))) = path.and_then(|name| Some((name, runtime(name)?))) {
        let seen = Seen { adapter, number: Some(number), name: Some(name.to_owned()), ..Seen::default() };
        out.path(&id, seen, Transport::Other, |_| ());
    }
    Some("esxcfg-scsidevs -c")
}

/// `naa.6001…:1 /vmfs/devices/disks/naa.6001…:1 4f73356a-… 0 datastore1`, or the line of `vmfs extent list`:
/// `datastore1 4f73356a-… 0 naa.6001… 1`.
fn volume(words: &[&str], out: &mut Builder) -> Option<&'static str> {
    let (device, number, uuid, label, form) = match words {
        [part, place, uuid, _, label @ ..] if place.starts_with("/vmfs/devices/") => {
            let (device, number) = part.rsplit_once(':')?;
            (device, number, *uuid, label.join(" "), "esxcfg-scsidevs -m")
        }
        [label @ .., uuid, _, device, number] if uuid.len() == 35 && !label.is_empty() => {
            (*device, *number, *uuid, label.join(" "), "esxcli storage vmfs extent list")
        }
        _ => return None,
    };
    let disk = esx_id(device)?;
    let number = crate::ident::part_number(number)?;
    out.lun(&disk, |_| ());
    let whole = device.to_owned();
    out.device(&whole, DeviceKind::Disk, &Identity::whole(disk.clone()), |_| ());
    out.device(&format!("{device}:{number}"), DeviceKind::Partition, &Identity::part(disk, number), |part| {
        part.on = vec![whole];
        part.partition = Some(Partition { number, start: None, uuid: None, label: None });
        part.content = Some(FileSystem {
            kind: "vmfs".to_owned(),
            uuid: Some(uuid.to_owned()),
            label: Some(label.clone()),
        });
        part.mounts = vec![label];
    });
    Some(form)
}

/// A display name without the id in brackets behind it.
fn plain(name: &str) -> String {
    name.rsplit_once(" (").map_or(name, |(name, _)| name).to_owned()
}

fn kind_of(word: &str) -> LunKind {
    match word.split_whitespace().next().unwrap_or_default() {
        "Direct-Access" => LunKind::Disk,
        "CD-ROM" => LunKind::Rom,
        "Sequential-Access" => LunKind::Tape,
        "Enclosure" => LunKind::Enclosure,
        "RAID" => LunKind::Controller,
        _ => LunKind::Other,
    }
}
