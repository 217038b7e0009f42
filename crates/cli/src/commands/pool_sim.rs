//! `lifeboat pool create-sim`

use std::path::{Path, PathBuf};

use lifeboat_bundle::{Rules, SecretKey, TrustStore, slot};
use lifeboat_hypervisor::DriverError;
use lifeboat_hypervisor::sim::{
    Behaviour, Condition, HostCondition, SimKernel, SimPool, SimSizes, SimSpec, build_sim_bundle,
};
use lifeboat_model::{FeatureKind, FeatureView, HostId, ReleaseRef};
use serde::Serialize;

use super::release::{load_trust, now, open_bundle, verify_to_end};
use crate::args::{CreateSimArgs, SimWord};
use crate::drivers::clock;
use crate::error::{CliError, Kind, file_error};
use crate::files::write_new;
use crate::random::random;
use crate::run::Ctx;
use crate::state::{DriverKind, StateDir};

const MIB: u64 = 1 << 20;

/// Makes a simulated pool, and, if no release was given, a maker's key with three releases to play with.
pub(crate) fn create_sim(ctx: &Ctx, args: &CreateSimArgs) -> Result<(), CliError> {
    if ctx.state.pool_names()?.contains(&args.name.to_string()) {
        return Err(CliError::new(Kind::Conflict, format!("there is a pool {} already", args.name))
            .remedy("choose another name; see: lifeboat pool list"));
    }
    let home = ctx.state.pool_dir(&args.name);
    let shown = args.dir.clone().unwrap_or_else(|| home.join("sim"));
    if ctx.dry_run {
        ctx.out.say(&format!(
            "would make {} hosts and {} guests in {}",
            args.hosts,
            args.guests,
            shown.display()
        ));
        return Ok(());
    }
    let given = args.release.as_ref().map(|path| given_release(path, &args.trust)).transpose()?;
    let site = Site::begin(&home)?;
    let made = make(ctx, args, &site, given);
    if made.is_err() {
        // Half a pool is of no use; the error that counts is the first one.
        drop(std::fs::remove_dir_all(&site.making));
    }
    made
}

/// The directory of a new pool: it appears under its name with everything in it, or not at all.
struct Site {
    /// Its name at last, with its path resolved.
    home: PathBuf,
    /// Where it is made; the name of no pool.
    making: PathBuf,
}

impl Site {
    fn begin(home: &Path) -> Result<Self, CliError> {
        let bug = || CliError::new(Kind::Bug, format!("{} has no name or no parent", home.display()));
        let above = home.parent().ok_or_else(bug)?;
        let name = home.file_name().ok_or_else(bug)?.to_string_lossy().into_owned();
        StateDir::make_dir(above)?;
        let look = |source| file_error("looking at", above, source);
        let above = above.canonicalize().map_err(look)?;
        let prefix = format!(".{name}.making-");
        // What processes left behind that were killed.
        for entry in std::fs::read_dir(&above).map_err(look)?.flatten() {
            let old = entry.file_name().to_string_lossy().into_owned();
            let alive = |pid: &str| pid.parse::<u32>().is_ok() && Path::new("/proc").join(pid).exists();
            if old.strip_prefix(&prefix).is_some_and(|pid| !alive(pid)) {
                let path = entry.path();
                std::fs::remove_dir_all(&path).map_err(|source| file_error("removing", &path, source))?;
            }
        }
        let making = above.join(format!("{prefix}{}", std::process::id()));
        StateDir::make_dir(&making)?;
        Ok(Self { home: above.join(name), making })
    }

    /// Where something that was made will lie at last.
    fn at_last(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.making).map_or_else(|_| path.to_owned(), |inner| self.home.join(inner))
    }

    fn end(&self) -> Result<(), CliError> {
        std::fs::rename(&self.making, &self.home).map_err(|source| file_error("naming", &self.home, source))
    }
}

fn make(ctx: &Ctx, args: &CreateSimArgs, site: &Site, given: Option<TrustStore>) -> Result<(), CliError> {
    let dir = &args.dir.clone().unwrap_or_else(|| site.making.join("sim"));
    let spec = SimSpec {
        pool: args.name.clone(),
        hosts: args.hosts,
        guests: args.guests,
        seed: args.seed,
        features: features(),
        members_follow: args.members_follow,
        ..SimSpec::default()
    };
    let inventory = spec.inventory().map_err(|cause| create_error(args, cause))?;
    let third = inventory.hosts().nth(2).map(|host| host.id.clone());
    let mut toys = match given {
        Some(given) => Toys {
            trust: given,
            first: args.release.clone().unwrap_or_default(),
            key: None,
            more: Vec::new(),
        },
        None => make_toys(&site.making.join("releases"), third)?,
    };
    let rules = Rules::at(now());
    let bundle = open_bundle(&toys.first, &toys.trust, &rules)?;
    let sizes = sizes(|name| bundle.manifest().slot(name).map_or(0, |slot| slot.len));
    let release = bundle.release().clone();
    drop(bundle);
    let spec = SimSpec { sizes, ..spec };
    let made = SimPool::create(dir, &spec, &toys.first, &toys.trust, clock(args.speed));
    let mut pool = made.map_err(|cause| create_error(args, cause))?;
    if let Err(cause) = begin_with(&mut pool, args, &toys) {
        drop(pool);
        // With --dir it does not lie in what is removed after an error.
        drop(std::fs::remove_dir_all(dir));
        return Err(create_error(args, cause));
    }
    drop(pool);
    let dir = dir.canonicalize().map_err(|source| file_error("looking at", dir, source))?;
    let dir = site.at_last(&dir);
    StateDir::add_pool_in(&site.making, &args.name, DriverKind::Sim, &dir, args.speed)?;
    site.end()?;
    toys.key = toys.key.map(|path| site.at_last(&path));
    toys.more = toys.more.iter().map(|path| site.at_last(path)).collect();
    report(ctx, args, &dir, &release, &toys)
}

/// Faults and conditions that are so from the beginning.
fn begin_with(pool: &mut SimPool, args: &CreateSimArgs, toys: &Toys) -> Result<(), DriverError> {
    let by_hand =
        |word: &SimWord| matches!(word, SimWord::Condition(Condition::Host(_, HostCondition::RunsNewer)));
    if let Some(newer) = toys.more.first().filter(|_| args.condition.iter().any(by_hand)) {
        pool.offer_bundle(newer)?;
    }
    for word in &args.condition {
        pool.order(&super::pool_order::set(word))?;
    }
    Ok(())
}

/// What most pools have switched on, and what a roll must suspend and restore.
pub(super) fn features() -> Vec<FeatureView> {
    let feature = |kind, value: &str| FeatureView { kind, value: value.to_owned() };
    vec![
        feature(FeatureKind::HaAdmissionControl, "reserve 25 %"),
        feature(FeatureKind::PowerManagement, "automatic"),
    ]
}

/// Releases for a simulated pool.
struct Toys {
    trust: TrustStore,
    first: PathBuf,
    key: Option<PathBuf>,
    more: Vec<PathBuf>,
}

fn given_release(path: &Path, trust: &[PathBuf]) -> Result<TrustStore, CliError> {
    if trust.is_empty() {
        return Err(
            CliError::usage("--release needs --trust").remedy("give the maker's public key: --trust KEY")
        );
    }
    let trust = load_trust(trust)?;
    let bundle = open_bundle(path, &trust, &Rules::at(now()))?;
    verify_to_end(path, &bundle)?;
    Ok(trust)
}

/// A key, a first release, a newer one, and one whose kernel panics on the third host.
fn make_toys(dir: &Path, third: Option<HostId>) -> Result<Toys, CliError> {
    let fail = |what: &'static str| move |cause: String| CliError::new(Kind::Failed, what).because(cause);
    StateDir::make_dir(dir)?;
    let random = random::<32>()?;
    let key = SecretKey::from_random(random, "simulated releases")
        .map_err(|cause| fail("making a key")(cause.to_string()))?;
    let trust =
        TrustStore::new(vec![key.public()]).map_err(|cause| fail("making a key")(cause.to_string()))?;
    let (secret, public) = (dir.join("maker.key"), dir.join("maker.key.pub"));
    write_new(&secret, format!("{}\n", key.to_text()).as_bytes(), 0o600)?;
    write_new(&public, trust.to_text().as_bytes(), 0o644)?;
    let good = SimKernel::always(Behaviour::Good);
    let bad = match third {
        Some(host) => good.clone().except(host, Behaviour::Panic),
        None => SimKernel::always(Behaviour::Panic),
    };
    let releases = [("1.0", 1, good.clone()), ("2.0", 2, good.clone()), ("3.0-bad", 3, bad)];
    let mut paths = Vec::new();
    for (version, serial, kernel) in releases {
        let (_, bytes) = build_sim_bundle(version, serial, &kernel, now(), &key).map_err(|cause| {
            CliError::new(Kind::Bug, format!("building the simulated release {version}")).because(cause)
        })?;
        let path = dir.join(format!("{version}.lfb"));
        write_new(&path, &bytes, 0o644)?;
        paths.push(path);
    }
    let first = paths.remove(0);
    Ok(Toys { trust, first, key: Some(public), more: paths })
}

/// Volumes with twice the room that the first release needs.
fn sizes(len: impl Fn(&str) -> u64) -> SimSizes {
    let least = SimSizes::default();
    let kernel = [slot::STUB, slot::KERNEL, slot::INITRD, slot::OSREL].into_iter().map(&len).sum::<u64>();
    SimSizes {
        boot: least.boot.max(2 * kernel / MIB + 4),
        root: least.root.max(2 * len(slot::ROOT) / MIB + 1),
        state: least.state,
    }
}

fn create_error(args: &CreateSimArgs, cause: DriverError) -> CliError {
    let kind = match &cause {
        DriverError::Unreachable { .. } => Kind::Conflict,
        DriverError::File { .. } | DriverError::Damaged { .. } | DriverError::World(_) => Kind::Failed,
    };
    CliError::new(kind, format!("making the simulated pool {}", args.name))
        .because(cause)
        .remedy("remove what is in the way, or choose another name or --dir")
}

fn report(
    ctx: &Ctx,
    args: &CreateSimArgs,
    dir: &Path,
    release: &ReleaseRef,
    toys: &Toys,
) -> Result<(), CliError> {
    #[derive(Serialize)]
    struct Made<'a> {
        pool: &'a str,
        dir: &'a Path,
        hosts: u32,
        guests: u32,
        release: &'a ReleaseRef,
        trust: Option<&'a Path>,
        releases: &'a [PathBuf],
    }
    let made = Made {
        pool: args.name.as_str(),
        dir,
        hosts: args.hosts,
        guests: args.guests,
        release,
        trust: toys.key.as_deref(),
        releases: &toys.more,
    };
    ctx.out.object("pool-created", &made, args.name.as_str(), || {
        let mut text =
            format!("pool {}: {} hosts run {release}, {} guests\n", args.name, args.hosts, args.guests);
        if let Some(key) = &toys.key {
            text.push_str("next, one of:\n");
            for bundle in &toys.more {
                text.push_str(&format!(
                    "  lifeboat plan create {} --release {} --trust {}\n",
                    args.name,
                    bundle.display(),
                    key.display()
                ));
            }
        }
        text
    })
}
