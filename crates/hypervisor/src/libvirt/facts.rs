//! From what hosts say to the words of the model.
//!
//! Owns: what a guest needs, what a host offers, what keeps a guest from being moved, and which of several descriptions
//! of one guest counts. Promises: pure; a guest that is described anywhere is in the answer, once; one that runs on
//! two hosts is named. Does not: ask hosts.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_libvirt::Uuid;
use lifeboat_libvirt::xml::{DiskFacts, DiskSource, DomainFacts};
use lifeboat_model::{GuestFacts, GuestId, GuestView, HostId, Mib, Movable};

use super::read::{DomainRead, HostRead};
use super::settings::{KvmSettings, LocalDisks};

/// Memory that a host keeps for itself unless somebody says how much guests may use: 1 GiB or a twentieth.
const HOST_SHARE_MIB: u64 = 1024;

/// Kinds of storage pools that several hosts see alike.
const SHARED_POOLS: [&str; 7] = ["netfs", "gluster", "rbd", "iscsi", "iscsi-direct", "sheepdog", "scsi"];

/// A guest as the pool has it.
#[derive(Debug, Clone)]
pub(super) struct Guest {
    pub(super) view: GuestView,
    pub(super) facts: GuestFacts,
    pub(super) uuid: Uuid,
    /// Its name in libvirt.
    pub(super) name: String,
    /// Whether it is interpreted.
    pub(super) interpreted: bool,
}

/// All guests, and what is wrong with how they are described.
#[derive(Debug, Default, Clone)]
pub(super) struct Guests {
    pub(super) all: BTreeMap<GuestId, Guest>,
    pub(super) notes: Vec<String>,
    /// Guests that seem to run on two hosts.
    pub(super) suspects: BTreeSet<Uuid>,
}

/// What a host offers to guests.
pub(super) fn offers(read: &HostRead, settings: &KvmSettings) -> BTreeSet<String> {
    let mut offers = BTreeSet::new();
    for network in read.networks.iter().filter(|network| network.active) {
        offers.insert(format!("network:{}", network.name));
    }
    for bridge in &read.bridges {
        offers.insert(format!("bridge:{bridge}"));
    }
    for pool in read.pools.iter().filter(|pool| pool.active && is_shared(&pool.kind)) {
        offers.insert(format!("storage:{}", pool.name));
    }
    for folder in &settings.shared_folders {
        offers.insert(format!("folder:{folder}"));
    }
    for guest in &read.facts.guests {
        for machine in &guest.machines {
            offers.insert(format!("machine:{}", machine.name));
        }
        for kind in &guest.domain_types {
            offers.insert(format!("domain-type:{}/{kind}", guest.arch));
        }
    }
    offers.insert(passthrough(read));
    for feature in &read.facts.cpu_features {
        offers.insert(format!("cpu:{feature}"));
    }
    if let Some(model) = &read.facts.cpu_model {
        offers.insert(format!("cpu-model:{model}"));
    }
    offers
}

/// One processor is like another for a guest that sees it as it is only if model and features are the same.
fn passthrough(read: &HostRead) -> String {
    let mut features: Vec<&str> = read.facts.cpu_features.iter().map(String::as_str).collect();
    features.sort_unstable();
    let model = read.facts.cpu_model.as_deref().unwrap_or("unknown");
    format!("cpu-as-is:{model}+{}", features.join("+"))
}

/// Memory that guests may use.
pub(super) fn memory(read: &HostRead, said: Option<Mib>) -> Mib {
    let all = read.node.memory_kib / 1024;
    said.unwrap_or_else(|| Mib(all.saturating_sub(HOST_SHARE_MIB.max(all / 20))))
}

fn is_shared(kind: &str) -> bool {
    SHARED_POOLS.contains(&kind)
}

/// Puts the guests of all hosts together. Hosts are not read at the same moment, so a guest that went over in between
/// seems to run twice: that is believed only of those in `twice`.
pub(super) fn guests<'a>(
    reads: impl Iterator<Item = (&'a HostId, &'a HostRead)> + Clone,
    settings: &KvmSettings,
    twice: &BTreeSet<Uuid>,
) -> Guests {
    let mut seen: BTreeMap<Uuid, Vec<(&HostId, &HostRead, &DomainRead)>> = BTreeMap::new();
    for (host, read) in reads {
        for domain in &read.domains {
            seen.entry(domain.domain.uuid).or_default().push((host, read, domain));
        }
    }
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for places in seen.values() {
        if let Some((_, _, first)) = places.first() {
            *names.entry(first.domain.name.as_str()).or_default() += 1;
        }
    }
    let mut guests = Guests::default();
    for (uuid, places) in &seen {
        let Some((host, read, domain)) = chosen(places) else { continue };
        let unique = names.get(domain.domain.name.as_str()) == Some(&1);
        let Some(id) = name_of(&domain.domain.name, *uuid, unique) else { continue };
        let runs_on: Vec<&str> = places
            .iter()
            .filter(|(_, _, domain)| domain.runs() && !domain.arrives())
            .map(|(host, _, _)| host.as_str())
            .collect();
        let mut guest = guest(id, *uuid, host, read, domain, settings);
        if runs_on.len() > 1 {
            guests.suspects.insert(*uuid);
        }
        if runs_on.len() > 1 && twice.contains(uuid) {
            let reason = format!(
                "it runs on {} at the same time; shut one of them down before its disks are damaged",
                runs_on.join(" and ")
            );
            guests.notes.push(format!("{}: {reason}", guest.view.id));
            guest.view.movable = Movable::No { reason };
        }
        guests.all.insert(guest.view.id.clone(), guest);
    }
    guests
}

/// The description that counts: where it runs, else where it starts with its host, else the first.
fn chosen<'p, 'a>(
    places: &'p [(&'a HostId, &'a HostRead, &'a DomainRead)],
) -> Option<&'p (&'a HostId, &'a HostRead, &'a DomainRead)> {
    let runs = |arriving: bool| {
        places.iter().find(move |(_, _, domain)| domain.runs() && domain.arrives() == arriving)
    };
    runs(false)
        .or_else(|| runs(true))
        .or_else(|| places.iter().find(|(_, _, domain)| domain.autostart))
        .or_else(|| places.first())
}

/// A guest is known by its name, or by its UUID where the name is used twice or cannot be written on a command line.
fn name_of(name: &str, uuid: Uuid, unique: bool) -> Option<GuestId> {
    let by_name = if unique { GuestId::new(name).ok() } else { None };
    by_name.or_else(|| GuestId::new(uuid.to_string()).ok())
}

fn guest(
    id: GuestId,
    uuid: Uuid,
    host: &HostId,
    read: &HostRead,
    domain: &DomainRead,
    settings: &KvmSettings,
) -> Guest {
    let mut view = GuestView {
        id,
        host: host.clone(),
        memory: Mib(0),
        running: domain.runs(),
        movable: Movable::Yes,
        keep_apart: None,
        needs: BTreeSet::new(),
    };
    let mut facts = GuestFacts { auto_start: domain.autostart, ..GuestFacts::default() };
    let mut interpreted = false;
    match &domain.facts {
        Ok(described) => {
            view.memory = Mib(described.memory_kib.div_ceil(1024));
            interpreted = described.domain_type == "qemu";
            needs(described, read, settings, &mut view.needs);
            look_for_obstacles(described, read, settings, &mut view, &mut facts);
        }
        Err(reason) => {
            view.movable = Movable::No { reason: format!("its description cannot be read: {reason}") };
        }
    }
    Guest { view, facts, uuid, name: domain.domain.name.clone(), interpreted }
}

fn needs(described: &DomainFacts, read: &HostRead, settings: &KvmSettings, needs: &mut BTreeSet<String>) {
    needs.insert(format!("domain-type:{}/{}", described.arch, described.domain_type));
    if !described.machine.is_empty() {
        needs.insert(format!("machine:{}", described.machine));
    }
    for interface in &described.interfaces {
        match (interface.kind.as_str(), &interface.source) {
            ("network", Some(name)) => drop(needs.insert(format!("network:{name}"))),
            ("bridge", Some(name)) => drop(needs.insert(format!("bridge:{name}"))),
            _ => {}
        }
    }
    for disk in &described.disks {
        if let Place::Shared(Some(need)) = place_of(disk, read, settings) {
            needs.insert(need);
        }
    }
    // An interpreted processor is the same everywhere.
    if described.domain_type != "kvm" {
        return;
    }
    if let Some(cpu) = &described.cpu {
        if cpu.mode.as_deref() == Some("host-passthrough") {
            needs.insert(passthrough(read));
        } else {
            let required = cpu.features.iter().filter(|feature| {
                matches!(feature.policy.as_str(), "require" | "force")
                    && read.facts.cpu_features.contains(&feature.name)
            });
            needs.extend(required.map(|feature| format!("cpu:{}", feature.name)));
        }
    }
}

/// Where a disk lies.
enum Place {
    /// Every host sees it alike, if it offers this.
    Shared(Option<String>),
    /// On its host alone.
    Local(String),
    /// Nothing is in the drive.
    Empty,
}

fn place_of(disk: &DiskFacts, read: &HostRead, settings: &KvmSettings) -> Place {
    match &disk.source {
        DiskSource::None => Place::Empty,
        DiskSource::Network { .. } => Place::Shared(None),
        DiskSource::Volume { pool, .. } => match read.pools.iter().find(|known| known.name == *pool) {
            Some(known) if is_shared(&known.kind) => Place::Shared(Some(format!("storage:{pool}"))),
            Some(known) => known
                .folder
                .as_deref()
                .and_then(|folder| shared_folder(folder, settings))
                .map_or_else(|| Place::Local(format!("pool {pool}")), |need| Place::Shared(Some(need))),
            None => Place::Local(format!("pool {pool}")),
        },
        DiskSource::File(path) | DiskSource::Block(path) | DiskSource::Directory(path) => {
            let by_pool = read
                .pools
                .iter()
                .filter(|pool| pool.active && is_shared(&pool.kind))
                .find(|pool| pool.folder.as_deref().is_some_and(|folder| lies_in(path, folder)));
            if let Some(pool) = by_pool {
                return Place::Shared(Some(format!("storage:{}", pool.name)));
            }
            shared_folder(path, settings)
                .map_or_else(|| Place::Local(path.clone()), |need| Place::Shared(Some(need)))
        }
        DiskSource::Other(what) => Place::Local(what.clone()),
    }
}

/// Disks that only their host has, by their names in the guest.
pub(super) fn local_disks(described: &DomainFacts, read: &HostRead, settings: &KvmSettings) -> Vec<String> {
    let writable = described.disks.iter().filter(|disk| !matches!(disk.device.as_str(), "cdrom" | "floppy"));
    let local = writable.filter(|disk| matches!(place_of(disk, read, settings), Place::Local(_)));
    local.map(|disk| disk.target.clone()).collect()
}

fn shared_folder(path: &str, settings: &KvmSettings) -> Option<String> {
    settings
        .shared_folders
        .iter()
        .find(|folder| lies_in(path, folder))
        .map(|folder| format!("folder:{folder}"))
}

fn lies_in(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn look_for_obstacles(
    described: &DomainFacts,
    read: &HostRead,
    settings: &KvmSettings,
    view: &mut GuestView,
    facts: &mut GuestFacts,
) {
    let mut reasons = Vec::new();
    if let Some(device) = described.host_devices.first() {
        let text = format!("{} device {}", device.kind, device.address);
        reasons.push(format!("{text} of its host is passed through to it"));
        facts.device = Some(text);
    }
    for disk in &described.disks {
        let Place::Local(place) = place_of(disk, read, settings) else { continue };
        if matches!(disk.device.as_str(), "cdrom" | "floppy") {
            reasons.push(format!("{place} is in its drive {}", disk.target));
            facts.media.get_or_insert(place);
        } else if settings.migration.local_disks == LocalDisks::Forbid {
            reasons.push(format!("its disk {} ({place}) is on its host alone", disk.target));
            facts.local_disk.get_or_insert_with(|| format!("{} ({place})", disk.target));
        }
    }
    for shared in &described.filesystems {
        let source = shared.source.as_deref().unwrap_or("?");
        reasons.push(format!("the folder {source} of its host is shared with it ({})", shared.kind));
    }
    if let Some(kind) = &described.launch_security {
        reasons.push(format!("its memory is encrypted by the processor ({kind})"));
    }
    if described.shmem {
        reasons.push("it shares memory with other programs of its host".to_owned());
    }
    if !reasons.is_empty() {
        view.movable = Movable::No { reason: reasons.join("; ") };
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use lifeboat_libvirt::{Domain, DomainState, NodeInfo, StateAndReason, Version, reason, xml};

    use super::super::read::{NetworkRead, PoolRead};
    use super::super::settings::{KVM_SCHEMA, MigrationSettings};
    use super::*;

    const CAPABILITIES: &str = "<capabilities><host><uuid>c7a5fdbd-edaf-9455-926a-d65c16db1800</uuid><cpu>\
        <arch>x86_64</arch><model>EPYC</model><vendor>AMD</vendor><feature name='avx2'/><feature name='sse4.2'/></cpu>\
        <migration_features><live/><uri_transports><uri_transport>tcp</uri_transport></uri_transports>\
        </migration_features></host><guest><os_type>hvm</os_type><arch name='x86_64'><wordsize>64</wordsize>\
        <emulator>/usr/bin/qemu-system-x86_64</emulator><machine maxCpus='255'>pc-i440fx-7.2</machine>\
        <domain type='qemu'/><domain type='kvm'/></arch></guest></capabilities>";

    fn host(name: &str) -> HostId {
        HostId::new(name).unwrap()
    }

    fn settings() -> KvmSettings {
        KvmSettings {
            schema: KVM_SCHEMA,
            controller: None,
            shared_folders: BTreeSet::from(["/srv/shared".to_owned()]),
            migration: MigrationSettings::default(),
            hosts: Vec::new(),
        }
    }

    fn read(domains: Vec<DomainRead>) -> HostRead {
        let pool = |name: &str, kind: &str, folder: &str| PoolRead {
            name: name.to_owned(),
            kind: kind.to_owned(),
            folder: Some(folder.to_owned()),
            active: true,
        };
        HostRead {
            facts: xml::capabilities(CAPABILITIES).unwrap(),
            node: NodeInfo {
                cpu_model: "x86_64".to_owned(),
                memory_kib: 64 << 20,
                cpus: 8,
                mhz: 2000,
                numa_nodes: 1,
                sockets: 1,
                cores: 8,
                threads: 1,
            },
            emulator: Version(10_000_002),
            networks: vec![NetworkRead { name: "prod".to_owned(), active: true }],
            pools: vec![
                pool("nfs1", "netfs", "/mnt/nfs1"),
                pool("default", "dir", "/var/lib/libvirt/images"),
            ],
            bridges: BTreeSet::from(["br0".to_owned()]),
            domains,
        }
    }

    fn domain(number: u8, name: &str, devices: &str, state: DomainState) -> DomainRead {
        let uuid: Uuid = format!("c7a5fdbd-edaf-9455-926a-d65c16db18{number:02x}").parse().unwrap();
        let text = format!(
            "<domain type='kvm'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>512</memory>\
             <os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type></os><devices>{devices}</devices></domain>"
        );
        DomainRead {
            domain: Domain { name: name.to_owned(), uuid, id: None },
            state: StateAndReason { state, reason: 1 },
            facts: Ok(Box::new(xml::domain(&text).unwrap())),
            autostart: false,
        }
    }

    fn disk(path: &str, device: &str) -> String {
        format!(
            "<disk type='file' device='{device}'><source file='{path}'/><target dev='vda' bus='virtio'/></disk>"
        )
    }

    fn one(devices: &str) -> Guest {
        let (name, host) = (host("h1"), read(vec![domain(1, "web", devices, DomainState::Running)]));
        let all = guests(std::iter::once((&name, &host)), &settings(), &BTreeSet::new());
        all.all.into_values().next().unwrap()
    }

    #[test]
    fn a_guest_needs_what_its_description_names_and_a_host_offers_it() {
        let devices = "<interface type='network'><source network='prod'/></interface>\
            <interface type='bridge'><source bridge='br0'/></interface>"
            .to_owned()
            + &disk("/mnt/nfs1/web.qcow2", "disk")
            + &disk("/srv/shared/data.raw", "disk");
        let guest = one(&devices);
        assert_eq!(guest.view.movable, Movable::Yes);
        assert_eq!(guest.view.memory, Mib(512));
        let wanted = [
            "bridge:br0",
            "domain-type:x86_64/kvm",
            "folder:/srv/shared",
            "machine:pc-i440fx-7.2",
            "network:prod",
            "storage:nfs1",
        ];
        assert_eq!(guest.view.needs.iter().map(String::as_str).collect::<Vec<_>>(), wanted);
        let offers = offers(&read(Vec::new()), &settings());
        assert!(guest.view.needs.is_subset(&offers), "{offers:?}");
    }

    #[test]
    fn what_keeps_a_guest_from_being_moved_is_named() {
        let cases = [
            (disk("/var/lib/libvirt/images/web.qcow2", "disk"), "on its host alone"),
            (disk("/root/debian.iso", "cdrom"), "debian.iso is in its drive"),
            (
                "<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0x3b' \
                 slot='0x00' function='0x0'/></source></hostdev>"
                    .to_owned(),
                "passed through",
            ),
            (
                "<filesystem type='mount'><driver type='virtiofs'/><source dir='/data'/><target dir='d'/></filesystem>"
                    .to_owned(),
                "/data of its host is shared with it",
            ),
        ];
        for (devices, word) in cases {
            let guest = one(&devices);
            let Movable::No { reason } = &guest.view.movable else { panic!("{devices} can be moved") };
            assert!(reason.contains(word), "{reason}");
        }
        // A path that only begins like a shared folder is not in it.
        assert!(matches!(one(&disk("/srv/shared2/x.raw", "disk")).view.movable, Movable::No { .. }));
        assert_eq!(
            one("<disk type='file' device='cdrom'><target dev='sda'/></disk>").view.movable,
            Movable::Yes
        );
    }

    #[test]
    fn a_guest_is_where_it_runs_and_one_that_runs_twice_is_named() {
        let (h1, h2) = (host("h1"), host("h2"));
        let shared = disk("/srv/shared/w.raw", "disk");
        let at = |state| domain(1, "web", &shared, state);
        let mut arriving = at(DomainState::Paused);
        arriving.state.reason = reason::PAUSED_MIGRATION;
        let (there, here) = (read(vec![at(DomainState::Running)]), read(vec![arriving]));
        let all = guests([(&h1, &here), (&h2, &there)].into_iter(), &settings(), &BTreeSet::new());
        let guest = all.all.values().next().unwrap();
        assert_eq!((guest.view.host.as_str(), all.notes.len()), ("h2", 0), "it runs where it leaves from");
        let (there, here) = (read(vec![at(DomainState::Running)]), read(vec![at(DomainState::Shutoff)]));
        let all = guests([(&h1, &here), (&h2, &there)].into_iter(), &settings(), &BTreeSet::new());
        assert_eq!(
            all.all.values().next().unwrap().view.host.as_str(),
            "h2",
            "a description without a run counts less"
        );
        let both = read(vec![at(DomainState::Running)]);
        let looked = guests([(&h1, &both), (&h2, &both)].into_iter(), &settings(), &BTreeSet::new());
        assert_eq!(
            (looked.suspects.len(), looked.notes.len()),
            (1, 0),
            "it may have gone over between two looks"
        );
        let all = guests([(&h1, &both), (&h2, &both)].into_iter(), &settings(), &looked.suspects);
        assert!(all.notes[0].contains("runs on h1 and h2 at the same time"), "{:?}", all.notes);
        assert_eq!(all.all.len(), 1);
    }

    #[test]
    fn names_that_are_used_twice_or_cannot_be_written_become_uuids() {
        let h1 = host("h1");
        let off = DomainState::Shutoff;
        let domains =
            vec![domain(1, "web", "", off), domain(2, "web", "", off), domain(3, "my guest", "", off)];
        let host = read(domains);
        let all = guests(std::iter::once((&h1, &host)), &settings(), &BTreeSet::new());
        assert_eq!(all.all.len(), 3, "no guest is left out");
        assert!(all.all.keys().all(|id| id.as_str().starts_with("c7a5fdbd-")), "{:?}", all.all.keys());
    }

    #[test]
    fn a_description_that_cannot_be_read_keeps_its_guest_where_it_is() {
        let h1 = host("h1");
        let mut broken = domain(1, "web", "", DomainState::Running);
        broken.facts = Err("unexpected end".to_owned());
        let host = read(vec![broken]);
        let all = guests(std::iter::once((&h1, &host)), &settings(), &BTreeSet::new());
        let guest = all.all.values().next().unwrap();
        assert!(guest.view.running);
        assert!(matches!(&guest.view.movable, Movable::No { reason } if reason.contains("unexpected end")));
    }
}
