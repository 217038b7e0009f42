//! Whether the clocks agree.

use lifeboat_model::{Fix, Millis, Severity};

use super::catalogue::Page;
use super::found::Found;
use super::pool::{Host, Pool};
use super::run::Check;

pub(super) const CHECK: Check =
    Check { name: "clock", title: "the clocks agree", pages: &[SKEW, DRIFT, OWN], run };

/// From here on a clock is worth a warning, in milliseconds.
const WARN: u64 = 5_000;
/// From here on certificates, expiry dates and leases are not judged alike on both sides, in milliseconds.
const BLOCK: u64 = 60_000;

const SKEW: Page = Page {
    code: "clock-skew",
    title: "a host's clock is wrong by a minute or more",
    severity: Severity::Blocker,
    looks_at: "the clock of every host that answers, against that of this controller",
    means: "Releases and certificates look expired, or valid when they are not; logs cannot be put side by side; a \
            cluster file system may cast the host out.",
    remedy: "Set the clock. *A program can do it*: `lifeboat check run POOL --fix`. Then look why it went wrong: the \
             time service of the host does not run, or its server is not reached.",
    undo: "",
    incidents: &[],
};

const DRIFT: Page = Page {
    code: "clock-drift",
    title: "a host's clock is wrong by some seconds",
    severity: Severity::Warning,
    looks_at: "the clock of every host that answers, against that of this controller: 5 to 60 seconds",
    means: "Its time service does not work; the clock will be worse after the reboot.",
    remedy: "Set the clock. *A program can do it*: `lifeboat check run POOL --fix`. Then look at the host's time \
             service.",
    undo: "",
    incidents: &[],
};

const OWN: Page = Page {
    code: "controller-clock-wrong",
    title: "most hosts disagree with this controller's clock",
    severity: Severity::Warning,
    looks_at: "the clocks of all hosts: whether most of three or more are ahead, or most are behind",
    means: "It is probably this controller's clock that is wrong, so no clock of a host is set by it.",
    remedy: "Set this controller's clock and look at its time service (`timedatectl`). Then run the check again.",
    undo: "",
    incidents: &[],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    let clocks = found.facts(pool, "the clock", |host| host.view.reachable, |facts| &facts.clock_offset_ms);
    let wrong = |sign: i64| {
        clocks.iter().filter(|(_, offset)| offset.unsigned_abs() >= WARN && offset.signum() == sign).count()
    };
    let (ahead, behind) = (wrong(1), wrong(-1));
    let own = clocks.len() >= 3 && ahead.max(behind) * 2 > clocks.len();
    if own {
        let (number, way) = if ahead > behind { (ahead, "ahead") } else { (behind, "behind") };
        found.add(
            &OWN,
            "this controller",
            format!("{number} of {} hosts are {way} of it by 5 s or more", clocks.len()),
            "set this controller's clock (timedatectl), then run the check again",
        );
    }
    for (host, &offset) in clocks {
        off(host, offset, own, found);
    }
}

fn off(host: &Host<'_>, offset: i64, own: bool, found: &mut Found) {
    let far = offset.unsigned_abs();
    let page = match far {
        BLOCK.. => &SKEW,
        WARN.. => &DRIFT,
        0.. => return,
    };
    let name = host.name();
    let way = if offset > 0 { "ahead of" } else { "behind" };
    let remedy = if own {
        "set this controller's clock first: most hosts disagree with it".to_owned()
    } else {
        format!(
            "set the clock of {name}: lifeboat check run POOL --fix does so; then look at its time service"
        )
    };
    let finding =
        found.add(page, name, format!("its clock is {} {way} this controller's", Millis(far)), remedy);
    if !own {
        finding.fix = Some(Fix::SetClock { host: host.view.id.clone(), offset_ms: offset });
    }
}
