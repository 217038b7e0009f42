//! Reports of pools of any size, and of hostile ones.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use lifeboat_model::{
    Event, EventKind, Figures, HostId, PLAN_SCHEMA, Phase, Plan, PlanStep, Policy, PoolName, ReleaseRef,
    ReleaseVersion, RollEnd, RollId, Sha256Hex, Timestamp,
};
use lifeboat_store::{Link, RollRow, RollState};

use super::{gather, html};

/// A roll of so many hosts; every 97th falls back, with this reason.
fn roll(hosts: usize, reason: &str) -> (RollRow, Vec<Link>) {
    let name = |at: usize| HostId::new(format!("host-{at:05}")).unwrap();
    let steps = (0..hosts).map(|at| PlanStep {
        host: name(at),
        wave: u32::try_from(at / 50 + 1).unwrap(),
        moves: Vec::new(),
        stops: Vec::new(),
    });
    let digest = Sha256Hex::of(b"2");
    let version = ReleaseVersion(format!("2.0 {reason}"));
    let target = ReleaseRef { name: format!("host {reason}"), version, serial: 2, digest };
    let plan = Plan {
        schema: PLAN_SCHEMA,
        pool: PoolName::new("p").unwrap(),
        target: target.clone(),
        policy: Policy::default(),
        coordinator: None,
        suspends: Vec::new(),
        steps: steps.collect(),
        unchanged: Vec::new(),
        blocked: Vec::new(),
        excluded: Vec::new(),
        placement: Vec::new(),
        figures: Figures::default(),
        notes: vec![reason.to_owned()],
    };
    let plan_hash = plan.hash().unwrap();
    let mut kinds = vec![
        (0, EventKind::RollStarted { pool: plan.pool.clone(), plan: plan_hash, target }),
        (0, EventKind::ControllerStarted { holder: reason.to_owned() }),
    ];
    let way = [
        Phase::Admitted,
        Phase::Checked,
        Phase::StateSaved,
        Phase::Drained,
        Phase::Staged,
        Phase::Installed,
        Phase::Rebooted,
        Phase::Verified,
        Phase::Committed,
    ];
    for at in 0..hosts {
        let begun = at as u64 / 50 * 400_000;
        for (step, phase) in (0_u64..).zip(&way) {
            let back = at % 97 == 5 && matches!(phase, Phase::Committed);
            let back = back.then(|| Phase::RolledBack { reason: reason.to_owned() });
            let phase = back.unwrap_or_else(|| phase.clone());
            kinds.push((
                begun + step * 40_000 + at as u64 % 50 * 300,
                EventKind::HostPhase { host: name(at), phase },
            ));
        }
    }
    kinds.push((hosts as u64 / 50 * 400_000 + 400_000, EventKind::RollEnded { end: RollEnd::Completed }));
    kinds.sort_by_key(|(at, _)| *at);
    let link = |(seq, (at, what)): (u64, (u64, EventKind))| Link {
        event: Event { schema: 1, seq, fence: 1, at: Timestamp(1_767_225_600_000 + at), what },
        prev: plan_hash,
        hash: Sha256Hex::of(&seq.to_le_bytes()),
    };
    let links = (1_u64..).zip(kinds).map(link).collect();
    let row = RollRow {
        id: RollId::new("r1").unwrap(),
        pool: plan.pool.clone(),
        plan_hash,
        plan: Arc::new(plan),
        context: "{}".to_owned(),
        state: RollState::Ended,
        created: Timestamp(1_767_225_600_000),
    };
    (row, links)
}

#[test]
fn a_report_of_ten_thousand_hosts_is_a_page_of_less_than_three_megabytes() {
    for (hosts, limit) in [(8, 60_000), (60, 160_000), (200, 250_000), (601, 400_000), (10_000, 3_000_000)] {
        let (row, links) = roll(hosts, "it did not come up");
        let report = gather(&row, &links, None);
        assert_eq!(report.hosts.len(), hosts);
        assert_eq!(report.compared.peak_real as usize, hosts.min(50));
        let page = html(&report);
        println!("{hosts} hosts: {} bytes", page.len());
        assert!(page.len() < limit, "{hosts} hosts: {} bytes", page.len());
        assert!(page.contains(&format!("host-{:05}", hosts - 1)));
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
        assert!(!page.contains("NaN") && !page.contains("inf\""));
    }
}

#[test]
fn texts_of_a_hostile_journal_stay_texts_wherever_they_are_shown() {
    let evil = "</title></style></svg><script>x</script>\" onload='x' \u{202e}\u{0}&#60;";
    let (row, links) = roll(120, evil);
    let page = html(&gather(&row, &links, Some(evil.to_owned())));
    let calm = html(&{
        let (row, links) = roll(120, "why");
        gather(&row, &links, Some("why".to_owned()))
    });
    for markup in
        ["<script", "</title>", "</style>", "</svg>", "<svg", "<tr>", "<g ", "onload='", "\u{202e}", "\u{0}"]
    {
        assert_eq!(page.matches(markup).count(), calm.matches(markup).count(), "{markup:?}");
    }
    assert!(
        page.contains("&lt;script&gt;x&lt;/script&gt;&quot; onload=&#39;x&#39; \u{fffd}\u{fffd}&amp;#60;")
    );
}

#[test]
fn a_roll_without_events_has_a_report() {
    let (row, _) = roll(3, "why");
    let page = html(&gather(&row, &[], None));
    assert!(page.contains("its turn did not come"));
}
