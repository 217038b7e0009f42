//! What the authority signs, and what a damaged one says.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use lifeboat_model::{HostId, PoolName};
use lifeboat_wire::{AGENT_LIFE, Authority, AuthorityError, HostKey, Identity, IdentityError};

use crate::support::{authority, enrol_now, now};

#[test]
fn keys_are_readable_by_their_owner_only_and_a_second_authority_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca");
    let made = authority(&ca);
    let host = folder.path().join("one");
    enrol_now(&made, &host, "one");
    for (path, mode) in [
        (ca.clone(), 0o700),
        (ca.join("authority.key"), 0o600),
        (host.clone(), 0o700),
        (host.join("host.pem"), 0o600),
    ] {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode, "{}", path.display());
    }
    assert!(!host.join("pending.key").exists());
    let again = Authority::create(&ca, &PoolName::new("pool-2").unwrap(), now());
    assert!(matches!(again, Err(AuthorityError::Exists { .. })));
    let opened = Authority::open(&ca).unwrap();
    assert_eq!((opened.pool().as_str(), opened.fingerprint()), ("pool-1", made.fingerprint()));
}

#[test]
fn a_creation_that_was_cut_off_begins_anew_and_a_damaged_authority_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca");
    fs::create_dir(&ca).unwrap();
    fs::write(ca.join("authority.key"), "half a k").unwrap();
    authority(&ca);
    let key = fs::read(ca.join("authority.key")).unwrap();
    for length in (0..key.len()).step_by(7) {
        fs::write(ca.join("authority.key"), &key[..length]).unwrap();
        let error = Authority::open(&ca).unwrap_err().to_string();
        assert!(error.contains("put its folder back from a backup"), "{error}");
    }
    let other = folder.path().join("other");
    authority(&other);
    fs::copy(other.join("authority.key"), ca.join("authority.key")).unwrap();
    let error = Authority::open(&ca).unwrap_err().to_string();
    assert!(error.contains("do not belong together"), "{error}");
    assert!(matches!(Authority::open(&folder.path().join("none")), Err(AuthorityError::None { .. })));
}

#[test]
fn a_request_gets_the_name_it_was_made_for_and_never_the_one_it_asks_for() {
    let folder = tempfile::tempdir().unwrap();
    let ca = authority(&folder.path().join("ca"));
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["controller.example".to_owned()]).unwrap();
    params.subject_alt_names.push(rcgen::SanType::URI("lifeboat://pool-1/two".try_into().unwrap()));
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let request = params.serialize_request(&key);
    let one = HostId::new("one").unwrap();
    if let Ok(request) = request {
        let issued = ca.issue_host(&request.pem().unwrap(), &one, now(), AGENT_LIFE);
        if let Ok(issued) = issued {
            assert_eq!(issued.read.host.unwrap().1, one);
        }
    }
    let rsa = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let request = rcgen::CertificateParams::default().serialize_request(&rsa).unwrap().pem().unwrap();
    let error = ca.issue_host(&request, &one, now(), AGENT_LIFE).unwrap_err().to_string();
    assert!(error.contains("ECDSA"), "{error}");
    let good = HostKey::generate().unwrap().request().unwrap();
    // The last digits of the signature.
    for cut in [0, 10, good.len() / 2, good.len() - 40] {
        assert!(ca.issue_host(&good[..cut], &one, now(), AGENT_LIFE).is_err(), "cut to {cut}");
    }
    let forged = good.replacen('A', "B", 3);
    assert!(ca.issue_host(&forged, &one, now(), AGENT_LIFE).is_err());
    let huge = good.repeat(1000);
    assert!(ca.issue_host(&huge, &one, now(), AGENT_LIFE).is_err());
}

#[test]
fn the_next_certificate_is_asked_for_after_two_thirds_of_a_life() {
    let folder = tempfile::tempdir().unwrap();
    let ca = authority(&folder.path().join("ca"));
    let request = HostKey::generate().unwrap().request().unwrap();
    let at = 1_000_000_000;
    let issued =
        ca.issue_host(&request, &HostId::new("one").unwrap(), at, Duration::from_secs(3000)).unwrap().read;
    assert_eq!((issued.not_before, issued.not_after), (at - 600, at + 3000));
    assert_eq!(issued.renew_at(), at + 1800);
}

#[test]
fn an_identity_that_was_damaged_is_told_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let ca = authority(&folder.path().join("ca"));
    let host = folder.path().join("one");
    assert!(Identity::read(&host).unwrap().is_none());
    enrol_now(&ca, &host, "one");
    let whole = fs::read(host.join("host.pem")).unwrap();
    for length in (0..whole.len() - 2).step_by(11) {
        fs::write(host.join("host.pem"), &whole[..length]).unwrap();
        match Identity::read(&host) {
            Err(error @ IdentityError::Damaged { .. }) => {
                assert!(error.to_string().contains("enrol this host again"));
            }
            other => unreachable!("cut to {length}: {other:?}"),
        }
    }
    let key = HostKey::generate().unwrap();
    let foreign = HostKey::generate().unwrap();
    let issued =
        ca.issue_host(&foreign.request().unwrap(), &HostId::new("one").unwrap(), now(), AGENT_LIFE).unwrap();
    let error = key.keep(&host, &issued.certificate, None).unwrap_err().to_string();
    assert!(error.contains("another key"), "{error}");
}
