//! `bench bank`: an install into the alternate bank, beside `dd` and `sha256sum` of the same bytes.
//!
//! Owns: the files, the rounds, the peers. Promises: ours and the peers run in turn on files of one folder; all files
//! are removed at the end. Does not: empty the page cache of the sources, which are warm for everybody.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use lifeboat_device::BlockFile;
use serde_json::Value;

use crate::bank_install::make_disk;
use crate::report::{Report, quantile};
use crate::{Failure, Options};

const BENCH: &str = "bank";
const MIB: u64 = 1 << 20;

/// What is installed, in MiB.
struct Release {
    name: &'static str,
    kernel: u64,
    initrd: u64,
    root: u64,
}

const RELEASES: [Release; 2] = [
    Release { name: "small", kernel: 4, initrd: 8, root: 48 },
    Release { name: "host", kernel: 10, initrd: 28, root: 800 },
];

/// Measures, and adds to the report.
pub(crate) fn run(options: &Options, report: &mut Report) -> Result<(), Failure> {
    for release in &RELEASES {
        let folder = options.dir.join(format!("lifeboat-bench-bank-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let done = measure(options, release, &folder, report);
        std::fs::remove_dir_all(&folder)?;
        done?;
    }
    Ok(())
}

fn measure(options: &Options, release: &Release, folder: &Path, report: &mut Report) -> Result<(), Failure> {
    let [kernel, initrd, root] = ["kernel", "initrd", "root"].map(|name| folder.join(name));
    random(&kernel, release.kernel)?;
    random(&initrd, release.initrd)?;
    random(&root, release.root)?;
    let (disk, copy, whole) = (folder.join("disk"), folder.join("copy"), folder.join("whole"));
    join(&[&kernel, &initrd, &root], &whole)?;
    let digest = output(Command::new("sha256sum").arg(&root))?;
    let digest = digest.split_whitespace().next().ok_or("sha256sum told nothing")?.to_owned();
    make_disk(&disk, release.root * MIB)?;
    let bytes = std::fs::metadata(&whole)?.len();
    // Reserved as the disk image is.
    drop(BlockFile::create_image(&copy, bytes)?);

    let (mut ours, mut cached, mut cold) = (Vec::new(), Vec::new(), Vec::new());
    let (mut rss, mut written) = (0.0_f64, 0.0_f64);
    for _ in 0..options.rounds {
        let mut child = Command::new(std::env::current_exe()?);
        child.arg("bank-install").args([&disk, &kernel, &initrd, &root]).arg(&digest);
        let told: Value = serde_json::from_str(&output(&mut child)?)?;
        let number = |key: &str| told.get(key).and_then(Value::as_f64).unwrap_or(f64::NAN);
        ours.push(number("seconds"));
        rss = rss.max(number("rss_mib"));
        written = number("written");
        cached.push(peer(&whole, &copy, false)?);
        cold.push(peer(&whole, &copy, true)?);
    }
    let (ours, cached, cold) =
        (quantile(&mut ours, 0.5), quantile(&mut cached, 0.5), quantile(&mut cold, 0.5));
    let mib = mib(bytes);
    let Release { name, kernel, initrd, root } = release;
    let note = format!(
        "{kernel} + {initrd} + {root} MiB random; median of {} rounds, {ours:.2} s; {:.0} MiB written",
        options.rounds,
        written / 1_048_576.0
    );
    report.add(BENCH, format!("{name}: install"), mib / ours, "MiB/s", note);
    report.add(
        BENCH,
        format!("{name}: dd + sha256sum"),
        mib / cached,
        "MiB/s",
        "sha256sum reads the page cache",
    );
    let note = "sha256sum reads the disk, as the install does";
    report.add(BENCH, format!("{name}: dd + drop + sha256sum"), mib / cold, "MiB/s", note);
    report.add(
        BENCH,
        format!("{name}: time ratio"),
        ours / cached,
        "",
        "install / dd + sha256sum; less is faster",
    );
    report.add(BENCH, format!("{name}: time ratio, read from disk"), ours / cold, "", "");
    report.add(
        BENCH,
        format!("{name}: peak RSS of the install"),
        rss,
        "MiB",
        "kernel and initrd are held in memory",
    );
    Ok(())
}

/// Seconds for the same bytes with real programs.
fn peer(from: &Path, to: &Path, cold: bool) -> Result<f64, Failure> {
    let named = |key: &str, path: &Path| {
        let mut text = std::ffi::OsString::from(key);
        text.push(path);
        text
    };
    let began = Instant::now();
    let copy = [named("if=", from), named("of=", to)];
    output(Command::new("dd").args(copy).args(["bs=1M", "conv=fsync,notrunc", "status=none"]))?;
    if cold {
        let drop = ["if=/dev/null", "oflag=nocache", "conv=notrunc,fdatasync", "count=0", "status=none"];
        output(Command::new("dd").arg(named("of=", to)).args(drop))?;
    }
    output(Command::new("sha256sum").arg(to))?;
    Ok(began.elapsed().as_secs_f64())
}

fn output(command: &mut Command) -> Result<String, Failure> {
    let done = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let done = done.map_err(|error| format!("cannot start {}: {error}", command.get_program().display()))?;
    if !done.status.success() {
        return Err(format!("{} failed: {}", command.get_program().display(), done.status).into());
    }
    Ok(String::from_utf8(done.stdout)?)
}

fn random(path: &Path, mib: u64) -> Result<(), Failure> {
    let mut from = File::open("/dev/urandom")?.take(mib * MIB);
    let mut to = File::create(path)?;
    std::io::copy(&mut from, &mut to)?;
    Ok(to.sync_all()?)
}

fn join(parts: &[&PathBuf], to: &Path) -> Result<(), Failure> {
    let mut to = File::create(to)?;
    for part in parts {
        std::io::copy(&mut File::open(part)?, &mut to)?;
    }
    Ok(to.sync_all()?)
}

fn mib(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / MIB).unwrap_or(u32::MAX))
}
