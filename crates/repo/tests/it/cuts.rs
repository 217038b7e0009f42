//! Cut downloads: the result is whole and right, and no byte is fetched twice without need.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::Ordering;
use std::time::Duration;

use lifeboat_bundle::{PackSource, Rules};
use lifeboat_repo::{Cache, Location, NetSettings, TrustedRoot, connect, open_release};
use tempfile::TempDir;

use crate::fixture::{bundle, dir, image, init, makers, now, opened, push};
use crate::proxy::CuttingProxy;
use crate::servers::nginx;

fn settings() -> NetSettings {
    NetSettings { first_wait: Duration::from_millis(1), ..NetSettings::default() }
}

/// Numbers that look random and are the same every time.
fn random(number: usize) -> u64 {
    let mut state = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    state ^= state >> 31;
    state.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20
}

#[test]
fn a_download_cut_at_random_bytes_is_whole_and_costs_each_byte_once() {
    let tmp = TempDir::new().unwrap();
    let local = dir(&tmp.path().join("repo"));
    let root = init(&local, now());
    push(&local, &root, &bundle(1));
    let Some(server) = nginx(&tmp.path().join("repo"), false) else { return };
    // Between 5 kB and 400 kB until the cut: some connections die inside heads, most inside packs.
    let proxy =
        CuttingProxy::start(*server.ports.first().unwrap(), |number| 5_000 + random(number) % 400_000);
    let address = format!("http://127.0.0.1:{}", proxy.port);
    let place = connect(&Location::parse(&address).unwrap(), &settings()).unwrap();
    let trusted = TrustedRoot::new(root, None);
    let release = open_release(&place, "lab", None, &trusted, tmp.path().join("scratch")).unwrap();
    let chunked = release.release(&makers(), &Rules::at(now())).unwrap();
    let cache = Cache::new(tmp.path().join("cache"));
    let (sent, received) = (proxy.sent.load(Ordering::SeqCst), place.traffic().unwrap().received());
    let fetched = cache.fetch(&release, &[], &mut |_| {}).unwrap();
    let pack = chunked.manifest().packs.first().unwrap();
    assert_eq!(fetched.fetched, pack.len);
    assert_eq!(chunked.slot_bytes("root", 1 << 30, &cache, &[]).unwrap(), image(1));
    let cuts = proxy.cuts.load(Ordering::SeqCst);
    let sent = proxy.sent.load(Ordering::SeqCst) - sent;
    let received = place.traffic().unwrap().received() - received;
    println!("pack {} bytes, {received} received, {sent} sent with heads, {cuts} cuts", pack.len);
    assert!(cuts >= 10, "{cuts} cuts: the test must cut");
    assert_eq!(received, pack.len, "what arrived was never asked for again");
    // What the proxy had sent and the kernel threw away with the connection is the overlap.
    assert!(sent < pack.len + pack.len / 4, "{sent}");
}

#[test]
fn a_fetch_that_ended_in_the_middle_goes_on_where_it_was() {
    let tmp = TempDir::new().unwrap();
    let repo = tmp.path().join("repo");
    let local = dir(&repo);
    let root = init(&local, now());
    push(&local, &root, &bundle(1));
    let trusted = TrustedRoot::new(root, None);
    let release = open_release(&local, "lab", None, &trusted, tmp.path().join("scratch")).unwrap();
    let chunked = release.release(&makers(), &Rules::at(now())).unwrap();
    let pack = *chunked.manifest().packs.first().unwrap();
    let whole = std::fs::read(repo.join("packs").join(pack.sha256.to_string())).unwrap();
    for kept in [0, 1, 17, 100_000, 3_000_001, whole.len() - 1, whole.len()] {
        let cache_dir = TempDir::new().unwrap();
        let part = cache_dir.path().join("packs").join(format!("{}.part", pack.sha256));
        std::fs::create_dir_all(part.parent().unwrap()).unwrap();
        std::fs::write(&part, whole.get(..kept).unwrap()).unwrap();
        let cache = Cache::new(cache_dir.path().to_owned());
        let fetched = cache.fetch(&release, &[], &mut |_| {}).unwrap();
        assert_eq!((fetched.kept, fetched.fetched), (kept as u64, pack.len - kept as u64));
        assert_eq!(chunked.slot_bytes("root", 1 << 30, &cache, &[]).unwrap(), image(1));
        assert_eq!(cache.fetch(&release, &[], &mut |_| {}).unwrap().kept, pack.len);
    }
    // A part with wrong bytes is noticed by its digest, and not kept.
    let cache_dir = TempDir::new().unwrap();
    let part = cache_dir.path().join("packs").join(format!("{}.part", pack.sha256));
    std::fs::create_dir_all(part.parent().unwrap()).unwrap();
    std::fs::write(&part, vec![0; 5000]).unwrap();
    let cache = Cache::new(cache_dir.path().to_owned());
    assert!(cache.fetch(&release, &[], &mut |_| {}).is_err());
    assert_eq!(cache.fetch(&release, &[], &mut |_| {}).unwrap().fetched, pack.len);
}

#[test]
fn what_another_release_has_is_copied_and_only_the_rest_is_fetched() {
    let tmp = TempDir::new().unwrap();
    let local = dir(&tmp.path().join("repo"));
    let root = init(&local, now());
    push(&local, &root, &bundle(1));
    push(&local, &root, &bundle(2));
    let trusted = TrustedRoot::new(root, None);
    let open = |version: &str| {
        open_release(&local, "lab", Some(version), &trusted, tmp.path().join("scratch")).unwrap()
    };
    let (one, two) = (open("1.0"), open("2.0"));
    // From the cache, and from a bundle file.
    let cache = Cache::new(tmp.path().join("cache"));
    cache.fetch(&one, &[], &mut |_| {}).unwrap();
    let by_cache = cache.fetch(&two, &[], &mut |_| {}).unwrap();
    let seed = opened(&bundle(1));
    let seeds: [(_, &dyn PackSource); 1] = [(seed.parts().unwrap(), &seed)];
    let other = Cache::new(tmp.path().join("other"));
    let by_seed = other.fetch(&two, &seeds, &mut |_| {}).unwrap();
    println!("{by_cache:?} {by_seed:?}");
    for fetched in [by_cache, by_seed] {
        assert!(fetched.copied > 4_000_000 && fetched.fetched < 1_500_000, "{fetched:?}");
    }
    let chunked = two.release(&makers(), &Rules::at(now())).unwrap();
    assert_eq!(chunked.slot_bytes("root", 1 << 30, &cache, &[]).unwrap(), image(2));
}
