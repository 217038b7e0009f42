//! Signatures made by another program, and everything that can be wrong with them.

use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_depot::build::{VibSpec, vib};
use lifeboat_depot::signature::{SignatureReport, Trust, verify};
use lifeboat_depot::{Level, vib::read};
use lifeboat_model::Severity;

use crate::common::{codes, limits, payload};

/// A folder with a root, an intermediate and signers, all made anew.
struct Makers {
    folder: tempfile::TempDir,
    now: u64,
}

impl Makers {
    /// None if there is no `openssl`, with the reason printed.
    fn new() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "openssl is required");
            println!("skipped: there is no openssl to sign with");
            return None;
        }
        // An hour later than now: certificates begin when they are made.
        let now =
            3600 + std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let makers = Self { folder: tempfile::tempdir().unwrap(), now };
        makers.root("root");
        makers.certificate(
            "middle",
            "root",
            "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign",
            &[],
        );
        makers.certificate("signer", "middle", "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature", &[]);
        Some(makers)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, args: &[&str]) {
        let out = Command::new("openssl").args(args).current_dir(self.folder.path()).output().unwrap();
        assert!(out.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    }

    fn root(&self, name: &str) {
        let (key, pem, subject) = (format!("{name}.key"), format!("{name}.pem"), format!("/CN={name}"));
        self.run(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            &key,
            "-out",
            &pem,
            "-subj",
            &subject,
            "-days",
            "3650",
            "-sha256",
            "-addext",
            "keyUsage=critical,keyCertSign",
        ]);
    }

    /// A certificate of `name` by `issuer` with these extensions; `more` goes to the command that issues it.
    fn certificate(&self, name: &str, issuer: &str, extensions: &str, more: &[&str]) {
        self.certificate_of("rsa:2048", name, issuer, extensions, more);
    }

    fn certificate_of(&self, kind: &str, name: &str, issuer: &str, extensions: &str, more: &[&str]) {
        std::fs::write(self.path("ext.cnf"), extensions).unwrap();
        let (key, csr, pem) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        let (ca, ca_key, subject) = (format!("{issuer}.pem"), format!("{issuer}.key"), format!("/CN={name}"));
        let mut request =
            vec!["req", "-newkey", kind, "-nodes", "-keyout", &key, "-out", &csr, "-subj", &subject];
        if kind == "ec" {
            request.extend(["-pkeyopt", "ec_paramgen_curve:P-256"]);
        }
        self.run(&request);
        let mut issue = vec![
            "x509",
            "-req",
            "-in",
            &csr,
            "-CA",
            &ca,
            "-CAkey",
            &ca_key,
            "-CAcreateserial",
            "-out",
            &pem,
            "-extfile",
            "ext.cnf",
        ];
        if !more.contains(&"-days") {
            issue.extend(["-days", "3650"]);
        }
        if !more.contains(&"-sha1") {
            issue.push("-sha256");
        }
        issue.extend(more);
        self.run(&issue);
    }

    /// Signs with openssl; `more` chooses attributes and digest.
    fn sign(&self, bytes: &[u8], signer: &str, more: &[&str]) -> Vec<u8> {
        std::fs::write(self.path("data"), bytes).unwrap();
        let (pem, key) = (format!("{signer}.pem"), format!("{signer}.key"));
        let mut args = vec![
            "cms",
            "-sign",
            "-binary",
            "-in",
            "data",
            "-out",
            "sig",
            "-outform",
            "PEM",
            "-signer",
            &pem,
            "-inkey",
            &key,
            "-certfile",
            "middle.pem",
        ];
        args.extend(more);
        self.run(&args);
        std::fs::read(self.path("sig")).unwrap()
    }

    fn trust(&self, root: &str, level: Level) -> Trust {
        let mut trust = Trust::new();
        let text = std::fs::read_to_string(self.path(&format!("{root}.pem"))).unwrap();
        assert_eq!(trust.add_pem(&text, level).unwrap(), 1);
        trust
    }

    fn judge(&self, descriptor: &[u8], signature: &[u8], trust: &Trust) -> SignatureReport {
        verify("v", descriptor, signature, Some(Level::Certified), trust, self.now)
    }
}

fn blockers(report: &SignatureReport) -> Vec<&str> {
    report
        .findings
        .iter()
        .filter(|one| one.severity == Severity::Blocker)
        .map(|one| one.code.as_str())
        .collect()
}

const TEXT: &[u8] = b"<vib version=\"5.0\"><name>x</name></vib>";

#[test]
fn a_good_signature_proves_the_level_with_and_without_attributes_and_with_every_digest() {
    let Some(makers) = Makers::new() else { return };
    let trust = makers.trust("root", Level::Certified);
    for more in [
        vec![],
        vec!["-noattr"],
        vec!["-md", "sha512"],
        vec!["-md", "sha384", "-noattr"],
        vec!["-keyid"],
        vec!["-nosmimecap"],
    ] {
        let signature = makers.sign(TEXT, "signer", &more);
        let report = makers.judge(TEXT, &signature, &trust);
        assert_eq!(report.findings, [], "{more:?}");
        assert_eq!(report.proved, Level::Certified, "{more:?}");
        assert_eq!(report.signers[0].chain, ["CN=signer", "CN=middle", "CN=root"]);
        assert_eq!(report.signers[0].claimed_time.is_some(), !more.contains(&"-noattr"));
    }
    // The older program of the same maker writes the older form.
    std::fs::write(makers.path("data"), TEXT).unwrap();
    makers.run(&[
        "smime",
        "-sign",
        "-binary",
        "-in",
        "data",
        "-out",
        "sig",
        "-outform",
        "PEM",
        "-signer",
        "signer.pem",
        "-inkey",
        "signer.key",
        "-certfile",
        "middle.pem",
    ]);
    let signature = std::fs::read(makers.path("sig")).unwrap();
    assert!(signature.starts_with(b"-----BEGIN PKCS7-----"));
    assert_eq!(makers.judge(TEXT, &signature, &trust).findings, []);
}

#[test]
fn an_altered_descriptor_is_found_in_both_forms() {
    let Some(makers) = Makers::new() else { return };
    let trust = makers.trust("root", Level::Certified);
    for more in [vec![], vec!["-noattr"]] {
        let signature = makers.sign(TEXT, "signer", &more);
        let mut altered = TEXT.to_vec();
        altered[10] ^= 1;
        let report = makers.judge(&altered, &signature, &trust);
        assert_eq!(codes(&report.findings), ["signature-wrong"], "{more:?}");
        assert_eq!(report.proved, Level::Community);
    }
}

#[test]
fn an_altered_payload_is_found_although_the_signature_is_good() {
    let Some(makers) = Makers::new() else { return };
    let trust = makers.trust("root", Level::Certified);
    let mut spec = VibSpec::new("x", "1-1");
    spec.level = "certified".to_owned();
    let good = payload("x", "opt/x", b"one");
    let unsigned = vib(&spec, std::slice::from_ref(&good), b"");
    let signature = makers.sign(unsigned.descriptor.as_bytes(), "signer", &[]);
    let bad = payload("x", "opt/x", b"two");
    let bytes = lifeboat_depot::build::vib_from(&unsigned.descriptor, &signature, &[bad]);
    let read = read(&bytes, &limits()).unwrap();
    assert!(codes(&read.findings).contains(&"payload-altered"));
    assert_eq!(makers.judge(&read.descriptor_bytes, &read.signature, &trust).findings, []);
}

#[test]
fn a_root_that_is_not_the_makers_proves_nothing() {
    let Some(makers) = Makers::new() else { return };
    makers.root("stranger");
    let signature = makers.sign(TEXT, "signer", &[]);
    let report = makers.judge(TEXT, &signature, &makers.trust("stranger", Level::Certified));
    assert_eq!(codes(&report.findings), ["chain-untrusted"]);
    assert!(report.findings[0].evidence.contains("CN=root"), "{:?}", report.findings);
    let report = makers.judge(TEXT, &signature, &Trust::new());
    assert_eq!(codes(&report.findings), ["trust-not-checked"]);
    assert_eq!(report.proved, Level::Community);
    // A root of the right name with another key.
    std::fs::rename(makers.path("root.pem"), makers.path("true.pem")).unwrap();
    makers.root("root");
    let report = makers.judge(TEXT, &signature, &makers.trust("root", Level::Certified));
    assert_eq!(codes(&report.findings), ["chain-untrusted"]);
}

#[test]
fn the_date_is_a_finding_of_its_own() {
    let Some(makers) = Makers::new() else { return };
    makers.certificate("short", "middle", "keyUsage=digitalSignature", &["-days", "1"]);
    let trust = makers.trust("root", Level::Certified);
    let signature = makers.sign(TEXT, "short", &[]);
    let judge = |at: u64| verify("v", TEXT, &signature, Some(Level::Certified), &trust, at);
    assert_eq!(judge(makers.now).findings, []);
    for (at, word) in
        [(makers.now + 3 * 86_400, "was valid until"), (makers.now - 3 * 86_400, "is valid from")]
    {
        let report = judge(at);
        assert!(codes(&report.findings).iter().all(|code| *code == "certificate-not-valid-then"));
        assert!(report.findings[0].evidence.contains(word), "{:?}", report.findings);
        assert_eq!(report.proved, Level::Community);
        assert_eq!(report.signers[0].chain.len(), 3, "the chain itself is found");
    }
}

#[test]
fn a_level_above_what_the_certificate_may_vouch_for_is_found() {
    let Some(makers) = Makers::new() else { return };
    let signature = makers.sign(TEXT, "signer", &[]);
    let report = makers.judge(TEXT, &signature, &makers.trust("root", Level::Partner));
    assert_eq!(codes(&report.findings), ["level-not-covered"]);
    assert_eq!(report.proved, Level::Partner);
    let unsigned = makers.judge(TEXT, b"", &makers.trust("root", Level::Certified));
    assert_eq!(codes(&unsigned.findings), ["level-not-covered"]);
    let community = verify("v", TEXT, b"", Some(Level::Community), &Trust::new(), makers.now);
    assert_eq!(codes(&community.findings), ["unsigned"]);
}

#[test]
fn one_who_may_not_issue_cannot_stand_in_a_chain() {
    let Some(makers) = Makers::new() else { return };
    let trust = makers.trust("root", Level::Certified);
    // The signer of another VIB issues a certificate for itself.
    makers.certificate("forged", "signer", "keyUsage=digitalSignature", &[]);
    std::fs::copy(makers.path("signer.pem"), makers.path("extra.pem")).unwrap();
    let signature = makers.sign(TEXT, "forged", &["-certfile", "extra.pem"]);
    let report = makers.judge(TEXT, &signature, &trust);
    assert_eq!(codes(&report.findings), ["chain-untrusted"]);
    assert!(report.findings[0].evidence.contains("basic constraints"), "{:?}", report.findings);
    // A second intermediate below one that allows none.
    makers.certificate("deep", "middle", "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign", &[]);
    makers.certificate("below", "deep", "keyUsage=digitalSignature", &[]);
    let read = |name: &str| std::fs::read_to_string(makers.path(name)).unwrap();
    std::fs::write(makers.path("both.pem"), read("deep.pem") + &read("middle.pem")).unwrap();
    let signature = makers.sign(TEXT, "below", &["-certfile", "both.pem"]);
    let report = makers.judge(TEXT, &signature, &trust);
    assert_eq!(codes(&report.findings), ["chain-untrusted"]);
    assert!(report.findings[0].evidence.contains("path length"), "{:?}", report.findings);
    // A certificate that is made for something else.
    makers.certificate("other", "middle", "keyUsage=keyEncipherment", &[]);
    let signature = makers.sign(TEXT, "other", &[]);
    assert_eq!(codes(&makers.judge(TEXT, &signature, &trust).findings), ["signature-wrong"]);
}

#[test]
fn methods_that_are_weak_or_unknown_are_told_apart() {
    let Some(makers) = Makers::new() else { return };
    let trust = makers.trust("root", Level::Certified);
    let signature = makers.sign(TEXT, "signer", &["-md", "sha1"]);
    let report = makers.judge(TEXT, &signature, &trust);
    assert_eq!(codes(&report.findings), ["signature-method-weak"]);
    assert_eq!(report.proved, Level::Certified);
    makers.certificate_of("ec", "curve", "middle", "keyUsage=digitalSignature", &[]);
    let signature = makers.sign(TEXT, "curve", &[]);
    let report = makers.judge(TEXT, &signature, &trust);
    assert_eq!(blockers(&report), ["signature-method-unknown"]);
    assert_eq!(report.proved, Level::Community);
}

#[test]
fn a_message_with_content_of_its_own_or_without_certificates_is_refused() {
    let Some(makers) = Makers::new() else { return };
    let trust = makers.trust("root", Level::Certified);
    let whole = makers.sign(TEXT, "signer", &["-nodetach"]);
    assert_eq!(codes(&makers.judge(TEXT, &whole, &trust).findings), ["signature-unreadable"]);
    let bare = makers.sign(TEXT, "signer", &["-nocerts"]);
    let bare = makers.judge(TEXT, &bare, &trust);
    assert_eq!(bare.proved, Level::Community);
    assert_eq!(blockers(&bare), ["chain-untrusted"]);
    for junk in [b"hello".as_slice(), b"-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n", &[0x30, 0x80]] {
        assert_eq!(codes(&makers.judge(TEXT, junk, &trust).findings), ["signature-unreadable"]);
    }
}

#[test]
fn no_turned_bit_of_a_signature_is_taken_for_good() {
    let Some(makers) = Makers::new() else { return };
    let trust = makers.trust("root", Level::Certified);
    let signature = makers.sign(TEXT, "signer", &["-outform", "DER"]);
    assert_eq!(makers.judge(TEXT, &signature, &trust).findings, []);
    let mut proved = Vec::new();
    for at in (0..signature.len()).step_by(3) {
        let mut altered = signature.clone();
        altered[at] ^= 0x04;
        let report = makers.judge(TEXT, &altered, &trust);
        if report.proved > Level::Community {
            proved.push(at);
        }
    }
    // The list of digests in front and unsigned parts are not covered by anything; the certificates and the signature are.
    assert!(proved.len() * 100 < signature.len(), "{proved:?} of {}", signature.len());
}

#[test]
fn a_file_of_roots_may_hold_text_and_several_certificates() {
    let Some(makers) = Makers::new() else { return };
    let read = |name: &str| std::fs::read_to_string(Path::new(&makers.path(name))).unwrap();
    let mut trust = Trust::new();
    let text = format!("the makers\n{}\nand\n{}", read("root.pem"), read("middle.pem"));
    assert_eq!(trust.add_pem(&text, Level::Partner).unwrap(), 2);
    assert_eq!(trust.roots()[0].subject(), "CN=root");
    assert!(Trust::new().add_pem("nothing", Level::Partner).is_err());
    // A person may trust the one in the middle alone.
    let middle = makers.trust("middle", Level::Accepted);
    let signature = makers.sign(TEXT, "signer", &[]);
    assert_eq!(makers.judge(TEXT, &signature, &middle).proved, Level::Accepted);
}
