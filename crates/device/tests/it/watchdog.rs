//! The watchdog, as far as a machine without one can be asked.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use lifeboat_device::{Watchdog, WatchdogError};

#[test]
fn a_time_that_no_watchdog_has_is_refused_before_the_device_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    for seconds in [0, 86_401, u32::MAX] {
        let refused = Watchdog::arm(&folder.path().join("watchdog"), seconds);
        assert!(matches!(refused, Err(WatchdogError::Timeout { .. })), "{seconds}");
    }
}

#[test]
fn a_missing_watchdog_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("watchdog");
    let error = Watchdog::arm(&path, 60).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot open the watchdog {}", path.display()));
}

#[test]
fn what_fails_after_the_opening_is_disarmed() {
    // A plain file knows no control calls: arming fails, and the letter that stops a watchdog is written.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("watchdog");
    std::fs::write(&path, "").unwrap();
    let error = Watchdog::arm(&path, 60).unwrap_err();
    assert!(error.to_string().starts_with("cannot ask the abilities of the watchdog"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"V");
}
