//! Small good inputs of every target, from which a fuzzer starts.
//!
//! Owns: the seeds, made by our own writers. Promises: the same program makes the same bytes; nothing of anybody else
//! is in them. Does not: hold inputs that a fuzzer found; those are files in the corpus.

use std::io::Cursor;

use lifeboat_bank::efi::{DevicePath, HardDrive, LoadOption, encode_numbers};
use lifeboat_bank::esx::bootcfg::BootCfg;
use lifeboat_bank::esx::change::{Content, Progress, apply};
use lifeboat_bank::esx::find_banks;
use lifeboat_bank::esx::fixture::{
    Fixture, FixtureBank, FixtureLayout, FixtureShape, TarMember, gzip, state_tgz, tar, visor_tar,
};
use lifeboat_bank::guid::Guid;
use lifeboat_bank::layout::{Geometry, LayoutGuids, create_layout};
use lifeboat_bank::manifest::{BankManifest, encode_manifest};
use lifeboat_bank::record::{BankRecord, encode_record};
use lifeboat_bank::state::{ArchiveWriter, Header, Meta};
use lifeboat_bank::uki::{build_uki, minimal_stub};
use lifeboat_bundle::{BundleBuilder, ReleaseDraft, SecretKey, TrustStore};
use lifeboat_depot::build::{BundleSpec, NewPayload, VibSpec, bundle, descriptor_xml, profile_xml, vib};
use lifeboat_model::{Bank, ReleaseRef, ReleaseVersion, Sha256Hex};

use crate::targets::disk::encode;

const MIB: u64 = 1 << 20;
const KEY: [u8; 32] = [1; 32];

/// Name of the target, name of the file, bytes.
pub type Seed = (&'static str, String, Vec<u8>);

/// Why seeds cannot be made; it means that a writer of ours is broken.
pub type SeedError = Box<dyn std::error::Error>;

/// All seeds.
pub fn seeds() -> Result<Vec<Seed>, SeedError> {
    let mut all = Vec::new();
    disks(&mut all)?;
    banks(&mut all)?;
    words(&mut all);
    releases(&mut all)?;
    depots(&mut all);
    Ok(all)
}

fn add(all: &mut Vec<Seed>, target: &'static str, name: &str, bytes: Vec<u8>) {
    all.push((target, name.to_owned(), bytes));
}

fn release() -> ReleaseRef {
    ReleaseRef {
        name: "host".to_owned(),
        version: ReleaseVersion("2.0".to_owned()),
        serial: 2,
        digest: Sha256Hex::of(b"release"),
    }
}

/// Whole disks: ours, and those of three ages of ESXi; each also as one that claims two terabytes.
fn disks(all: &mut Vec<Seed>) -> Result<(), SeedError> {
    let geometry = Geometry { boot: 4 * MIB, root: 2 * MIB, state: MIB };
    let mut ours = vec![0_u8; usize::try_from(geometry.disk_bytes())?];
    create_layout(
        &mut ours,
        &geometry,
        &LayoutGuids::from_random(&std::array::from_fn(|at| u8::try_from(at).unwrap_or(0))),
    )?;
    add(all, "gpt", "ours", encode(&ours, ours.len() as u64));
    add(all, "gpt", "ours-claims-2-tb", encode(&ours, u64::MAX));
    for (name, layout) in
        [("v4", FixtureLayout::V4), ("v5", FixtureLayout::V5To6), ("v7", FixtureLayout::V7To8)]
    {
        let small = |state, updated| FixtureBank {
            modules: 2,
            module_bytes: 300,
            ..FixtureBank::good(state, updated, "8.0.2-0.0.22380479")
        };
        let fixture = Fixture {
            shape: FixtureShape::Small,
            banks: vec![small(0, 6), small(1, 7)],
            ..Fixture::usual(layout)
        };
        let image = fixture.image()?;
        let len = image.len() as u64;
        add(all, "esx_disk", name, encode(&image, len));
        add(all, "esx_disk", &format!("{name}-claims-2-tb"), encode(&image, u64::MAX));
        add(all, "gpt", name, encode(&image, len));
        let (at, bytes) = fixture.bank_place(0);
        let at = usize::try_from(at)?;
        let volume = image.get(at..at + usize::try_from(bytes)?).ok_or("the bank leaves its disk")?.to_vec();
        for target in ["fat_read", "fat_examine", "fat_edit"] {
            add(all, target, name, encode(&volume, bytes));
            add(all, target, &format!("{name}-claims-2-tb"), encode(&volume, u64::MAX));
            for (what, damaged) in damages(&volume) {
                add(all, target, &format!("{name}-{what}"), encode(&damaged, bytes));
            }
        }
        if layout == FixtureLayout::V7To8 {
            add(all, "undo", "set-next", undo_file(image)?);
        }
    }
    Ok(())
}

/// Damage that a driver's author should know: chains in circles, into free clusters and out of the volume.
fn damages(volume: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let word = |at: usize| {
        u16::from_le_bytes([volume.get(at).copied().unwrap_or(0), volume.get(at + 1).copied().unwrap_or(0)])
    };
    let table = usize::from(word(14)) * 512;
    let set = |changes: &[(usize, u8)]| {
        let mut damaged = volume.to_vec();
        for (at, value) in changes {
            damaged.iter_mut().skip(*at).take(1).for_each(|byte| *byte = *value);
        }
        damaged
    };
    vec![
        ("loop", set(&[(table + 4, 3), (table + 5, 0), (table + 6, 2), (table + 7, 0)])),
        ("self-loop", set(&[(table + 4, 2), (table + 5, 0)])),
        ("beyond", set(&[(table + 4, 0xf0), (table + 5, 0xf0)])),
        ("no-sectors", set(&[(19, 0), (20, 0), (32, 0), (33, 0), (34, 0), (35, 0)])),
        ("vast", set(&[(19, 0), (20, 0), (32, 255), (33, 255), (34, 255), (35, 255)])),
        ("no-fats", set(&[(16, 0)])),
        ("odd-sector", set(&[(11, 1), (12, 0)])),
        ("many-root-entries", set(&[(17, 255), (18, 255)])),
    ]
}

fn undo_file(mut image: Vec<u8>) -> Result<Vec<u8>, SeedError> {
    use lifeboat_bank::esx::change::{NextBy, NextRequest, NextState, plan_set_next};
    let esx = find_banks(&image)?;
    let request = NextRequest {
        bank: 'A',
        by: NextBy::Counter,
        state: NextState::Trial,
        content: Content::Whole,
        force: true,
    };
    let plan = plan_set_next(&image, &esx, &request)?;
    let mut undo = Vec::new();
    let silent: Progress<'_> = &mut |_, _, _| {};
    apply(&mut image, &plan, &mut undo, 1_800_000_000, silent)?;
    Ok(undo)
}

fn banks(all: &mut Vec<Seed>) -> Result<(), SeedError> {
    let part = (Sha256Hex::of(b"part"), 4096);
    let manifest = BankManifest::new(Bank::A, release(), 3, part, part, None);
    add(all, "bank_manifest", "plain", encode_manifest(&manifest)?);
    add(all, "bank_record", "empty", encode_record(&BankRecord::empty(), 5)?.to_vec());
    let header =
        Header { from: Bank::A, release: Some(release()), version: 2, carried_for: Sha256Hex::of(b"next") };
    let meta = Meta { mode: 0o644, uid: 0, gid: 0 };
    let mut archive = ArchiveWriter::new(Vec::new(), &header)?;
    archive.directory(b"etc", meta)?;
    archive.file(b"etc/hostname", meta, 5, &mut &b"host\n"[..])?;
    archive.link(b"etc/localtime", meta, b"../usr/share/zoneinfo/UTC")?;
    add(all, "saved_state", "three", archive.finish()?.0);
    let stub = minimal_stub();
    add(all, "uki", "small", build_uki(&stub, "root=PARTUUID=1 quiet", "ID=host\n", b"kernel", b"initrd")?);
    let path = DevicePath::file_on(HardDrive::gpt(1, 2048, 8192, Guid([7; 16])), "\\EFI\\BOOT\\BOOTX64.EFI");
    let option = LoadOption::new("Lifeboat A", path);
    add(all, "boot_variables", "option", option.encode());
    add(all, "boot_variables", "order", encode_numbers(&[3, 1, 2]));
    Ok(())
}

fn words(all: &mut Vec<Seed>) {
    let cfg = "bootstate=0\ntitle=Loading\ntimeout=5\nprefix=\nkernel=b.b00\nkernelopt=\nmodules=k.b00 --- s.v00\n\
               build=8.0.2-0.0.22380479\nupdated=6\n";
    add(all, "bootcfg", "usual", cfg.as_bytes().to_vec());
    let odd =
        "# note\r\nbootstate = 1\nupdated=0x10\nquickboot=0\nquickboot=\nkernel=a\nmodules=a b---c\nbuild=x";
    add(all, "bootcfg", "odd", odd.as_bytes().to_vec());
    debug_assert!(BootCfg::read(cfg.as_bytes()).is_ok(), "the seed is no boot.cfg");
    add(all, "select", "two", format!("{cfg}\0{}", cfg.replace("updated=6", "updated=7")).into_bytes());
    add(
        all,
        "select",
        "trial",
        format!("{}\0{cfg}\0{odd}", cfg.replace("bootstate=0", "bootstate=1")).into_bytes(),
    );
    add(all, "state_tgz", "state", state_tgz("esx1.example"));
    let members = [TarMember::new("bin/vmx", vec![7; 700]), TarMember::new("etc/../../out", vec![1])];
    add(all, "state_tgz", "module", gzip(&visor_tar(&members)));
    add(all, "state_tgz", "bomb", gzip(&vec![0; 8 << 20]));
    add(all, "visor_tar", "visor", visor_tar(&members));
    add(all, "visor_tar", "plain", tar(&members));
    let declaration = r#"{"schema":"lifeboat.state/1","version":2,"keep":["etc/hostname"],"migrations":[]}"#;
    add(all, "state_words", "declaration", declaration.as_bytes().to_vec());
    add(all, "state_words", "path", b"etc/../../shadow".to_vec());
    let list = "Name      Version         Vendor  Acceptance Level  Install Date\n--------  --------------  ------  \
                ----------------  ------------\nesx-base  8.0.2-0.0.1     VMware  VMwareCertified   2024-01-02\n";
    add(all, "vib_list", "esxcli", list.as_bytes().to_vec());
    add(
        all,
        "vib_list",
        "json",
        br#"[{"Name":"esx-base","Version":"8.0.2-0.0.1","Vendor":"VMware"}]"#.to_vec(),
    );
    // A CMS envelope that says nothing (RFC 5652, SignedData without signers).
    let empty =
        b"\x30\x23\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x16\x30\x14\x02\x01\x01\x31\x00\x30\x0b\
                  \x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01\x31\x00";
    add(all, "vib_signature", "no-signers", empty.to_vec());
}

fn releases(all: &mut Vec<Seed>) -> Result<(), SeedError> {
    let key = SecretKey::from_random(KEY, "fuzz")?;
    add(all, "keys", "secret", key.to_text().into_bytes());
    add(all, "keys", "public", key.public().to_text().into_bytes());
    add(all, "keys", "trust", TrustStore::new(vec![key.public()])?.to_text().into_bytes());
    let draft = ReleaseDraft {
        name: "host".to_owned(),
        version: "2.0".to_owned(),
        serial: 2,
        created: 1_799_999_000,
        expires: Some(1_800_001_000),
        arch: "x86_64".to_owned(),
        cmdline: "quiet".to_owned(),
    };
    let mut builder = BundleBuilder::new(draft, Cursor::new(Vec::new()))?;
    for (name, bytes) in [("kernel", &b"kernel"[..]), ("root", &[b'r'; 3000]), ("stub", b"")] {
        builder.add_slot(name, bytes, bytes.len() as u64)?;
    }
    let mut whole = Vec::new();
    builder.finish(&[&key], &mut whole)?;
    let number = |at: usize| -> usize {
        let bytes = whole.get(at..at + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
        bytes.map_or(0, |bytes| u32::from_le_bytes(bytes) as usize)
    };
    // docs/formats/bundle.md: lengths of manifest, signatures and contents from byte 12 on, the parts from byte 64 on.
    let (manifest_len, list_len, contents_len) = (number(12), number(16), number(20));
    let part = |at: usize, len: usize| whole.get(at..at + len).unwrap_or_default().to_vec();
    let manifest = part(64, manifest_len);
    let contents = part(64 + manifest_len + list_len, contents_len);
    let body_at = 64 + manifest_len + list_len + contents_len;
    let body = whole.get(body_at..).unwrap_or_default().to_vec();
    let magic = b"LFINDEX1";
    let mut index_from = body.windows(8).position(|window| window == magic).unwrap_or(0);
    for name in ["one", "two"] {
        add(
            all,
            "chunk_index",
            name,
            body.get(index_from..).unwrap_or_default().iter().take(64 + 56).copied().collect(),
        );
        index_from += 64 + 56;
    }
    let mut signed = Vec::new();
    for number in [2, manifest_len, contents_len] {
        signed.extend_from_slice(&u16::try_from(number)?.to_le_bytes());
    }
    for part in [&manifest, &contents, &body] {
        signed.extend_from_slice(part);
    }
    add(all, "signed_bundle", "chunked", signed);
    // Format 1, after its document; the block is stored as it is.
    let digest = Sha256Hex::of(b"root");
    let old = format!(
        r#"{{"schema":"lifeboat.release/1","spec_version":1,"min_reader":1,"name":"host","version":"1","serial":1,"created":1,"expires":null,"arch":"x86_64","cmdline":"","slots":[{{"name":"root","len":4,"sha256":"{digest}","blocks":[{{"len":4,"stored_len":4,"codec":"none","sha256":"{digest}"}}]}}]}}"#
    );
    let mut signed = 1_u16.to_le_bytes().to_vec();
    signed.extend_from_slice(&u16::try_from(old.len())?.to_le_bytes());
    signed.extend_from_slice(&[0, 0]);
    signed.extend_from_slice(old.as_bytes());
    signed.extend_from_slice(b"root");
    add(all, "signed_bundle", "blocks", signed);
    add(all, "release_manifest", "blocks", old.into_bytes());
    add(all, "release_manifest", "chunked", manifest);
    add(all, "bundle", "chunked", whole);
    Ok(())
}

fn depots(all: &mut Vec<Seed>) {
    let spec = VibSpec::new("net-acme", "1.0-1OEM.800.1.0.1");
    let payloads =
        [NewPayload::vgz("net", visor_tar(&[TarMember::new("usr/lib/vmkmod/acme", vec![3; 100])]))];
    let built = vib(&spec, &payloads, b"");
    add(all, "descriptor", "vib", descriptor_xml(&spec, &payloads, "").into_bytes());
    let profile = profile_xml("acme", &[(built.id.as_str(), &[("net", "net.v00")])]);
    add(all, "descriptor", "profile", profile.clone().into_bytes());
    add(all, "vib", "signed-by-nobody", built.bytes.clone());
    let whole = BundleSpec {
        vendor: "ACME".to_owned(),
        code: "ACM".to_owned(),
        vibs: vec![built],
        profiles: vec![("profile-acme.xml".to_owned(), profile)],
    };
    add(all, "depot_zip", "bundle", bundle(&whole));
}
