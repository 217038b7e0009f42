//! `multipath -ll`, of versions 0.4.7 to today.
//!
//! Promises: the list of paths before the maps, and lines of the log between them, are passed over.

use super::build::{Builder, Seen, rough_size};
use super::read::Reader;
use crate::ident::{DiskId, IdKind, Identity};
use crate::model::{DeviceKind, Hctl, Map, PathState, Transport};
use crate::names::wwid;

const FORM: &str = "multipath -ll";

#[derive(Debug, Default)]
pub(super) struct Multipath {
    current: Option<(DiskId, String)>,
}

impl Reader for Multipath {
    fn line(&mut self, line: &str, out: &mut Builder) -> Option<&'static str> {
        if line.starts_with("=====") {
            self.current = None;
            return None;
        }
        if let Some((name, world, dm, product)) = head(line) {
            let id = wwid(world).or_else(|| DiskId::new(IdKind::Dm, &format!("mpath-{world}")).ok())?;
            out.lun(&id, |lun| {
                if let Some((vendor, model)) = product.split_once(',') {
                    lun.vendor = Some(vendor.trim().to_owned()).filter(|text| !text.is_empty());
                    lun.model = Some(model.trim().to_owned()).filter(|text| !text.is_empty());
                }
                let map = lun.map.get_or_insert_with(Map::default);
                if map.name.is_empty() || name != world {
                    name.clone_into(&mut map.name);
                }
                map.device.get_or_insert_with(|| dm.to_owned());
                map.wwid.get_or_insert_with(|| world.to_owned());
            });
            out.device(dm, DeviceKind::Multipath, &Identity::whole(id.clone()), |device| {
                device.names.push(format!("/dev/mapper/{name}"));
                device.dm = Some((name.to_owned(), format!("mpath-{world}")));
            });
            self.current = Some((id, dm.to_owned()));
            return Some(FORM);
        }
        let (id, dm) = self.current.as_ref()?;
        if let Some(size) = field(line, "size=") {
            out.lun(id, |lun| {
                lun.bytes = rough_size(size);
                if let Some(map) = &mut lun.map {
                    map.features = field(line, "features='").filter(|text| *text != "0").map(str::to_owned);
                    map.handler = field(line, "hwhandler='").filter(|text| *text != "0").map(str::to_owned);
                }
            });
            return Some(FORM);
        }
        if let Some(policy) = field(line, "policy='").or_else(|| old_group(line)) {
            out.lun(id, |lun| lun.map.iter_mut().for_each(|map| map.policy = Some(policy.to_owned())));
            return Some(FORM);
        }
        let (hctl, device, words) = path(line)?;
        let (state, id, dm) = (state(&words), id.clone(), dm.clone());
        let seen = Seen {
            adapter: format!("host{}", hctl.host),
            target: Some(format!("target{}:{}:{}", hctl.host, hctl.channel, hctl.target)),
            hctl: Some(hctl),
            number: Some(hctl.lun),
            device: Some(device.clone()),
            name: None,
        };
        out.path(&id, seen, Transport::Other, |path| {
            path.state = state;
            path.words = words;
        });
        out.device(&device, DeviceKind::Disk, &Identity::whole(id.clone()), |_| ());
        out.device(&dm, DeviceKind::Multipath, &Identity::whole(id), |map| {
            if !map.on.contains(&device) {
                map.on.push(device);
            }
        });
        Some(FORM)
    }
}

/// `mpathg (36f01…) dm-2 DELL,MD36xxi` or `36001… dm-5 LIO-ORG ,block0_sdb`: name, WWID, map, product.
fn head(line: &str) -> Option<(&str, &str, &str, &str)> {
    if line.starts_with([' ', '|', '`', '\\', '[']) || line.contains('=') {
        return None;
    }
    let at = line.match_indices(" dm-").map(|(at, _)| at).find(|at| {
        let rest = line.get(at + 4..).unwrap_or_default();
        rest.starts_with(|c: char| c.is_ascii_digit())
    })?;
    let (names, rest) = line.split_at_checked(at)?;
    let (dm, product) = rest.trim_start().split_once(' ').unwrap_or((rest.trim(), ""));
    match names.strip_suffix(')').and_then(|names| names.split_once(" (")) {
        Some((name, world)) => Some((name, world, dm, product)),
        None => Some((names, names, dm, product)),
    }
}

/// A value up to the quote or blank that ends it.
fn field<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(start)?;
    let end = if start.ends_with('\'') { '\'' } else { ' ' };
    rest.split([end, ']']).next()
}

/// `\_ round-robin 0 [prio=1][active]` of 0.4.7.
fn old_group(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("\\_ ")?;
    rest.split_once(" [prio=").map(|(policy, _)| policy)
}

/// `| |- 12:0:0:1 sdc 8:32   active ready running`
fn path(line: &str) -> Option<(Hctl, String, String)> {
    let rest = line.trim_start_matches(|c: char| " |`-+\\_".contains(c));
    let mut words =
        rest.split(|c: char| c.is_whitespace() || c == '[' || c == ']').filter(|word| !word.is_empty());
    let hctl: Hctl = words.next()?.parse().ok()?;
    let device = words.next()?;
    let number = words.next()?;
    let plain = !device.is_empty() && device.len() <= 32 && device.bytes().all(|b| b.is_ascii_alphanumeric());
    if !plain || !number.contains(':') {
        return None;
    }
    Some((hctl, device.to_owned(), words.collect::<Vec<_>>().join(" ")))
}

/// State of the map, of the checker, of the device.
fn state(words: &str) -> PathState {
    let mut state = PathState::Unknown;
    for word in words.split(' ') {
        state = match word {
            "failed" | "faulty" | "offline" | "shaky" | "timeout" | "removed" | "blocked" => {
                return PathState::Down;
            }
            "ghost" => PathState::Standby,
            "ready" if state == PathState::Unknown => PathState::Up,
            _ => state,
        };
    }
    state
}
