//! Paths of ESX: `esxcfg-mpath -l` and `-b`, `esxcli storage core path list`, `esxcli nmp path list`.

use super::build::{Builder, Seen};
use super::read::Reader;
use crate::ident::{DiskId, IdKind};
use crate::linux::address;
use crate::model::{PathState, Transport};
use crate::names::esx;

/// The path that lines with keys speak of.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// LUN that the short form lists paths of.
    brief: Option<DiskId>,
    /// Unique name of the path: initiator, target and device.
    uid: Option<String>,
    name: Option<String>,
    id: Option<DiskId>,
    transport: Option<Transport>,
}

const LIST: &str = "esxcfg-mpath -l";

impl Reader for Paths {
    fn line(&mut self, line: &str, out: &mut Builder) -> Option<&'static str> {
        let text = line.trim();
        if let Some((device, name)) = text.split_once(" : ")
            && let Some(id) = esx_id(device)
        {
            let vendor = name.split_whitespace().next().map(str::to_owned);
            out.lun(&id, |lun| lun.vendor = vendor);
            self.brief = Some(id);
            return Some("esxcfg-mpath -b");
        }
        if let Some(form) = self.short(text, out) {
            return Some(form);
        }
        let Some((key, value)) = text.split_once(':') else {
            self.uid = Some(text.to_owned()).filter(|text| text.contains('-'));
            return None;
        };
        let value = value.trim();
        match key {
            "Runtime Name" => {
                self.name = Some(value.to_owned());
                self.id = None;
                return None;
            }
            "Device" => {
                self.id = esx_id(value).or_else(|| DiskId::new(IdKind::Place, self.name.as_deref()?).ok());
                self.transport = None;
                self.begin(out)?;
                return Some(LIST);
            }
            _ => {}
        }
        if self.more(key, value, text, out).is_none() {
            // `fc.2000…:2100…-fc.5006…:5006…-naa.…` stands before its keys.
            if text.contains("-fc.") || text.contains("-iqn.") || text.contains(",iqn.") {
                self.uid = Some(text.to_owned());
            }
            return None;
        }
        Some(LIST)
    }
}

impl Paths {
    /// The path itself, with what its unique name tells.
    fn begin(&mut self, out: &mut Builder) -> Option<()> {
        let (id, name) = (self.id.as_ref()?, self.name.as_ref()?);
        let (adapter, number) = runtime(name)?;
        let seen = Seen { adapter, number: Some(number), name: Some(name.clone()), ..Seen::default() };
        let mut transport = Transport::Other;
        let mut target = None;
        if let Some(rest) = self.uid.as_deref().and_then(|uid| uid.strip_prefix("fc.")) {
            transport = Transport::Fc;
            let mut ports = rest.split("-fc.").map(|port| port.split(['-', ' ']).next().unwrap_or(port));
            let pair = |port: Option<&str>| {
                let (node, port) = port?.split_once(':')?;
                Some((address(node)?, address(port)?))
            };
            if let Some((node, port)) = pair(ports.next()) {
                out.adapter(&seen.adapter, transport, |adapter| {
                    adapter.wwnn = Some(node);
                    adapter.wwpn = Some(port);
                });
            }
            target = pair(ports.next());
        }
        let target = target.map(|(node, port)| {
            let id = format!("fc.{port}");
            out.target(&id, transport, |target| {
                target.wwnn = Some(node);
                target.wwpn = Some(port);
            });
            id
        });
        out.path(id, Seen { target, ..seen }, transport, |_| ());
        self.transport = Some(transport).filter(|transport| *transport != Transport::Other);
        Some(())
    }

    /// The lines after `Device:`.
    fn more(&mut self, key: &str, value: &str, text: &str, out: &mut Builder) -> Option<()> {
        let (id, name) = (self.id.clone()?, self.name.clone()?);
        let (adapter, number) = runtime(&name)?;
        let transport = self.transport.unwrap_or(Transport::Other);
        let seen =
            Seen { adapter: adapter.clone(), number: Some(number), name: Some(name), ..Seen::default() };
        match key {
            "State" | "Group State" => {
                let state = state(value);
                out.path(&id, seen, transport, |path| {
                    path.state = state;
                    value.clone_into(&mut path.words);
                });
            }
            "Transport" => {
                let transport = transport_of(value);
                self.transport = Some(transport);
                out.path(&id, seen, transport, |path| path.transport = transport);
            }
            "Adapter Transport Details" => out.adapter(&adapter, transport, |adapter| {
                let (node, port) = names(text);
                adapter.wwnn = node.or_else(|| adapter.wwnn.take());
                adapter.wwpn = port.or_else(|| adapter.wwpn.take());
                if value.starts_with("iqn.") || value.starts_with("eui.") {
                    adapter.iqn = value.split_whitespace().next().map(str::to_owned);
                }
            }),
            "Target Transport Details" => {
                let target = target(value, transport, out)?;
                out.path(&id, seen, transport, |path| path.target = Some(target));
            }
            _ => return None,
        }
        Some(())
    }

    /// `vmhba1:C0:T1:L1 LUN:1 state:active fc Adapter: WWNN: … WWPN: … Target: WWNN: … WWPN: …`
    fn short(&self, text: &str, out: &mut Builder) -> Option<&'static str> {
        let id = self.brief.as_ref()?;
        let (name, rest) = text.split_once(' ')?;
        let (adapter, number) = runtime(name)?;
        let (_, state_on) = rest.split_once("state:")?;
        let mut words = state_on.split_whitespace();
        let word = words.next()?.to_owned();
        let transport = words.next().map_or(Transport::Other, transport_of);
        let (mine, theirs) = rest.split_once("Target:").unwrap_or((rest, ""));
        let (node, port) = names(mine);
        let iqn = mine.split_whitespace().find(|word| word.starts_with("iqn.")).map(str::to_owned);
        out.adapter(&adapter, transport, |adapter| {
            adapter.wwnn = node.or_else(|| adapter.wwnn.take());
            adapter.wwpn = port.or_else(|| adapter.wwpn.take());
            adapter.iqn = iqn.or_else(|| adapter.iqn.take());
        });
        let target = target(theirs, transport, out);
        let seen =
            Seen { adapter, target, number: Some(number), name: Some(name.to_owned()), ..Seen::default() };
        out.path(id, seen, transport, |path| {
            path.state = state(&word);
            path.words = word;
        });
        Some("esxcfg-mpath -b")
    }
}

/// WWNN and WWPN in a text.
fn names(text: &str) -> (Option<String>, Option<String>) {
    let after = |word: &str| address(text.split_once(word)?.1.split_whitespace().next()?);
    (after("WWNN:"), after("WWPN:"))
}

fn target(text: &str, transport: Transport, out: &mut Builder) -> Option<String> {
    if let (node, Some(port)) = names(text) {
        let id = format!("fc.{port}");
        out.target(&id, transport, |target| {
            target.wwnn = node;
            target.wwpn = Some(port);
        });
        return Some(id);
    }
    let iqn =
        text.split_whitespace().find_map(|word| word.strip_prefix("IQN=").filter(|iqn| !iqn.is_empty()))?;
    out.target(iqn, transport, |target| target.iqn = Some(iqn.to_owned()));
    Some(iqn.to_owned())
}

/// `vmhba1:C0:T1:L3`: adapter and LUN.
pub(super) fn runtime(name: &str) -> Option<(String, u64)> {
    let mut parts = name.split(':');
    let adapter = parts.next()?;
    let mut number = |letter: char| parts.next()?.strip_prefix(letter)?.parse::<u64>().ok();
    let (_, _, lun) = (number('C')?, number('T')?, number('L')?);
    (adapter.starts_with("vmhba") && parts.next().is_none()).then(|| (adapter.to_owned(), lun))
}

/// The id of a device; of one that has only a path, that path.
pub(super) fn esx_id(text: &str) -> Option<DiskId> {
    if let Some(path) = text.strip_prefix("mpx.") {
        runtime(path)?;
        return DiskId::new(IdKind::Place, text).ok();
    }
    esx(text)
}

fn transport_of(word: &str) -> Transport {
    match word {
        "fc" => Transport::Fc,
        "fcoe" => Transport::Fcoe,
        "iscsi" => Transport::Iscsi,
        "sas" => Transport::Sas,
        "usb" => Transport::Usb,
        "ide" | "sata" | "ata" => Transport::Ata,
        "parallel" | "raid" | "block" => Transport::Scsi,
        _ => Transport::Other,
    }
}

fn state(word: &str) -> PathState {
    match word.split([' ', '_']).next().unwrap_or_default() {
        "active" | "on" => PathState::Up,
        "standby" => PathState::Standby,
        "dead" | "disabled" | "off" | "unavailable" => PathState::Down,
        _ => PathState::Unknown,
    }
}
