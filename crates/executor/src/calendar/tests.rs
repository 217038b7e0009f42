#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use super::*;

fn window(days: &[Day], from: &str, to: &str, zone: &str) -> Window {
    Window { days: days.to_vec(), from: from.to_owned(), to: to.to_owned(), zone: zone.to_owned() }
}

fn calendar(windows: &[Window]) -> Calendar {
    let policy = Policy { windows: windows.to_vec(), ..Policy::default() };
    assert_eq!(policy.validate(), Ok(()));
    Calendar::new(&policy).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond().try_into().unwrap())
}

fn shown(calendar: &Calendar, now: &str) -> String {
    let moment = |until: Option<Timestamp>| {
        until.map_or_else(
            || "never".to_owned(),
            |at| jiff::Timestamp::from_millisecond(at.0.try_into().unwrap()).unwrap().to_string(),
        )
    };
    match calendar.state(at(now)) {
        WindowNow::Open { until } => format!("open until {}", moment(until)),
        WindowNow::Closed { until } => format!("closed until {}", moment(until)),
    }
}

#[track_caller]
fn check(calendar: &Calendar, cases: &[(&str, &str)]) {
    for (now, expected) in cases {
        assert_eq!(shown(calendar, now), *expected, "at {now}");
    }
}

#[test]
fn a_policy_without_windows_is_always_open() {
    check(&calendar(&[]), &[("2026-03-29T00:00:00Z", "open until never")]);
}

#[test]
fn a_weekly_window_opens_and_closes_on_its_own_wall_clock() {
    let nights = calendar(&[window(&[Day::Sat], "22:00", "04:00", "Europe/Vienna")]);
    check(
        &nights,
        &[
            // 2026-01-17 is a Saturday; Vienna is one hour ahead of UTC.
            ("2026-01-17T20:59:59Z", "closed until 2026-01-17T21:00:00Z"),
            ("2026-01-17T21:00:00Z", "open until 2026-01-18T03:00:00Z"),
            ("2026-01-18T02:59:59Z", "open until 2026-01-18T03:00:00Z"),
            ("2026-01-18T03:00:00Z", "closed until 2026-01-24T21:00:00Z"),
        ],
    );
}

#[test]
fn windows_that_overlap_or_adjoin_are_one() {
    let zone = "UTC";
    let union = calendar(&[
        window(&[Day::Mon], "01:00", "03:00", zone),
        window(&[Day::Mon], "02:00", "04:00", zone),
        window(&[Day::Mon], "04:00", "24:00", zone),
        window(&[Day::Tue], "00:00", "01:00", zone),
        window(&[Day::Tue], "02:00", "02:30", zone),
    ]);
    check(
        &union,
        &[
            // 2026-06-01 is a Monday.
            ("2026-06-01T00:59:59.999Z", "closed until 2026-06-01T01:00:00Z"),
            ("2026-06-01T01:00:00Z", "open until 2026-06-02T01:00:00Z"),
            ("2026-06-01T23:59:59Z", "open until 2026-06-02T01:00:00Z"),
            ("2026-06-02T01:00:00Z", "closed until 2026-06-02T02:00:00Z"),
            ("2026-06-02T02:30:00Z", "closed until 2026-06-08T01:00:00Z"),
        ],
    );
}

#[test]
fn windows_that_never_leave_a_gap_do_not_close() {
    for zone in ["UTC", "Europe/Vienna", "Australia/Lord_Howe"] {
        let always = calendar(&[window(&[], "00:00", "24:00", zone)]);
        check(
            &always,
            &[("2026-03-29T00:30:00Z", "open until never"), ("2026-10-25T01:30:00Z", "open until never")],
        );
        let halves = calendar(&[window(&[], "08:00", "20:00", zone), window(&[], "20:00", "08:00", zone)]);
        check(&halves, &[("2026-03-29T00:30:00Z", "open until never")]);
    }
}

#[test]
fn a_window_is_an_hour_shorter_in_the_night_that_skips_one() {
    // Vienna, 2026-03-29: at 02:00 (01:00 UTC) the clock jumps to 03:00.
    let night = calendar(&[window(&[], "01:30", "03:30", "Europe/Vienna")]);
    check(
        &night,
        &[
            ("2026-03-28T00:30:00Z", "open until 2026-03-28T02:30:00Z"),
            ("2026-03-28T02:30:00Z", "closed until 2026-03-29T00:30:00Z"),
            ("2026-03-29T00:30:00Z", "open until 2026-03-29T01:30:00Z"),
            ("2026-03-29T01:30:00Z", "closed until 2026-03-29T23:30:00Z"),
        ],
    );
}

#[test]
fn a_time_that_the_clock_skips_is_the_moment_of_the_skip() {
    let opens = calendar(&[window(&[Day::Sun], "02:30", "05:00", "Europe/Vienna")]);
    check(
        &opens,
        &[
            ("2026-03-29T00:59:59Z", "closed until 2026-03-29T01:00:00Z"),
            ("2026-03-29T01:00:00Z", "open until 2026-03-29T03:00:00Z"),
        ],
    );
    let closes = calendar(&[window(&[Day::Sun], "01:00", "02:30", "Europe/Vienna")]);
    check(&closes, &[("2026-03-29T00:59:59Z", "open until 2026-03-29T01:00:00Z")]);
    // Both are skipped: the window does not open in that night, but a week later.
    let skipped = calendar(&[window(&[Day::Sun], "02:10", "02:50", "Europe/Vienna")]);
    check(&skipped, &[("2026-03-28T12:00:00Z", "closed until 2026-04-05T00:10:00Z")]);
}

#[test]
fn a_window_is_an_hour_longer_in_the_night_that_has_one_twice() {
    // Vienna, 2026-10-25: at 03:00 (01:00 UTC) the clock is set back to 02:00.
    let night = calendar(&[window(&[], "01:30", "03:30", "Europe/Vienna")]);
    check(
        &night,
        &[
            ("2026-10-24T23:30:00Z", "open until 2026-10-25T02:30:00Z"),
            ("2026-10-25T02:30:00Z", "closed until 2026-10-26T00:30:00Z"),
        ],
    );
    // A time that comes twice is its first one: this window has its usual length, and opens once.
    let twice = calendar(&[window(&[], "02:15", "02:45", "Europe/Vienna")]);
    check(
        &twice,
        &[
            ("2026-10-25T00:15:00Z", "open until 2026-10-25T00:45:00Z"),
            ("2026-10-25T00:45:00Z", "closed until 2026-10-26T01:15:00Z"),
        ],
    );
}

#[test]
fn a_zone_that_changes_by_half_an_hour_is_right_too() {
    // Lord Howe, 2026-04-05: at 02:00 (+11:00) the clock is set back to 01:30 (+10:30).
    // 2026-10-04: at 02:00 (+10:30) it jumps to 02:30 (+11:00).
    let night = calendar(&[window(&[Day::Sun], "01:45", "02:45", "Australia/Lord_Howe")]);
    check(
        &night,
        &[
            ("2026-04-04T14:44:59Z", "closed until 2026-04-04T14:45:00Z"),
            ("2026-04-04T14:45:00Z", "open until 2026-04-04T16:15:00Z"),
            ("2026-10-03T15:15:00Z", "open until 2026-10-03T15:45:00Z"),
        ],
    );
}

#[test]
fn new_york_changes_on_other_days_than_vienna() {
    // 2026-03-08: 02:00 EST becomes 03:00 EDT. 2026-11-01: 02:00 EDT becomes 01:00 EST.
    let night = calendar(&[window(&[Day::Sat], "23:00", "04:00", "America/New_York")]);
    check(
        &night,
        &[
            ("2026-03-08T04:00:00Z", "open until 2026-03-08T08:00:00Z"),
            ("2026-11-01T03:00:00Z", "open until 2026-11-01T09:00:00Z"),
            ("2026-07-05T03:00:00Z", "open until 2026-07-05T08:00:00Z"),
        ],
    );
}

#[test]
fn every_minute_of_two_changes_agrees_with_the_wall_clock() {
    // Outside of the hour that comes twice, a window is open exactly when its clock shows a time in it.
    for (zone, from) in
        [("Europe/Vienna", "2026-03-28T00:00:00Z"), ("America/New_York", "2026-03-07T00:00:00Z")]
    {
        let night = calendar(&[window(&[], "22:10", "05:20", zone)]);
        let tz = TimeZone::get(zone).unwrap();
        let start = at(from).0;
        for minute in 0..3 * 24 * 60 {
            let now = Timestamp(start + minute * 60_000);
            let wall =
                jiff::Timestamp::from_millisecond(now.0.try_into().unwrap()).unwrap().to_zoned(tz.clone());
            let wall = i32::from(wall.hour()) * 60 + i32::from(wall.minute());
            let open = matches!(night.state(now), WindowNow::Open { .. });
            assert_eq!(open, !(5 * 60 + 20..22 * 60 + 10).contains(&wall), "{zone} {now:?}");
            let until = night.state(now).until().unwrap();
            let before = Timestamp(until.0 - 1);
            let state = |at| matches!(night.state(at), WindowNow::Open { .. });
            assert!(state(until) != open && state(before) == open, "{zone} {now:?} {until:?}");
        }
    }
}

#[test]
fn a_zone_that_does_not_exist_is_refused_with_its_place() {
    let windows = vec![window(&[], "01:00", "02:00", "UTC"), window(&[], "01:00", "02:00", "Europe/Wien")];
    let error = Calendar::new(&Policy { windows, ..Policy::default() }).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("windows.1.zone") && text.contains("Europe/Wien"), "{text}");
    let windows = vec![window(&[], "1:00", "02:00", "UTC")];
    let Err(CalendarError::Time { key, .. }) = Calendar::new(&Policy { windows, ..Policy::default() }) else {
        panic!("a time without a meaning was taken");
    };
    assert_eq!(key, "windows.0.from");
}
