//! A look at a 500 MB bank of ESXi, beside `fsck.fat -n`.
//!
//! Owns: the volume, the rounds. Promises: both read the same file, each as a process of its own, in turn. Does not:
//! compare what they find; the tests of `lifeboat-bank` do.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use lifeboat_bank::fat::examine;
use lifeboat_device::BlockFile;
use lifeboat_model::io::ReadAt;

use super::inputs::Place;
use super::run::quiet;
use crate::Failure;
use crate::report::quantile;

const ROUNDS: usize = 25;

/// A volume as an ESXi 7 bank has it: FAT16, 500 MB, some 130 modules in the root folder.
const MAKE: &str = "[ -s $A/bank.img ] && exit 0; rm -f $A/part; truncate -s 499M $A/part
/usr/sbin/mkfs.fat -F 16 -i 4c494645 -n BOOTBANK1 $A/part >$A/told; mkdir -p $A/modules
for i in $(seq 130); do dd if=$I/v2.img of=$A/modules/MOD$i.V00 bs=64K count=$((30 + i % 37)) skip=$((i * 70)) status=none; done
printf 'bootstate=0\\ntitle=Loading\\ntimeout=5\\nprefix=\\nkernel=MOD1.V00\\nmodules=%s\\nbuild=8.0.0\\nupdated=1\\n' \
\"$(cd $A/modules; ls | sed ':a;N;$!ba;s/\\n/ --- /g')\" >$A/modules/BOOT.CFG
mcopy -i $A/part $A/modules/* ::; rm -rf $A/modules; mv $A/part $A/bank.img";

/// Seconds, each sorted; or why there are none.
#[derive(Debug, Default)]
pub(super) struct Checks {
    pub(super) rows: Vec<(String, Vec<f64>)>,
    pub(super) why_not: Option<String>,
}

impl Checks {
    pub(super) fn median(&self, index: usize) -> Option<f64> {
        let (_, times) = self.rows.get(index)?;
        Some(quantile(&mut times.clone(), 0.5))
    }
}

pub(super) fn run(place: &Place) -> Result<Checks, Failure> {
    let fsck = ["/usr/sbin/fsck.fat", "/sbin/fsck.fat"].into_iter().find(|path| Path::new(path).exists());
    let Some(fsck) = fsck else {
        let why = "fsck.fat is not installed (package dosfstools)".to_owned();
        return Ok(Checks { rows: Vec::new(), why_not: Some(why) });
    };
    if let Err(error) = place.script(MAKE) {
        return Ok(Checks {
            rows: Vec::new(),
            why_not: Some(format!("the volume could not be made: {error}")),
        });
    }
    let bank = place.artifacts().join("bank.img");
    quiet("cat \"$BANK\" >/dev/null", &[("BANK", &bank)])?;
    let own = std::env::current_exe()?;
    let mut rows =
        vec![("lifeboat, the file system".to_owned(), Vec::new()), ("fsck.fat -n".to_owned(), Vec::new())];
    for _ in 0..ROUNDS {
        for (name, times) in &mut rows {
            let mut command = if name.starts_with("fsck") {
                let mut command = Command::new(fsck);
                command.arg("-n").arg(&bank);
                command
            } else {
                let mut command = Command::new(&own);
                command.arg("images-check").arg(&bank);
                command
            };
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let began = Instant::now();
            let status = command.status()?;
            times.push(began.elapsed().as_secs_f64());
            if !status.success() {
                return Err(format!("{name}: the healthy volume is called damaged: {status}").into());
            }
        }
    }
    Ok(Checks { rows, why_not: None })
}

/// `images-check FILE`: examines a volume, and fails if it is not whole.
pub(crate) fn child(args: &[String]) -> Result<(), Failure> {
    let [file] = args else { return Err("images-check needs a file".into()) };
    let disk = BlockFile::open_read(Path::new(file))?;
    let report = examine(&disk, 0, disk.size());
    let mut told = format!("{} files and folders", report.nodes.len());
    for finding in &report.findings {
        write!(told, "\n{finding:?}")?;
    }
    println!("{told}");
    if report.findings.is_empty() && report.nodes.len() > 100 {
        Ok(())
    } else {
        Err("there are findings".into())
    }
}
