//! `lsscsi`, `/proc/scsi/scsi`, `iscsiadm -m session`, `sg_vpd`.

use super::build::{Builder, Seen};
use super::read::Reader;
use crate::ident::{DiskId, IdKind, Identity};
use crate::model::{DeviceKind, Hctl, LunKind, Session, Transport};

/// Reader of `lsscsi`, `/proc/scsi/scsi` and `iscsiadm`.
#[derive(Debug, Default)]
pub(super) struct Scsi {
    current: Option<DiskId>,
}

impl Reader for Scsi {
    fn line(&mut self, line: &str, out: &mut Builder) -> Option<&'static str> {
        if let Some(form) = lsscsi(line, out).or_else(|| session(line, out)) {
            return Some(form);
        }
        let form = "/proc/scsi/scsi";
        if let Some(hctl) = proc_head(line) {
            self.current = Some(seen(hctl, None, out)?);
            return Some(form);
        }
        let id = self.current.as_ref()?;
        let text = line.trim_start();
        if text.starts_with("Vendor:") {
            let between = |start: &str, end: &str| {
                let (_, rest) = text.split_once(start)?;
                let value = rest.split_once(end).map_or(rest, |(value, _)| value).trim();
                (!value.is_empty()).then(|| value.to_owned())
            };
            out.lun(id, |lun| {
                lun.vendor = between("Vendor:", "Model:");
                lun.model = between("Model:", "Rev:");
                lun.revision = between("Rev:", "\n");
            });
            return Some(form);
        }
        let kind = text.strip_prefix("Type:")?.trim_start();
        out.lun(id, |lun| lun.kind = kind_of(kind));
        self.current = None;
        Some(form)
    }
}

/// A LUN of which only the address is known.
fn seen(hctl: Hctl, device: Option<String>, out: &mut Builder) -> Option<DiskId> {
    let id = DiskId::new(IdKind::Place, &format!("scsi-{hctl}")).ok()?;
    let seen = Seen {
        adapter: format!("host{}", hctl.host),
        target: Some(format!("target{}:{}:{}", hctl.host, hctl.channel, hctl.target)),
        hctl: Some(hctl),
        number: Some(hctl.lun),
        device,
        name: None,
    };
    out.path(&id, seen, Transport::Other, |_| ());
    Some(id)
}

fn kind_of(word: &str) -> LunKind {
    match word.split([' ', '/']).next().unwrap_or_default() {
        "disk" | "Direct-Access" | "Direct-Access-RBC" | "zbc" => LunKind::Disk,
        "tape" | "Sequential-Access" => LunKind::Tape,
        "cd" | "CD-ROM" => LunKind::Rom,
        "storage" | "RAID" => LunKind::Controller,
        "enclosu" | "Enclosure" => LunKind::Enclosure,
        _ => LunKind::Other,
    }
}

/// `[1:0:0:2]    disk    IET      VIRTUAL-DISK     0001  /dev/sdb`
fn lsscsi(line: &str, out: &mut Builder) -> Option<&'static str> {
    let (hctl, rest) = line.strip_prefix('[')?.split_once(']')?;
    let hctl: Hctl = hctl.parse().ok()?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let [kind, vendor, model @ .., revision, node] = words.as_slice() else { return None };
    let device = node.strip_prefix("/dev/").filter(|name| !name.contains('/')).map(str::to_owned);
    let id = seen(hctl, device.clone(), out)?;
    out.lun(&id, |lun| {
        lun.kind = kind_of(kind);
        lun.vendor = Some((*vendor).to_owned());
        lun.model = Some(model.join(" ")).filter(|model| !model.is_empty());
        lun.revision = Some((*revision).to_owned());
    });
    if let Some(device) = device.filter(|_| matches!(*kind, "disk" | "cd/dvd" | "zbc")) {
        let what = if *kind == "cd/dvd" { DeviceKind::Rom } else { DeviceKind::Disk };
        out.device(&device, what, &Identity::whole(id), |_| ());
    }
    Some("lsscsi")
}

/// `Host: scsi0 Channel: 03 Id: 00 Lun: 00`
fn proc_head(line: &str) -> Option<Hctl> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let ["Host:", host, "Channel:", channel, "Id:", target, "Lun:", lun] = words.as_slice() else {
        return None;
    };
    Some(Hctl {
        host: host.strip_prefix("scsi")?.parse().ok()?,
        channel: channel.parse().ok()?,
        target: target.parse().ok()?,
        lun: lun.parse().ok()?,
    })
}

/// `tcp: [1] 10.72.32.45:3260,1 iqn.2017-06.com.example:server1 (non-flash)`
fn session(line: &str, out: &mut Builder) -> Option<&'static str> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [driver, id, portal, iqn, ..] = words.as_slice() else { return None };
    let driver =
        driver.strip_suffix(':').filter(|driver| driver.bytes().all(|b| b.is_ascii_alphanumeric()))?;
    let number = id.strip_prefix('[')?.strip_suffix(']')?;
    let named = ["iqn.", "eui.", "naa."].iter().any(|head| iqn.starts_with(head));
    if !named || number.parse::<u32>().is_err() {
        return None;
    }
    let portal = portal.split_once(',').map_or(*portal, |(portal, _)| portal);
    out.target(iqn, Transport::Iscsi, |target| {
        target.iqn = Some((*iqn).to_owned());
        if !target.portals.iter().any(|known| known == portal) {
            target.portals.push(portal.to_owned());
        }
    });
    let session = Session {
        id: format!("session{number}"),
        target: (*iqn).to_owned(),
        portal: Some(portal.to_owned()),
        state: None,
    };
    out.adapter(&format!("iscsi-{driver}"), Transport::Iscsi, |adapter| {
        adapter.driver = Some(driver.to_owned());
        if !adapter.sessions.contains(&session) {
            adapter.sessions.push(session);
        }
    });
    Some("iscsiadm -m session")
}

/// Reader of `sg_vpd -p 0x83` and `-p 0x80`.
#[derive(Debug, Default)]
pub(super) struct Vpd {
    device: Option<String>,
    id: Option<DiskId>,
    of_lun: bool,
}

impl Reader for Vpd {
    fn line(&mut self, line: &str, out: &mut Builder) -> Option<&'static str> {
        let text = line.trim();
        if let Some((_, command)) = line.split_once("sg_vpd ") {
            let device = command.split_whitespace().find_map(|word| word.strip_prefix("/dev/"));
            if device != self.device.as_deref() {
                self.id = None;
            }
            self.device = device.map(str::to_owned);
            return None;
        }
        let device = self.device.as_ref()?;
        if text.ends_with("ogical unit:") {
            self.of_lun = true;
        } else if text.starts_with("Target") {
            self.of_lun = false;
        }
        if let Some(hex) = text.strip_prefix("0x").filter(|_| self.of_lun)
            && let Some(id) = DiskId::of_hex(hex)
        {
            out.device(device, DeviceKind::Disk, &Identity::whole(id.clone()), |_| ());
            out.lun(&id, |lun| lun.devices.push(device.clone()));
            self.id = Some(id);
            return Some("sg_vpd");
        }
        let serial = text.strip_prefix("Unit serial number:")?.trim();
        out.lun(self.id.as_ref()?, |lun| lun.serial = Some(serial.to_owned()));
        Some("sg_vpd")
    }
}
