//! A scratch folder, the binary, and what it answered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A scratch folder with a state directory of its own.
pub(crate) struct Scratch {
    dir: TempDir,
}

/// What a run answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Answer {
    /// Standard output as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.out))
    }

    /// Checks the exit code, and that standard error has every word.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32, words: &[&str]) -> &Self {
        assert_eq!(self.code, code, "{self:#?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is missing: {self:#?}");
        }
        assert!(self.err.contains("remedy: "), "no remedy: {self:#?}");
        assert!(self.err.starts_with("lifeboat: "), "{self:#?}");
        self
    }

    /// Checks that it was done.
    #[track_caller]
    pub(crate) fn done(&self) -> &Self {
        assert_eq!(self.code, 0, "{self:#?}");
        self
    }
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs `lifeboat` with these words in the scratch folder, without a terminal.
    pub(crate) fn run(&self, words: &[&str]) -> Answer {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        for name in ["LIFEBOAT_OUTPUT", "LIFEBOAT_TRUST", "NO_COLOR", "CLICOLOR_FORCE", "SOURCE_DATE_EPOCH"] {
            command.env_remove(name);
        }
        command
            .env("LIFEBOAT_STATE_DIR", self.path("state"))
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        let output = command.args(words).output().unwrap();
        Answer {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Every file below the folder with its content.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        fn walk(dir: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, files);
                } else {
                    files.insert(path.clone(), std::fs::read(&path).unwrap());
                }
            }
        }
        let mut files = BTreeMap::new();
        walk(self.dir.path(), &mut files);
        files
    }

    /// A maker's key `k` and `k.pub`.
    pub(crate) fn key(&self, name: &str) {
        self.run(&["release", "keygen", name]).done();
    }

    /// A release in folder `rSERIAL` and bundle `rSERIAL.lfb`, signed by key `k`.
    pub(crate) fn release(&self, serial: u8) {
        let folder = format!("r{serial}");
        self.write(&format!("{folder}/stub"), lifeboat_bank::uki::minimal_stub());
        self.write(&format!("{folder}/kernel"), vec![serial; 300_000]);
        self.write(&format!("{folder}/initrd"), vec![serial ^ 0x55; 100_000]);
        let root: Vec<u8> =
            (0..1_500_000_u32).map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[3] ^ serial).collect();
        self.write(&format!("{folder}/root.img"), root);
        self.write(&format!("{folder}/cmdline"), "quiet\nconsole=ttyS0\n");
        let (out, version, number) = (format!("{folder}.lfb"), format!("{serial}.0"), serial.to_string());
        let words = ["release", "build", &folder, "--out", &out, "--name", "box", "--version", &version];
        self.run(&[words.as_slice(), &["--serial", &number, "--key", "k"]].concat()).done();
    }
}
