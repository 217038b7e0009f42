//! The folders of the benchmark.
//!
//! Owns: making and keeping the images, the folders of a run, the comparison of what a run left. Promises: the images
//! come from the script beside this file; caches are warm before every run. Does not: know the tools.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lifeboat_bank::layout::read_layout;
use lifeboat_device::BlockFile;
use lifeboat_model::Bank;
use lifeboat_model::io::ReadAt;

use super::options::ImagesOptions;
use super::run::{Sample, measured, quiet};
use super::ways::{Leaves, Way};
use crate::Failure;

const MAKE: &str = include_str!("inputs.sh");
const MIB: usize = 1 << 20;

/// Where everything is.
#[derive(Debug)]
pub(super) struct Place {
    inputs: PathBuf,
    artifacts: PathBuf,
    target: PathBuf,
    keep: PathBuf,
    lifeboat: PathBuf,
    disk: bool,
}

impl Place {
    /// Makes the images if they are not there.
    pub(super) fn prepare(options: &ImagesOptions) -> Result<Self, Failure> {
        std::fs::create_dir_all(options.inputs.join("peers"))?;
        if !options.inputs.join("SHA256SUMS").exists() {
            eprintln!("making two host images in {}: some minutes, some network", options.inputs.display());
            let status = Command::new("bash")
                .args(["-c", MAKE, "inputs.sh"])
                .arg(&options.inputs)
                .stdin(Stdio::null())
                .status()?;
            if !status.success() {
                return Err(format!("the images could not be made ({status}); see the lines above").into());
            }
        }
        let ram = PathBuf::from(format!("/dev/shm/lifeboat-bench-{}", std::process::id()));
        let lifeboat = std::env::current_exe()?.with_file_name("lifeboat");
        if !lifeboat.exists() {
            return Err(format!(
                "{} is not there: build it first with cargo build --release -p lifeboat",
                lifeboat.display()
            )
            .into());
        }
        let disk =
            options.disk.as_ref().map(|dir| dir.join(format!("lifeboat-bench-{}", std::process::id())));
        std::fs::create_dir_all(ram.join("keep"))?;
        Ok(Self {
            artifacts: options.inputs.join("peers"),
            inputs: options.inputs.clone(),
            disk: disk.is_some(),
            target: disk.unwrap_or_else(|| ram.join("target")),
            keep: ram.join("keep"),
            lifeboat,
        })
    }

    pub(super) fn artifacts(&self) -> &Path {
        &self.artifacts
    }

    /// Runs a script that is not measured.
    pub(super) fn script(&self, script: &str) -> Result<String, Failure> {
        quiet(script, &self.names())
    }

    fn names(&self) -> [(&str, &Path); 5] {
        [
            ("I", &self.inputs),
            ("A", &self.artifacts),
            ("T", &self.target),
            ("K", &self.keep),
            ("L", &self.lifeboat),
        ]
    }

    /// What the maker of releases would have made; the bytes that a host would fetch. The error says why a way is
    /// skipped.
    pub(super) fn prepare_way(&self, way: &Way) -> Result<Option<u64>, String> {
        let missing: Vec<String> = way
            .needs
            .iter()
            .filter(|(program, _)| !is_there(program))
            .map(|(program, package)| format!("{program} is not installed (package {package})"))
            .collect();
        if !missing.is_empty() {
            return Err(missing.join(", "));
        }
        quiet(way.prepare, &self.names()).map_err(|error| format!("preparing it failed: {error}"))?;
        self.bytes(way).map_err(|error| format!("its bytes cannot be told: {error}"))
    }

    /// Bytes that a host fetches, when they can be told.
    pub(super) fn bytes(&self, way: &Way) -> Result<Option<u64>, Failure> {
        let told = quiet(way.bytes, &self.names())?;
        Ok(told.trim().parse().ok())
    }

    /// One run, compared with the image.
    pub(super) fn measure(&self, way: &Way) -> Result<Sample, Failure> {
        let names = self.names();
        // The sources are read once before, so that they are in memory for everybody.
        quiet("cat $I/v1.img $I/v2.img >/dev/null", &names)?;
        let done = quiet(way.reset, &names).and_then(|_| {
            let flush = if self.disk { "\nsync -f $T" } else { "" };
            measured(&format!("{}{flush}", way.run), &names)
        });
        let daemon = quiet(way.after, &names);
        let mut sample = done?;
        let daemon = daemon?;
        let mut figures = daemon.split_whitespace().filter_map(|word| word.parse::<f64>().ok());
        if let (Some(cpu), Some(kib)) = (figures.next(), figures.next()) {
            sample.cpu += cpu;
            sample.rss_mib = sample.rss_mib.max(kib / 1024.0);
        }
        self.compare(way.leaves)?;
        quiet("rm -rf $T", &names)?;
        Ok(sample)
    }

    fn compare(&self, leaves: Leaves) -> Result<(), Failure> {
        let names = self.names();
        match leaves {
            Leaves::Image => quiet("cmp $I/v2.img $T/image", &names).map(drop),
            Leaves::Tree { times } => {
                let but = if times { "Nothing" } else { "Mod time" };
                let script = format!(
                    "tar -d -f $I/v2.tar -C $T/tree >$K/diff 2>&1 || true; if grep -v '{but} differs' $K/diff | head -3 | grep . >&2; \
                     then exit 1; fi"
                );
                quiet(&script, &names).map(drop)
            }
            Leaves::Bank => self.compare_bank(),
        }
        .map_err(|error| format!("what it left is not v2: {error}").into())
    }

    fn compare_bank(&self) -> Result<(), Failure> {
        let disk = BlockFile::open_read(&self.target.join("disk"))?;
        let image = BlockFile::open_read(&self.inputs.join("v2.img"))?;
        let base = read_layout(&disk)?.volumes(Bank::B).root.offset();
        let (mut left, mut right) = (vec![0_u8; MIB], vec![0_u8; MIB]);
        let mut at = 0;
        while at < image.size() {
            disk.read_at(base + at, &mut left)?;
            image.read_at(at, &mut right)?;
            if left != right {
                return Err(format!("bank B differs within the MiB at byte {at}").into());
            }
            at += MIB as u64;
        }
        Ok(())
    }

    /// What was installed, for the page.
    pub(super) fn describe(&self) -> Result<String, Failure> {
        let mut told = String::new();
        for version in ["v1", "v2"] {
            let packages = std::fs::read_to_string(self.inputs.join(format!("packages-{version}.txt")))?;
            let kernel = packages.lines().find_map(|line| line.strip_prefix("linux-image-amd64="));
            write!(
                told,
                "{version}: {} packages, kernel {}; ",
                packages.lines().count(),
                kernel.unwrap_or("unknown")
            )?;
        }
        let sums = std::fs::read_to_string(self.inputs.join("SHA256SUMS"))?;
        let short: Vec<String> = sums
            .lines()
            .filter_map(|line| Some(format!("{} {}", line.split_whitespace().nth(1)?, line.get(..16)?)))
            .collect();
        write!(told, "SHA-256 of the images begin {}", short.join(", "))?;
        Ok(told)
    }

    /// Removes what is in memory.
    pub(super) fn clean(&self) {
        for folder in [self.target.as_path(), self.keep.parent().unwrap_or(&self.keep)] {
            if folder.exists()
                && let Err(error) = std::fs::remove_dir_all(folder)
            {
                eprintln!("{} stays behind: {error}", folder.display());
            }
        }
    }
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|folder| folder.join(program).exists())
}
