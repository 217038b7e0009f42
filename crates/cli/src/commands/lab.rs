//! `lifeboat lab …`

use std::error::Error as _;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use lifeboat_hypervisor::lab::{Lab, LabError, LabOptions};
use lifeboat_model::PoolName;
use serde::Serialize;

use super::ask;
use crate::args::{LabCmd, LabUpArgs};
use crate::error::{CliError, Kind, file_error};
use crate::output::{Cell, Paint, Table};
use crate::run::Ctx;
use crate::size::show_size;
use crate::state::{DriverKind, StateDir};

pub(crate) fn run(ctx: &Ctx, cmd: &LabCmd) -> Result<(), CliError> {
    match cmd {
        LabCmd::Up(args) => up(ctx, args),
        LabCmd::Down { name } => down(ctx, name),
        LabCmd::Status { name } => status(ctx, name),
        LabCmd::Console { host, name, follow } => console(ctx, name, host, *follow),
    }
}

/// A lab that was started.
#[derive(Serialize)]
struct Up {
    pool: String,
    folder: PathBuf,
    trust: PathBuf,
    releases: Vec<(String, PathBuf)>,
}

fn up(ctx: &Ctx, args: &LabUpArgs) -> Result<(), CliError> {
    let home = ctx.state.pool_dir(&args.name);
    if home.join("pool.toml").exists() {
        return Err(CliError::new(Kind::Conflict, format!("there is a pool {} already", args.name)).remedy(
            format!("remove it with: lifeboat lab down --name {}; or choose another --name", args.name),
        ));
    }
    let folder = args.dir.clone().unwrap_or_else(|| home.join("lab"));
    let options = LabOptions {
        folder: folder.clone(),
        kernel_cache: cache_dir()?.join("lab"),
        agent: args.agent.clone().map_or_else(find_agent, Ok)?,
        hosts: args.hosts,
        memory_mib: args.memory,
    };
    if ctx.dry_run {
        ctx.out.say(&format!(
            "would start {} machines of {} MiB in {}",
            args.hosts,
            args.memory,
            folder.display()
        ));
        return Ok(());
    }
    StateDir::make_dir(&home)?;
    StateDir::make_dir(&options.kernel_cache)?;
    let lab = Lab::up(&options, &mut |line| ctx.out.say(line)).map_err(|cause| {
        // Fails, and may, if a person put something there.
        drop(std::fs::remove_dir(&home));
        lab_error(&args.name, cause)
    })?;
    let folder =
        lab.folder().canonicalize().map_err(|source| file_error("looking at", lab.folder(), source))?;
    ctx.state.add_pool(&args.name, DriverKind::Lab, &folder, 1)?;
    let releases = lab.releases().map_err(|cause| lab_error(&args.name, cause))?;
    let releases = releases.into_iter().map(|(release, path)| (release.to_string(), path)).collect();
    let up = Up { pool: args.name.to_string(), folder, trust: lab.trusted_keys(), releases };
    ctx.out.object("lab", &up, &up.pool, || {
        let mut text = format!("lab {} is up: {} machines\nreleases:\n", up.pool, args.hosts);
        for (release, path) in &up.releases {
            text.push_str(&format!("  {release}  {}\n", path.display()));
        }
        let trust = up.trust.display();
        text + &format!("next: lifeboat plan create {} --release BUNDLE --trust {trust}\n", up.pool)
    })
}

/// A lab that was ended.
#[derive(Serialize)]
struct Down {
    pool: String,
    ended: Vec<String>,
}

fn down(ctx: &Ctx, name: &PoolName) -> Result<(), CliError> {
    let folder = folder_of(ctx, name)?;
    if ctx.dry_run {
        ctx.out.say(&format!("would end the machines of lab {name} and remove {}", folder.display()));
        return Ok(());
    }
    ask(ctx, &format!("End the machines of lab {name} and remove {}?", folder.display()))?;
    let ended = match Lab::down(&folder) {
        Ok(ended) => ended,
        // Its files are gone already; the pool file is what is left of it.
        Err(LabError::NotUp { .. }) => Vec::new(),
        Err(cause) => return Err(lab_error(name, cause)),
    };
    let home = ctx.state.pool_dir(name);
    let path = home.join("pool.toml");
    std::fs::remove_file(&path).map_err(|source| file_error("removing", &path, source))?;
    // Fails, and may, if a person put something there.
    drop(std::fs::remove_dir(&home));
    let down = Down { pool: name.to_string(), ended };
    ctx.out.object("lab-down", &down, &down.pool, || {
        format!("lab {} is down: {} machines ended, files removed\n", down.pool, down.ended.len())
    })
}

fn status(ctx: &Ctx, name: &PoolName) -> Result<(), CliError> {
    #[derive(Serialize)]
    struct Line {
        host: String,
        pid: Option<u32>,
        resident_bytes: Option<u64>,
        console: PathBuf,
    }
    let lab = Lab::open(&folder_of(ctx, name)?).map_err(|cause| lab_error(name, cause))?;
    let lines: Vec<Line> = lab
        .status()
        .into_iter()
        .map(|machine| Line {
            host: machine.name,
            pid: machine.pid,
            resident_bytes: machine.resident_kib.map(|kib| kib * 1024),
            console: machine.console,
        })
        .collect();
    ctx.out.list(
        "lab-machine",
        &lines,
        |line| line.host.clone(),
        || {
            let mut table = Table::new()
                .column("HOST")
                .column("POWER")
                .number("PID")
                .number("MEMORY")
                .flexible("CONSOLE");
            for line in &lines {
                let dash = || "-".to_owned();
                table.row([
                    Cell::from(line.host.clone()),
                    if line.pid.is_some() {
                        Cell::painted("on", Paint::Good)
                    } else {
                        Cell::painted("off", Paint::Bad)
                    },
                    Cell::from(line.pid.map_or_else(dash, |pid| pid.to_string())),
                    Cell::from(line.resident_bytes.map_or_else(dash, show_size)),
                    Cell::from(line.console.display().to_string()),
                ]);
            }
            ctx.out.render(&table)
        },
    )
}

/// Longest part of a console that is shown at once.
const CONSOLE_TAIL: u64 = 256 << 10;

fn console(ctx: &Ctx, name: &PoolName, host: &str, follow: bool) -> Result<(), CliError> {
    let lab = Lab::open(&folder_of(ctx, name)?).map_err(|cause| lab_error(name, cause))?;
    let path = lab.machine(host).map_err(|cause| lab_error(name, cause))?.console();
    let fail = |source| file_error("reading the console", &path, source);
    let mut file = std::fs::File::open(&path).map_err(fail)?;
    let len = file.metadata().map_err(fail)?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(CONSOLE_TAIL))).map_err(fail)?;
    loop {
        let mut bytes = Vec::new();
        (&file).take(CONSOLE_TAIL).read_to_end(&mut bytes).map_err(fail)?;
        // A console may hold any byte; on a terminal only text and line ends are let through.
        let text: String = String::from_utf8_lossy(&bytes)
            .chars()
            .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
            .collect();
        ctx.out.text(&text)?;
        if !follow {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(250));
    }
}

fn folder_of(ctx: &Ctx, name: &PoolName) -> Result<PathBuf, CliError> {
    let (file, dir) = ctx.state.pool(name.as_str()).map_err(|error| {
        if error.kind() == Kind::NotFound { error.remedy("start a lab with: lifeboat lab up") } else { error }
    })?;
    match file.driver {
        DriverKind::Lab => Ok(dir),
        DriverKind::Sim | DriverKind::Libvirt => {
            let what = format!("pool {} has the driver {}, and is no lab", file.name, file.driver.word());
            Err(CliError::new(Kind::Conflict, what).remedy("see: lifeboat pool list"))
        }
    }
}

/// `/var/cache/lifeboat` for root, else `~/.cache/lifeboat`.
fn cache_dir() -> Result<PathBuf, CliError> {
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/cache/lifeboat"));
    }
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .map(|base| base.join("lifeboat"))
        .ok_or_else(|| {
            CliError::usage("where caches are kept is not known: HOME is not set").remedy("set HOME")
        })
}

/// The static agent: beside this program, or where cargo puts it.
fn find_agent() -> Result<PathBuf, CliError> {
    let exe = std::env::current_exe()
        .map_err(|source| CliError::new(Kind::Failed, "finding this program").because(source))?;
    let beside = exe.parent().unwrap_or(Path::new("."));
    let target = beside.parent().unwrap_or(beside);
    let places = [
        target.join("x86_64-unknown-linux-gnu/agent/lifeboat-agent"),
        target.join("x86_64-unknown-linux-musl/agent/lifeboat-agent"),
        beside.join("lifeboat-agent"),
    ];
    places.iter().find(|path| path.is_file()).cloned().ok_or_else(|| {
        CliError::new(Kind::NotFound, "the static lifeboat-agent was not found beside this program")
            .remedy(format!("build it: {}; or give --agent FILE", lifeboat_hypervisor::lab::BUILD_AGENT))
    })
}

/// What a failure of the lab means for the exit code.
pub(crate) fn lab_error(name: &PoolName, cause: LabError) -> CliError {
    let kind = match &cause {
        LabError::AlreadyUp { .. } | LabError::Listen { .. } => Kind::Conflict,
        LabError::NotUp { .. }
        | LabError::UnknownHost { .. }
        | LabError::MissingTool { .. }
        | LabError::MissingFile { .. }
        | LabError::NoAgent { .. } => Kind::NotFound,
        LabError::Deadline { .. } => Kind::Unreachable,
        _ => Kind::Failed,
    };
    let error = CliError::new(kind, format!("lab {name}"));
    let text = cause.to_string();
    match text.rsplit_once("; ") {
        Some((what, remedy)) if cause.source().is_none() => error.because(what).remedy(remedy),
        Some(_) | None => {
            error.because(cause).remedy("look at: lifeboat lab status, lifeboat lab console HOST")
        }
    }
}
