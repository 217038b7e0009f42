//! Promises of reading and writing.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;

const REAL: &str = "bootstate=0\ntitle=Loading VMware ESXi\ntimeout=5\nprefix=\nkernel=b.b00\n\
                    kernelopt=installerDiskDumpSlotSize=2560 no-auto-partition\n\
                    modules=jumpstrt.gz --- useropts.gz --- k.b00 -x 1 --- state.tgz\n\
                    build=8.0.2-0.0.22380479\nupdated=7\n";

fn read(text: impl AsRef<[u8]>) -> BootCfg {
    BootCfg::read(text.as_ref()).unwrap()
}

fn codes(cfg: &BootCfg) -> Vec<&'static str> {
    cfg.traps.iter().map(|trap| trap.code).collect()
}

#[test]
fn an_ordinary_file_has_no_trap_and_all_its_values() {
    let cfg = read(REAL);
    assert_eq!(codes(&cfg), Vec::<&str>::new());
    assert_eq!((cfg.values.updated, cfg.values.bootstate), (7, 0));
    assert_eq!(cfg.values.build, "8.0.2-0.0.22380479");
    assert_eq!(cfg.files(), ["b.b00", "jumpstrt.gz", "useropts.gz", "k.b00", "state.tgz"]);
    assert_eq!(cfg.values.modules[2].options, "-x 1");
    assert_eq!(cfg.values.timeout, Some(5));
    assert_eq!(codes(&read(REAL.replace('\n', "\r\n"))), Vec::<&str>::new());
}

#[test]
fn each_looseness_of_the_loader_is_read_as_it_reads_and_told_with_its_line() {
    let cases: &[(&str, &str, Option<u32>, i64)] = &[
        // file, code, line, what `updated` is read as
        ("\u{feff}updated=5\nbootstate=0\nbuild=1\nkernel=k\n", "cfg-bom", Some(1), 0),
        ("u=9\nbootstate=0\nbuild=1\nkernel=k\n", "cfg-key-shortened", Some(1), 9),
        ("bootstate=0\nkernel=k\n=7\nupdated=2\n", "cfg-key-shortened", Some(3), 2),
        ("bootstate=0\nupdated =9\nupdated=3\nbuild=1\nkernel=k", "cfg-blank-before-equals", Some(2), 3),
        ("bootstate=0\nupdated= 9\nbuild=1\nkernel=k\nupdated=4", "cfg-key-twice", Some(5), 4),
        ("bootstate=0\nupdated=-1\nbuild=1\nkernel=k\n", "cfg-number-cut", Some(2), 4_294_967_295),
        ("bootstate=0\nupdated=4294967297\nbuild=1\nkernel=k\n", "cfg-number-cut", Some(2), 1),
        ("bootstate=0\nupdated=3\0 4\nbuild=1\nkernel=k\n", "cfg-nul", Some(2), 3),
        ("bootstate=0\rupdated=3\rbuild=1\n", "cfg-cr-alone", Some(1), 0),
        ("bootstate=0\nupdated=\"3\"\nbuild=1\nkernel=k\n", "cfg-not-a-number", Some(2), 0),
        ("bootstate=0\nupdated=3 # three\nbuild=1\nkernel=k\n", "cfg-not-a-number", Some(2), 0),
        ("bootstate=0\nbootstate=1\nupdated=3\nbuild=1\nkernel=k\n", "cfg-state-twice", Some(2), 3),
        ("updated=3\nbuild=1\nkernel=k\n", "cfg-state-missing", None, 3),
        ("bootstate=\nupdated=3\nbuild=1\nkernel=k\n", "cfg-state-empty", Some(1), 3),
        ("bootstate=01\nupdated=3\nbuild=1\nkernel=k\n", "cfg-state-text", Some(1), 3),
        ("bootstate=7\nupdated=3\nbuild=1\nkernel=k\n", "cfg-state-unknown", Some(1), 3),
        ("bootstate=0\ntimeout=200\nupdated=3\nbuild=1\nkernel=k\n", "cfg-timeout-cut", Some(2), 3),
        ("bootstate=0\nkernel=k # the kernel\nupdated=3\nbuild=1\n", "cfg-comment-in-value", Some(2), 3),
        ("bootstate=0\nkernel=k\nupdated=3\nbuild=x1\n", "cfg-build-no-digit", Some(4), 3),
        ("bootstate=0\nkernel=k\nupdated=3\nbuild=\n", "cfg-build-missing", Some(4), 3),
        ("bootstate=0\nkernel=k\nupdated=0\nbuild=1\n", "cfg-updated-zero", Some(3), 0),
        ("bootstate=0\nkernel=k\nupdated=3\nbuild=1\nquickboot=1\n", "cfg-quickboot", Some(5), 3),
        ("bootstate=0\nbuild=1\nupdated=3\n", "cfg-kernel-missing", None, 3),
        ("bootstate=0\nkernel=k\nhello\nbuild=1\nupdated=3\n", "cfg-line-ignored", Some(3), 3),
    ];
    for (file, code, line, updated) in cases {
        let cfg = read(file);
        let found = cfg.traps.iter().find(|trap| trap.code == *code);
        assert!(found.is_some(), "{code} is missing for {file:?}: {:?}", cfg.traps);
        assert_eq!(found.unwrap().line, *line, "{file:?}");
        assert_eq!(i64::from(cfg.values.updated), *updated, "{file:?}");
    }
}

#[test]
fn an_empty_key_sets_a_value_of_each_program() {
    let cfg = read("=7");
    assert_eq!((cfg.values.build.as_str(), cfg.values.kernel.as_str()), ("7", "7"));
}

#[test]
fn a_state_in_the_second_sector_cannot_be_written() {
    let cfg = read(format!("#{}\n{REAL}", "x".repeat(520)));
    assert_eq!(codes(&cfg), ["cfg-state-beyond-512"]);
    assert_eq!(cfg.state_digit.patch(3), None);
}

#[test]
fn a_strict_file_has_no_trap_whatever_it_was_made_from() {
    let messy = format!(
        "\u{feff}# mine\r\n{}u=9\r\nkernel = b.b00\nK=b.b00\nmodules=a.gz  ---  s.v00 x\nbuild=6.7\nhello\n\
         vendor = thing  # kept\nbootstate=1\nbootstate=2\nbuild=8.0.1\nquickboot=1\n",
        "#".repeat(600) + "\n"
    );
    let cfg = read(&messy);
    let changes = CfgChanges { quickboot: QuickBoot::Drop, ..CfgChanges::state(0) };
    let out = write_strict(&cfg, &changes).unwrap();
    let again = read(&out);
    assert_eq!(codes(&again), Vec::<&str>::new(), "{}", String::from_utf8_lossy(&out));
    assert!(out.starts_with(b"bootstate=0\n"));
    let text = String::from_utf8(out).unwrap();
    for kept in
        ["vendor = thing  # kept\n", "# kernel = b.b00\n", "# hello\n", "build=8.0.1\n", "updated=9\n"]
    {
        assert!(text.contains(kept), "{kept:?} is not in {text}");
    }
    assert_eq!(text.matches("bootstate").count(), 1);
    assert_eq!(again.values.modules, cfg.values.modules);
}

#[test]
fn writing_an_ordinary_file_again_changes_only_what_was_asked() {
    let cfg = read(REAL);
    let same = write_strict(&cfg, &CfgChanges::state(0)).unwrap();
    assert_eq!(String::from_utf8(same).unwrap(), REAL);
    let changes = CfgChanges { updated: Some(8), ..CfgChanges::state(1) };
    let out = String::from_utf8(write_strict(&cfg, &changes).unwrap()).unwrap();
    assert_eq!(out, REAL.replace("bootstate=0", "bootstate=1").replace("updated=7", "updated=8"));
}

#[test]
fn what_would_not_boot_is_not_written_as_if_it_would() {
    let write = |file: &str, changes: &CfgChanges| write_strict(&read(file), changes);
    assert_eq!(write("build=1\n", &CfgChanges::state(0)), Err(CfgWriteError::Updated));
    assert_eq!(write(REAL, &CfgChanges::state(4)), Err(CfgWriteError::State { state: 4 }));
    assert!(matches!(write("updated=1\nbuild=x\n", &CfgChanges::state(0)), Err(CfgWriteError::Build { .. })));
    assert!(matches!(
        write("updated=1\nbuild=1\nquickboot=1", &CfgChanges::state(0)),
        Err(CfgWriteError::QuickBoot { .. })
    ));
    assert!(matches!(
        write("updated=z\nbuild=1\n", &CfgChanges::state(0)),
        Err(CfgWriteError::NotANumber { .. })
    ));
    let with = CfgChanges { build: Some("1\nupdated=9".to_owned()), ..CfgChanges::state(0) };
    assert!(matches!(write(REAL, &with), Err(CfgWriteError::Value { .. })));
    // An invalid bank may be anything.
    assert!(write("", &CfgChanges::state(3)).is_ok());
}

#[test]
fn long_lines_are_read_and_large_files_refused() {
    let long = format!("#{}\n{REAL}", "y".repeat(100_000));
    assert_eq!(read(long).values.updated, 7);
    let large = vec![b'\n'; 16 << 20];
    assert!(matches!(BootCfg::read(&large), Err(CfgError::TooLarge { bytes: 16_777_216 })));
    let garbage = vec![b'='; 100_000];
    assert!(read(garbage).traps.len() < 110);
    let lines = "b=x\n".repeat(60_000);
    assert!(read(lines).traps.len() < 110);
}

proptest! {
    #[test]
    fn any_bytes_are_read_and_what_can_be_written_has_no_dangerous_trap(
        bytes in proptest::collection::vec(
            prop_oneof![Just(b'\n'), Just(b'='), Just(b' '), Just(b'b'), Just(b'u'), Just(b'1'), Just(b'#'), any::<u8>()],
            0..300,
        )
    ) {
        let cfg = read(&bytes);
        let changes = CfgChanges {
            updated: Some(5),
            build: Some("8".to_owned()),
            quickboot: QuickBoot::Drop,
            ..CfgChanges::state(1)
        };
        if let Ok(out) = write_strict(&cfg, &changes) {
            let again = read(&out);
            prop_assert!(again.traps.iter().all(|trap| !matches!(trap.effect, TrapEffect::Selection | TrapEffect::Writing)));
            prop_assert_eq!((again.values.updated, again.values.bootstate), (5, 1));
        }
    }
}
