//! Network cards by what does not change when the kernel numbers them anew: permanent address, place on the bus.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// What a network interface is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NicKind {
    /// A card.
    Card,
    /// A bridge.
    Bridge,
    /// A bond.
    Bond,
    /// A VLAN.
    Vlan,
    /// Something else that software made.
    Virtual,
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: NicKind,
    /// Its address.
    #[serde(default)]
    pub mac: Option<String>,
    /// The address that the card was made with, where it is known.
    #[serde(default)]
    pub permanent_mac: Option<String>,
    /// Place on the PCI bus.
    #[serde(default)]
    pub pci: Option<String>,
    /// Driver.
    #[serde(default)]
    pub driver: Option<String>,
    /// Bridge or bond that it belongs to.
    #[serde(default)]
    pub master: Option<String>,
    /// Interfaces that belong to it.
    #[serde(default)]
    pub members: Vec<String>,
    /// Mode of a bond.
    #[serde(default)]
    pub bond_mode: Option<String>,
    /// Largest packet.
    #[serde(default)]
    pub mtu: Option<u32>,
}

/// What became of a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum NicMove {
    /// It has another name now.
    Renamed {
        /// Its name in the backup.
        was: String,
        /// Its name now.
        now: String,
        /// By what it was recognized.
        by: String,
    },
    /// No card of this machine is it.
    Missing {
        /// Its name in the backup.
        was: String,
        /// Address and place, as far as known.
        known_by: String,
        /// Cards that are in no backup, and could be meant.
        candidates: Vec<String>,
    },
}

/// Reads the interfaces from a tree like `/sys`. Taps of guests are left out: they come and go.
pub fn read_nics(sys: &Path) -> Vec<Nic> {
    let Ok(folder) = fs::read_dir(sys.join("class/net")) else { return Vec::new() };
    let mut names: Vec<String> = folder
        .filter_map(|item| item.ok()?.file_name().into_string().ok())
        .filter(|name| name != "lo")
        .collect();
    names.sort();
    names.into_iter().take(4096).filter_map(|name| read_nic(sys, name)).collect()
}

fn read_nic(sys: &Path, name: String) -> Option<Nic> {
    let place = sys.join("class/net").join(&name);
    let text = |file: &str| {
        let text = fs::read_to_string(place.join(file)).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    if place.join("tun_flags").exists() || !place.join("address").exists() {
        return None;
    }
    let is_vlan = text("uevent").is_some_and(|text| text.contains("DEVTYPE=vlan"));
    let kind = if place.join("device").exists() {
        NicKind::Card
    } else if place.join("bridge").exists() {
        NicKind::Bridge
    } else if place.join("bonding").exists() {
        NicKind::Bond
    } else if is_vlan {
        NicKind::Vlan
    } else {
        NicKind::Virtual
    };
    let mac = text("address").filter(|mac| mac != "00:00:00:00:00:00");
    // A card in a bond has the bond's address; its own is beside it. Type 0 means that the address is permanent.
    let assigned = text("addr_assign_type");
    let permanent = text("bonding_slave/perm_hwaddr")
        .or_else(|| mac.clone().filter(|_| kind == NicKind::Card && assigned.as_deref() == Some("0")));
    let link = |file: &str| {
        let target = fs::read_link(place.join(file)).ok()?;
        target.file_name()?.to_str().map(str::to_owned)
    };
    let members = if kind == NicKind::Bond {
        text("bonding/slaves")
            .map(|text| text.split_whitespace().map(str::to_owned).collect())
            .unwrap_or_default()
    } else {
        let ports = fs::read_dir(place.join("brif"));
        let mut ports: Vec<String> = ports
            .map(|items| items.filter_map(|item| item.ok()?.file_name().into_string().ok()).collect())
            .unwrap_or_default();
        ports.sort();
        ports
    };
    Some(Nic {
        kind,
        permanent_mac: permanent.map(|mac| mac.to_lowercase()),
        mac: mac.map(|mac| mac.to_lowercase()),
        pci: pci_of(&place.join("device")),
        driver: link("device/driver"),
        master: link("master"),
        members,
        bond_mode: text("bonding/mode").and_then(|mode| mode.split_whitespace().next().map(str::to_owned)),
        mtu: text("mtu").and_then(|mtu| mtu.parse().ok()),
        name,
    })
}

/// The innermost part of the device's place that is a PCI address.
fn pci_of(device: &Path) -> Option<String> {
    let place = fs::canonicalize(device).ok()?;
    let parts = place.iter().rev().filter_map(|part| part.to_str());
    parts.into_iter().find(|part| is_pci(part)).map(str::to_owned)
}

/// `0000:3b:00.1`
fn is_pci(text: &str) -> bool {
    let mut parts = text.split([':', '.']);
    let lens = [4, 2, 2, 1];
    text.len() == 12
        && lens.iter().all(|len| {
            parts
                .next()
                .is_some_and(|part| part.len() == *len && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
        })
        && parts.next().is_none()
}

/// What became of the cards: by permanent address first, by place on the bus where no address is known.
pub fn match_nics(there: &[Nic], here: &[Nic]) -> Vec<NicMove> {
    let cards =
        |list: &[Nic]| -> Vec<Nic> { list.iter().filter(|nic| nic.kind == NicKind::Card).cloned().collect() };
    let (there, here) = (cards(there), cards(here));
    let one = |test: &dyn Fn(&Nic) -> bool| {
        let mut found = here.iter().filter(|nic| test(nic));
        found.next().filter(|_| found.next().is_none())
    };
    let found: Vec<(&Nic, Option<(&Nic, String)>)> = there
        .iter()
        .map(|nic| {
            let by_mac = nic.permanent_mac.as_ref().and_then(|mac| {
                one(&|other| other.permanent_mac.as_ref() == Some(mac))
                    .map(|other| (other, format!("address {mac}")))
            });
            let by_place = || {
                let pci = nic.pci.as_ref()?;
                // A card with another address in the same slot is another card.
                let fits = |other: &Nic| {
                    let both = nic.permanent_mac.is_some() && other.permanent_mac.is_some();
                    other.pci.as_ref() == Some(pci) && !both
                };
                one(&fits).map(|other| (other, format!("PCI place {pci}")))
            };
            (nic, by_mac.or_else(by_place))
        })
        .collect();
    let taken: BTreeSet<&str> =
        found.iter().filter_map(|(_, now)| now.as_ref().map(|(nic, _)| nic.name.as_str())).collect();
    let free: Vec<String> = here
        .iter()
        .filter(|nic| !taken.contains(nic.name.as_str()))
        .map(|nic| format!("{} ({})", nic.name, known_by(nic)))
        .collect();
    found
        .into_iter()
        .filter_map(|(nic, now)| match now {
            Some((now, _)) if now.name == nic.name => None,
            Some((now, by)) => Some(NicMove::Renamed { was: nic.name.clone(), now: now.name.clone(), by }),
            None => Some(NicMove::Missing {
                was: nic.name.clone(),
                known_by: known_by(nic),
                candidates: free.clone(),
            }),
        })
        .collect()
}

fn known_by(nic: &Nic) -> String {
    let parts: Vec<String> =
        [("address", nic.permanent_mac.as_ref().or(nic.mac.as_ref())), ("PCI place", nic.pci.as_ref())]
            .into_iter()
            .filter_map(|(what, value)| value.map(|value| format!("{what} {value}")))
            .collect();
    if parts.is_empty() { "nothing that lasts is known of it".to_owned() } else { parts.join(", ") }
}

/// Which of the names stand as words in a file of the network.
pub fn names_in_use<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    let words: BTreeSet<&str> = text.split(|letter: char| !is_part(letter)).collect();
    names.filter(|name| words.contains(name)).collect()
}

/// A file of systemd-udevd that gives a card the name that it had: path below the root, and text.
pub fn pin_file(nic: &Nic) -> Option<(String, String)> {
    let plain = nic.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    if !plain || nic.name.len() > 15 {
        return None;
    }
    let by = match (&nic.permanent_mac, &nic.pci) {
        (Some(mac), _) => format!("PermanentMACAddress={mac}"),
        (None, Some(pci)) => format!("Path=pci-{pci}*"),
        (None, None) => return None,
    };
    let text = format!(
        "# Written by a restore of Lifeboat: the card keeps the name that its configuration knows.\n\
         [Match]\n{by}\n\n[Link]\nName={}\n",
        nic.name
    );
    Some((format!("etc/systemd/network/10-lifeboat-{}.link", nic.name), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(name: &str, mac: Option<&str>, pci: Option<&str>) -> Nic {
        Nic {
            name: name.to_owned(),
            kind: NicKind::Card,
            mac: mac.map(str::to_owned),
            permanent_mac: mac.map(str::to_owned),
            pci: pci.map(str::to_owned),
            driver: None,
            master: None,
            members: Vec::new(),
            bond_mode: None,
            mtu: None,
        }
    }

    #[test]
    fn a_card_is_known_by_its_address_then_by_its_place_never_by_its_name() {
        let there = [
            card("eth0", Some("aa"), Some("p0")),
            card("eth1", Some("bb"), None),
            card("eth2", None, Some("p2")),
        ];
        let here = [
            card("eth0", Some("bb"), None),
            card("eth1", Some("aa"), Some("p9")),
            card("ens2", None, Some("p2")),
        ];
        let moves = match_nics(&there, &here);
        let renamed = |was: &str, now: &str, by: &str| NicMove::Renamed {
            was: was.to_owned(),
            now: now.to_owned(),
            by: by.to_owned(),
        };
        assert_eq!(
            moves,
            [
                renamed("eth0", "eth1", "address aa"),
                renamed("eth1", "eth0", "address bb"),
                renamed("eth2", "ens2", "PCI place p2")
            ]
        );
        let gone = match_nics(&there[..1], &[card("eth0", Some("cc"), Some("p0"))]);
        assert!(
            matches!(&gone[0], NicMove::Missing { candidates, .. } if candidates == &["eth0 (address cc, PCI place p0)"])
        );
    }

    #[test]
    fn a_name_is_in_use_where_it_stands_as_a_word() {
        let names = ["eth0", "eth1", "br0"];
        let text = "auto eth0\niface eth0.5 inet static\nbridge_ports eth10\n";
        assert_eq!(names_in_use(text, names.into_iter()), ["eth0"]);
    }

    #[test]
    fn a_pci_address_is_recognized() {
        assert!(is_pci("0000:3b:00.1") && !is_pci("pci0000:00") && !is_pci("0000:3b:00.x"));
    }
}
