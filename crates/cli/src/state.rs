//! The state directory: journal, pools, plans.
//!
//! Owns: where things lie and how names find them. Promises: a damaged file is named with its line; a beginning
//! that fits several names is an error that lists them; nothing is made by looking. Does not: read the journal.
//!
//! ```text
//! lifeboat.db             the journal of all rolls (SQLite)
//! pools/NAME/pool.toml    which driver, and where its files are
//! plans/HASH.json         a plan, byte for byte what its hash is of
//! plans/HASH.source.json  where its release lies, and which keys are trusted
//! ```

use std::path::{Path, PathBuf};

use lifeboat_model::{Plan, PoolName, Sha256Hex};
use serde::{Deserialize, Serialize};

use crate::error::{CliError, Kind, file_error};
use crate::files::{read_text, read_toml, write_new};
use crate::policy::PolicySource;

/// The state directory.
#[derive(Debug, Clone)]
pub(crate) struct StateDir {
    root: PathBuf,
    origin: &'static str,
}

/// Which driver speaks to a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DriverKind {
    /// The simulated pool.
    Sim,
    /// Machines in QEMU.
    Lab,
    /// Hosts with libvirt.
    Libvirt,
}

impl DriverKind {
    /// The word in files.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Sim => "sim",
            Self::Lab => "lab",
            Self::Libvirt => "libvirt",
        }
    }
}

/// `pool.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PoolFile {
    /// Form of this file: 1.
    pub(crate) schema: u32,
    /// The pool.
    pub(crate) name: PoolName,
    /// Which driver.
    pub(crate) driver: DriverKind,
    /// Where the driver keeps its files; relative to this file.
    pub(crate) dir: PathBuf,
    /// A simulated pool's time runs so many times as fast as ours; 0: without waiting.
    #[serde(default = "default_speed")]
    pub(crate) speed: u32,
    /// Made with the pool: another pool of the same name has another one.
    #[serde(default)]
    pub(crate) id: String,
}

fn default_speed() -> u32 {
    60
}

const POOL_SCHEMA: u32 = 1;

/// Where the release of a plan lies.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlanSource {
    /// Form of this file: 1.
    pub(crate) schema: u32,
    /// The bundle.
    pub(crate) bundle: PathBuf,
    /// Public keys that are trusted, as in a key file.
    pub(crate) trust: String,
    /// The pool that the plan is for, as its file names itself.
    #[serde(default)]
    pub(crate) pool_id: String,
    /// The policy file, and which line says what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<PolicySource>,
}

/// A plan as it lies in the state directory.
#[derive(Debug)]
pub(crate) struct StoredPlan {
    /// Its hash.
    pub(crate) hash: Sha256Hex,
    /// The plan.
    pub(crate) plan: Plan,
}

impl StateDir {
    /// The option or environment first, then the usual place of this user.
    pub(crate) fn locate(given: Option<&Path>) -> Result<Self, CliError> {
        if let Some(root) = given {
            return Ok(Self { root: root.to_owned(), origin: "--state-dir or LIFEBOAT_STATE_DIR" });
        }
        if rustix::process::geteuid().is_root() {
            return Ok(Self { root: PathBuf::from("/var/lib/lifeboat"), origin: "default for root" });
        }
        let base = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        if let Some(base) = base {
            return Ok(Self { root: base.join("lifeboat"), origin: "XDG_STATE_HOME" });
        }
        match std::env::var_os("HOME").filter(|home| !home.is_empty()) {
            Some(home) => Ok(Self {
                root: PathBuf::from(home).join(".local/state/lifeboat"),
                origin: "default for users",
            }),
            None => Err(CliError::usage("where state is kept is not known: HOME is not set")
                .remedy("give --state-dir DIR or set LIFEBOAT_STATE_DIR")),
        }
    }

    /// The directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// How it was found.
    pub(crate) fn origin(&self) -> &'static str {
        self.origin
    }

    /// The journal.
    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("lifeboat.db")
    }

    /// The directory of one pool.
    pub(crate) fn pool_dir(&self, name: &PoolName) -> PathBuf {
        self.root.join("pools").join(name.as_str())
    }

    /// Makes a directory of ours, readable by its owner only.
    pub(crate) fn make_dir(path: &Path) -> Result<(), CliError> {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|source| file_error("making the directory", path, source))
    }

    /// Names of all pools, sorted.
    pub(crate) fn pool_names(&self) -> Result<Vec<String>, CliError> {
        let mut names = list_dir(&self.root.join("pools"))?;
        names.retain(|name| PoolName::new(name).is_ok());
        Ok(names)
    }

    /// The pool with this name, or the only one that begins so.
    pub(crate) fn pool(&self, name: &str) -> Result<(PoolFile, PathBuf), CliError> {
        let found = pick("pool", name, self.pool_names()?, "lifeboat pool list")?;
        let name = PoolName::new(&found).map_err(|error| CliError::usage("a pool name").because(error))?;
        let dir = self.pool_dir(&name);
        let path = dir.join("pool.toml");
        let file: PoolFile = read_toml(&path, "pool file")?;
        if file.schema != POOL_SCHEMA {
            return Err(CliError::new(
                Kind::Failed,
                format!("{} has schema {}; this program knows {POOL_SCHEMA}", path.display(), file.schema),
            )
            .remedy("use the lifeboat that wrote it, or a newer one"));
        }
        if file.name != name {
            return Err(CliError::new(
                Kind::Conflict,
                format!(
                    "{} names the pool {}, but lies in the directory of {name}",
                    path.display(),
                    file.name
                ),
            )
            .remedy("give the directory and the file one name"));
        }
        let dir = dir.join(&file.dir);
        Ok((file, dir))
    }

    /// Writes the file of a new pool; its files are in `dir`.
    pub(crate) fn add_pool(
        &self,
        name: &PoolName,
        driver: DriverKind,
        dir: &Path,
        speed: u32,
    ) -> Result<PathBuf, CliError> {
        Self::add_pool_in(&self.pool_dir(name), name, driver, dir, speed)
    }

    /// Writes the file of a new pool into `home`, which will become the pool's directory.
    pub(crate) fn add_pool_in(
        home: &Path,
        name: &PoolName,
        driver: DriverKind,
        dir: &Path,
        speed: u32,
    ) -> Result<PathBuf, CliError> {
        Self::make_dir(home)?;
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random)
            .map_err(|error| CliError::new(Kind::Failed, format!("random bytes from the kernel: {error}")))?;
        let id = format!("{:016x}", u64::from_be_bytes(random));
        let file =
            PoolFile { schema: POOL_SCHEMA, name: name.clone(), driver, dir: dir.to_owned(), speed, id };
        let text = toml::to_string(&file)
            .map_err(|cause| CliError::new(Kind::Bug, "writing a pool file as TOML").because(cause))?;
        let path = home.join("pool.toml");
        write_new(&path, text.as_bytes(), 0o600)?;
        Ok(path)
    }

    /// Hashes of all plans, sorted.
    pub(crate) fn plan_hashes(&self) -> Result<Vec<String>, CliError> {
        let names = list_dir(&self.root.join("plans"))?;
        let hash = |name: String| name.strip_suffix(".json").map(str::to_owned);
        let mut hashes: Vec<String> = names.into_iter().filter_map(hash).collect();
        hashes.retain(|hash| hash.parse::<Sha256Hex>().is_ok());
        Ok(hashes)
    }

    /// Where a plan lies.
    pub(crate) fn plan_path(&self, hash: &Sha256Hex) -> PathBuf {
        self.root.join("plans").join(format!("{hash}.json"))
    }

    /// The plan with this hash or beginning of a hash; with `files`, also a file.
    pub(crate) fn plan(&self, name: &str, files: bool) -> Result<StoredPlan, CliError> {
        if files && (name.contains('/') || name.to_ascii_lowercase().ends_with(".json")) {
            return load_plan(Path::new(name), None);
        }
        let found = pick("plan", &name.to_ascii_lowercase(), self.plan_hashes()?, "lifeboat plan list")?;
        let hash: Sha256Hex = found.parse().map_err(|error: String| CliError::usage(error))?;
        load_plan(&self.plan_path(&hash), Some(hash))
    }

    /// Keeps a plan and where its release lies. Keeping it again changes nothing.
    pub(crate) fn keep_plan(
        &self,
        plan: &Plan,
        source: &PlanSource,
    ) -> Result<(Sha256Hex, PathBuf), CliError> {
        let bug = |cause| CliError::new(Kind::Bug, "writing a plan as JSON").because(cause);
        let bytes = serde_json::to_vec(plan).map_err(bug)?;
        let hash = plan.hash().map_err(bug)?;
        let path = self.plan_path(&hash);
        Self::make_dir(&self.root.join("plans"))?;
        let source_path = path.with_extension("source.json");
        let source = serde_json::to_vec_pretty(source).map_err(bug)?;
        crate::files::replace(&source_path, 0o600, |file| std::io::Write::write_all(file, &source))?;
        crate::files::replace(&path, 0o600, |file| std::io::Write::write_all(file, &bytes))?;
        Ok((hash, path))
    }

    /// Where the release of a kept plan lies.
    pub(crate) fn plan_source(&self, hash: &Sha256Hex) -> Result<PlanSource, CliError> {
        let path = self.plan_path(hash).with_extension("source.json");
        let text = read_text(&path, "the source of a plan", 1 << 20)?;
        serde_json::from_str(&text).map_err(|cause| {
            CliError::new(Kind::Failed, format!("{} is damaged", path.display()))
                .because(cause)
                .remedy("make the plan again: lifeboat plan create")
        })
    }
}

impl PlanSource {
    /// Refuses to act on a pool that only has the name of the one that was planned for.
    pub(crate) fn check_pool(&self, pool: &PoolFile) -> Result<(), CliError> {
        if self.pool_id.is_empty() || pool.id.is_empty() || self.pool_id == pool.id {
            return Ok(());
        }
        let what =
            format!("this is for a pool {} that was made before the one that has the name now", pool.name);
        Err(CliError::new(Kind::Conflict, what).remedy("make a new plan: lifeboat plan create"))
    }
}

/// Largest plan file that is read: far above 10,000 hosts with 400,000 moves.
const PLAN_LIMIT: u64 = 512 << 20;

fn load_plan(path: &Path, expected: Option<Sha256Hex>) -> Result<StoredPlan, CliError> {
    let text = read_text(path, "the plan", PLAN_LIMIT)?;
    let hash = Sha256Hex::of(text.trim_end().as_bytes());
    if let Some(expected) = expected
        && expected != hash
    {
        return Err(CliError::new(
            Kind::Verification,
            format!("the plan {} was changed: its SHA-256 is {hash}", path.display()),
        )
        .remedy("make the plan again: lifeboat plan create"));
    }
    let plan: Plan = serde_json::from_str(&text).map_err(|cause| {
        CliError::new(Kind::Failed, format!("{} is not a plan", path.display()))
            .because(cause)
            .remedy("give a hash from `lifeboat plan list`, or a file that `plan create --out` wrote")
    })?;
    if plan.schema != lifeboat_model::PLAN_SCHEMA {
        return Err(CliError::new(
            Kind::Failed,
            format!(
                "{} has plan schema {}; this program knows {}",
                path.display(),
                plan.schema,
                lifeboat_model::PLAN_SCHEMA
            ),
        )
        .remedy("use the lifeboat that made it, or make the plan again"));
    }
    Ok(StoredPlan { hash, plan })
}

/// Names in a directory, sorted; none if it is not there.
fn list_dir(path: &Path) -> Result<Vec<String>, CliError> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(file_error("reading the directory", path, error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| file_error("reading the directory", path, error))?;
        if let Ok(name) = entry.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The name itself, or the only one that begins with `given`.
#[expect(clippy::needless_pass_by_value, reason = "callers have just made the list")]
pub(crate) fn pick(kind: &str, given: &str, names: Vec<String>, list: &str) -> Result<String, CliError> {
    if let Some(exact) = names.iter().find(|name| *name == given) {
        return Ok(exact.clone());
    }
    let fits: Vec<&String> =
        names.iter().filter(|name| !given.is_empty() && name.starts_with(given)).collect();
    match fits.as_slice() {
        [one] => Ok((*one).clone()),
        [] => {
            let known = match names.as_slice() {
                [] => format!("there is no {kind} yet"),
                names => format!("known: {}", shorten(names)),
            };
            Err(CliError::new(Kind::NotFound, format!("no {kind} is named {given:?}: {known}"))
                .remedy(format!("see: {list}")))
        }
        several => {
            let several: Vec<String> = several.iter().map(|name| (*name).clone()).collect();
            Err(CliError::new(
                Kind::NotFound,
                format!("{given:?} fits several {kind}s: {}", shorten(&several)),
            )
            .remedy("give more of the name"))
        }
    }
}

/// The first few, and how many more there are.
pub(crate) fn shorten(names: &[String]) -> String {
    let first: Vec<&str> = names.iter().take(8).map(String::as_str).collect();
    let more = names.len().saturating_sub(8);
    if more > 0 { format!("{} and {more} more", first.join(", ")) } else { first.join(", ") }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_beginning_finds_a_name_only_if_it_is_the_only_one() {
        let names = || ["lab", "lab2", "prod"].map(str::to_owned).to_vec();
        assert_eq!(pick("pool", "p", names(), "").unwrap(), "prod");
        assert_eq!(pick("pool", "lab", names(), "").unwrap(), "lab");
        for wrong in ["la", "x", ""] {
            assert_eq!(pick("pool", wrong, names(), "").unwrap_err().kind(), Kind::NotFound, "{wrong:?}");
        }
    }

    #[test]
    fn a_pool_file_is_read_as_it_was_written_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::locate(Some(dir.path())).unwrap();
        let name = PoolName::new("play").unwrap();
        state.add_pool(&name, DriverKind::Sim, Path::new("files"), 60).unwrap();
        let (file, files) = state.pool("pl").unwrap();
        assert_eq!((file.name, file.driver), (name.clone(), DriverKind::Sim));
        assert_eq!(files, dir.path().join("pools/play/files"));
        let again = state.add_pool(&name, DriverKind::Lab, Path::new("other"), 60).unwrap_err();
        assert_eq!(again.kind(), Kind::Conflict);
        assert_eq!(state.pool("play").unwrap().0.driver, DriverKind::Sim);
    }
}
