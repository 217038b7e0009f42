//! Starting and ending the fabric, from outside.
//!
//! Owns: `fabric.json`, the identity of the processes that carry a lab. Promises: the fabric outlives the command that
//! started it; only the very processes that were written down are ended. Does not: remove files.

use std::fs::{self, OpenOptions};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitOptions, waitpid};
use serde::{Deserialize, Serialize};

use crate::folder::{read_json, write_json};
use crate::process::{ProcessId, child_of};
use crate::settings::LabSettings;
use crate::{LabError, LabFolder, tool};

/// Longest wait for the fabric to be set up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The file `fabric.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FabricIds {
    /// Identity of the lab: a fabric of an earlier lab in the same folder is not meant.
    pub(crate) lab: String,
    /// The process that made the namespaces.
    pub(crate) outer: ProcessId,
    /// PID 1 of the fabric, as the machine sees it.
    pub(crate) inner: ProcessId,
}

impl FabricIds {
    /// The processes of a lab; none if they do not run.
    pub(crate) fn running(folder: &LabFolder) -> Result<Option<Self>, LabError> {
        Ok(read_json::<Self>(&folder.fabric())?.filter(|ids| ids.inner.runs()))
    }
}

/// Starts the fabric and waits until its network and power loops are there.
pub(crate) fn start(folder: &LabFolder, settings: &LabSettings) -> Result<FabricIds, LabError> {
    let log = folder.fabric_log();
    let out =
        OpenOptions::new().create(true).append(true).open(&log).map_err(LabError::file("open", &log))?;
    let err = out.try_clone().map_err(LabError::file("open", &log))?;
    let mut command = Command::new(tool::needed("setsid")?);
    command
        .arg(tool::needed("unshare")?)
        .args(["--mount", "--net", "--pid", "--ipc", "--fork", "--kill-child=KILL", "--mount-proc"])
        .arg(folder.program())
        .args(&settings.program_args)
        .arg("fabric")
        .arg(folder.path())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err);
    let mut child = command.spawn().map_err(LabError::file("start", folder.program()))?;
    let ids = match find(&mut child, folder, &settings.id) {
        Ok(ids) => ids,
        Err(error) => {
            // Its child ends with it.
            let _ = child.kill();
            let _ = child.wait();
            return Err(error);
        }
    };
    write_json(&folder.fabric(), &ids)?;
    wait_for(&mut child, folder, "the fabric being set up", || folder.ready().exists().then_some(()))?;
    Ok(ids)
}

fn find(child: &mut Child, folder: &LabFolder, lab: &str) -> Result<FabricIds, LabError> {
    let outer = i32::try_from(child.id()).unwrap_or(0);
    wait_for(child, folder, "the start of the fabric", || {
        let inner = child_of(outer)?;
        // Until it is our program it may still be something that leaves at once.
        let words = fs::read(format!("/proc/{inner}/cmdline")).ok()?;
        let begun = words.windows(8).any(|window| window == b"\0fabric\0");
        let (outer, inner) = (ProcessId::of(outer)?, ProcessId::of(inner)?);
        let ids = FabricIds { lab: lab.to_owned(), outer, inner };
        begun.then_some(ids)
    })
}

fn wait_for<T>(
    child: &mut Child,
    folder: &LabFolder,
    what: &str,
    mut done: impl FnMut() -> Option<T>,
) -> Result<T, LabError> {
    let begin = Instant::now();
    loop {
        if let Some(value) = done() {
            return Ok(value);
        }
        if let Ok(Some(status)) = child.try_wait() {
            let log = fs::read_to_string(folder.fabric_log()).unwrap_or_default();
            let skip = log.chars().count().saturating_sub(600);
            return Err(LabError::Tool {
                program: "the fabric".to_owned(),
                purpose: "be set up".to_owned(),
                status: status.to_string(),
                output: log.chars().skip(skip).collect::<String>().trim().to_owned(),
            });
        }
        if begin.elapsed() > PATIENCE {
            return Err(LabError::Deadline {
                what: what.to_owned(),
                secs: PATIENCE.as_secs(),
                look: format!("look at {}", folder.fabric_log().display()),
            });
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Ends the fabric, and with it everything in it. Whether it ran.
pub(crate) fn end(folder: &LabFolder) -> Result<bool, LabError> {
    let Some(ids) = read_json::<FabricIds>(&folder.fabric())? else { return Ok(false) };
    let ran = ids.inner.runs();
    ids.inner.kill();
    let begin = Instant::now();
    while ids.inner.runs() || ids.outer.runs() {
        if begin.elapsed() > Duration::from_secs(5) {
            // It waits for the other one, and has nothing else to do.
            ids.outer.kill();
        }
        if begin.elapsed() > PATIENCE {
            return Err(LabError::Deadline {
                what: "the end of the fabric".to_owned(),
                secs: PATIENCE.as_secs(),
                look: format!("look at process {}", ids.inner.pid),
            });
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    if let Some(pid) = Pid::from_raw(ids.outer.pid) {
        // It is a child only of the process that started the lab.
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    }
    Ok(ran)
}
