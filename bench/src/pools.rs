//! Pools for benchmarks, made from a seed.
//!
//! Owns: the memory mix of guests, their start placement and the random numbers. Promises: one seed gives one pool on
//! every machine. Does not: resemble any particular site.
//!
//! Guest memory follows the distribution that Azure published for 2019 (AzurePublicDataset, "vmmemory" buckets, read
//! from its notebook to ±0.5 %). A guest starts on the emptier of two random hosts, as common schedulers do.

use std::collections::BTreeSet;

use lifeboat_model::{
    BankView, GuestId, GuestView, HostId, HostView, IdError, Mib, Movable, PoolName, ReleaseRef,
    ReleaseVersion, Sha256Hex, World, WorldError,
};

/// Random numbers of SplitMix64 (Steele, Lea, Flood 2014): small, fast, the same everywhere. Not for secrets.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is at least 1.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = limit as u64;
        usize::try_from((u128::from(self.next()) * u128::from(limit)) >> 64).unwrap_or(0)
    }
}

/// What makes placement harder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Nothing but memory.
    None,
    /// 5 % of the guests are in groups of three that must not share a host.
    Apart,
    /// 1 % of the guests cannot be moved.
    Pinned,
    /// Every second host is of a newer generation; half of the guests on those were started with its CPU features.
    Generations,
    /// Racks of 20 hosts, one host of a rack out of service at a time.
    Racks,
}

/// Memory of the guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mix {
    /// As Azure published it for 2019.
    Azure,
    /// 4, 8, 16 and 64 GiB, a quarter each: invented, for pools of fewer and larger guests.
    Enterprise,
}

impl Mix {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Azure => "azure",
            Self::Enterprise => "enterprise",
        }
    }
}

impl Rule {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Apart => "5% apart",
            Self::Pinned => "1% pinned",
            Self::Generations => "2 CPUs",
            Self::Racks => "racks",
        }
    }
}

/// What a pool for a benchmark looks like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) hosts: usize,
    /// Memory of a host in GiB.
    pub(crate) gib: u64,
    /// Load in per cent of the pool's memory.
    pub(crate) percent: u64,
    pub(crate) seed: u64,
    pub(crate) rule: Rule,
    pub(crate) mix: Mix,
}

/// What the hosts of every pool shall run.
pub(crate) fn target() -> ReleaseRef {
    ReleaseRef {
        name: "bench-host".to_owned(),
        version: ReleaseVersion("2".to_owned()),
        serial: 2,
        digest: Sha256Hex::of(b"release 2"),
    }
}

/// What they run before.
pub(crate) fn before() -> ReleaseRef {
    ReleaseRef {
        name: "bench-host".to_owned(),
        version: ReleaseVersion("1".to_owned()),
        serial: 1,
        digest: Sha256Hex::of(b"release 1"),
    }
}

/// Why a pool could not be made: only if the generator itself is wrong.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// Makes a pool. Its first host is the coordinator.
pub(crate) fn pool(shape: Shape) -> Result<World, Error> {
    let mut random = Random::new(shape.seed);
    let names: Vec<HostId> =
        (0..shape.hosts).map(|index| HostId::new(format!("h{index:05}"))).collect::<Result<_, IdError>>()?;
    let mut free = vec![shape.gib; shape.hosts];
    let mut left = shape.gib * shape.hosts as u64 * shape.percent / 100;
    let mut guests = Vec::new();
    let mut refused = 0;
    // The last guests may be too large for what is left, so some are drawn again.
    while left > 0 && refused < 100 {
        let size = match shape.mix {
            Mix::Azure => guest_gib(&mut random),
            Mix::Enterprise => [4, 8, 16, 64][random.below(4)],
        };
        let (a, b) = (random.below(shape.hosts), random.below(shape.hosts));
        let host = if free[a] >= free[b] { a } else { b };
        if size > left || size > free[host] {
            refused += 1;
            continue;
        }
        refused = 0;
        free[host] -= size;
        left -= size;
        guests.push(GuestView {
            id: GuestId::new(format!("g{:07}", guests.len()))?,
            host: names[host].clone(),
            memory: Mib::from_gib(size),
            running: true,
            movable: Movable::Yes,
            keep_apart: None,
            needs: BTreeSet::new(),
        });
    }
    match shape.rule {
        Rule::None | Rule::Racks => {}
        Rule::Generations => {
            for guest in &mut guests {
                let newer = names.binary_search(&guest.host).is_ok_and(newer);
                let feature = if newer && random.below(2) == 1 { NEWER } else { OLDER };
                guest.needs.insert(feature.to_owned());
            }
        }
        Rule::Apart => {
            for _ in 0..guests.len() / 60 {
                let members = [(); 3].map(|()| random.below(guests.len()));
                let group = Some(format!("k{}", members[0]));
                for member in members {
                    guests[member].keep_apart.clone_from(&group);
                }
            }
        }
        Rule::Pinned => {
            for _ in 0..guests.len() / 100 {
                let guest = random.below(guests.len());
                guests[guest].movable = Movable::No { reason: "a passed-through device".to_owned() };
            }
        }
    }
    world(shape, &names, guests)
}

fn world(shape: Shape, names: &[HostId], guests: Vec<GuestView>) -> Result<World, Error> {
    let hosts = names.iter().enumerate().map(|(index, id)| HostView {
        id: id.clone(),
        memory: Mib::from_gib(shape.gib),
        fault_domain: (shape.rule == Rule::Racks).then(|| format!("rack{}", index / 20)),
        reachable: true,
        boot_id: None,
        active: None,
        banks: [BankView::empty(), BankView::empty()],
        running: Some(Sha256Hex::of(b"release 1")),
        version: None,
        maintenance: false,
        failed_releases: Vec::new(),
        pending_reboot: Vec::new(),
        offers: match shape.rule {
            Rule::Generations if newer(index) => [OLDER, NEWER].map(str::to_owned).into(),
            Rule::Generations => [OLDER].map(str::to_owned).into(),
            Rule::None | Rule::Apart | Rule::Pinned | Rule::Racks => BTreeSet::new(),
        },
    });
    let world: Result<World, WorldError> =
        World::new(PoolName::new("bench")?, names.first().cloned(), hosts.collect(), guests, Vec::new());
    Ok(world?)
}

const OLDER: &str = "cpu:v1";
const NEWER: &str = "cpu:v2";

/// Whether a host is of the newer generation.
fn newer(index: usize) -> bool {
    index % 2 == 1
}

/// Memory of one guest in GiB.
fn guest_gib(random: &mut Random) -> u64 {
    match random.below(1000) {
        0..60 => 1,
        60..120 => 2,
        120..287 => 4,
        287..616 => 8,
        616..791 => 16,
        791..907 => 32,
        907..972 => 64,
        _ => 128,
    }
}
