//! The board as text.

use lifeboat_model::{Millis, Phase};

use super::{Board, HostLine};
use crate::output::{Cell, Paint, Table};

/// The newest warnings are shown, so many.
const WARNINGS: usize = 3;
/// Steps of the way after "pending".
const STEPS: u8 = 9;

/// Text of a board. `rows` is the most lines it may have; hosts that wait or are done are left out first.
pub(crate) fn render(board: &Board, width: Option<usize>, rows: Option<usize>, colour: bool) -> String {
    let paint = |text: &str, paint: Paint| if colour { paint.wrap(text) } else { text.to_owned() };
    let gone = board.now.since(board.started);
    let head =
        format!("{}  pool {} to {}  {}  since {gone}", board.roll, board.pool, board.target, board.state);
    let mut text = if width.is_some_and(|width| head.chars().count() > width) {
        wrap(&head, width).join("\n") + "\n"
    } else {
        let name = paint(&board.roll, Paint::Strong);
        let state = paint(&board.state, state_paint(&board.state));
        format!("{name}  pool {} to {}  {state}  since {gone}\n", board.pool, board.target)
    };
    let left = match board.left {
        Some(left) => format!("ETA {left}"),
        None if board.ended() => format!("took {gone}"),
        None => "ETA after the first host".to_owned(),
    };
    let total = board.hosts.len();
    let sums = format!(
        "{} {}/{total} hosts  {} in flight  {}/{} moves of guests  {left}",
        bar(board.committed, total),
        board.committed,
        board.in_flight(),
        board.moved,
        board.moves,
    );
    if width.is_some_and(|width| sums.chars().count() > width) {
        text.push_str(&(wrap(&sums, width).join("\n") + "\n"));
    } else {
        text.push_str(&(sums + "\n"));
    }
    for line in &board.suspended {
        let since = board.now.since(line.since);
        let banner = format!("{}, for {since}", line.tell());
        for line in wrap(&banner, width) {
            text.push_str(&format!("{}\n", paint(&line, Paint::Warn)));
        }
    }
    if !board.stopped.is_empty() {
        let names: Vec<String> =
            board.stopped.iter().map(|line| format!("{} on {}", line.guest, line.host)).collect();
        let banner = format!("SHUT DOWN for the upgrade: {}", crate::state::shorten(&names));
        for line in wrap(&banner, width) {
            text.push_str(&format!("{}\n", paint(&line, Paint::Warn)));
        }
    }
    for warning in board.warnings.iter().rev().take(WARNINGS) {
        for line in wrap(&format!("warning: {warning}"), width) {
            text.push_str(&format!("{}\n", paint(&line, Paint::Warn)));
        }
    }
    if board.warnings.len() > WARNINGS {
        text.push_str(&format!(
            "and {} warnings before; all: lifeboat roll log\n",
            board.warnings.len() - WARNINGS
        ));
    }
    for line in board.reason.iter().flat_map(|reason| wrap(reason, width)) {
        text.push_str(&format!("{}\n", paint(&line, Paint::Bad)));
    }
    // What is told as the reason is not told twice.
    let told = |waits: &&String| board.reason.as_ref().is_some_and(|reason| waits.contains(reason.as_str()));
    for line in board
        .waiting_on
        .iter()
        .filter(|waits| !told(waits))
        .flat_map(|waits| wrap(&format!("waiting: {waits}"), width))
    {
        text.push_str(&format!("{line}\n"));
    }
    text.push('\n');
    let head = text.lines().count();
    let room = rows.map_or(usize::MAX, |rows| rows.saturating_sub(head + 4).max(4));
    let (shown, hidden) = choose(&board.hosts, room);
    // Without room the ladder goes first: the phase says the same in a word.
    let ladders = width.is_none_or(|width| width >= 88);
    let mut table = Table::new().column("HOST").column("PHASE");
    if ladders {
        table = table.column("STEP");
    }
    let mut table =
        table.number("SINCE").column("BANK").column("VERSION").number("GUESTS").flexible("WAITING ON");
    for host in shown {
        table.row(cells(host, board.now.since(host.since), ladders));
    }
    text.push_str(&table.render(width, colour));
    if board.hosts.iter().any(|host| host.coordinator) {
        text.push_str("* coordinator\n");
    }
    if hidden > 0 {
        text.push_str(&format!(
            "… and {hidden} more hosts; all: lifeboat roll status {} -o json\n",
            board.roll
        ));
    }
    text
}

/// Lines of at most `width` columns, broken between words: a line that the terminal breaks itself would be left
/// behind when the board is drawn anew.
fn wrap(text: &str, width: Option<usize>) -> Vec<String> {
    let Some(width) = width else { return vec![text.to_owned()] };
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        // A word that is longer than a line is cut; the whole text is in `roll status -o json`.
        let word: String = word.chars().take(width).collect();
        let used = lines.last().map_or(0, |line| line.chars().count());
        match lines.last_mut() {
            Some(line) if used == 0 => line.push_str(&word),
            Some(line) if used + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            Some(_) | None => lines.push(word),
        }
    }
    lines
}

fn cells(host: &HostLine, since: Millis, ladders: bool) -> Vec<Cell> {
    let name = if host.coordinator { format!("{}*", host.host) } else { host.host.to_string() };
    let mut waits = host.waiting_on.join("; ");
    if let Some(progress) = host.progress.filter(|progress| progress.total > 0) {
        waits = format!("{} % of {waits}", progress.done.saturating_mul(100) / progress.total);
    }
    if let Some(reason) = host.phase.reason() {
        reason.clone_into(&mut waits);
    }
    let mut cells = vec![Cell::from(name), Cell::painted(host.phase.word(), phase_paint(&host.phase))];
    if ladders {
        cells.push(Cell::from(ladder(&host.phase)));
    }
    cells.extend([
        Cell::from(since.to_string()),
        Cell::from(host.bank.clone()),
        Cell::from(host.version.clone()),
        Cell::from(if host.maintenance {
            format!("{} (maint.)", host.guests)
        } else {
            host.guests.to_string()
        }),
        Cell::from(waits),
    ]);
    cells
}

/// The way of a host: done steps filled.
fn ladder(phase: &Phase) -> String {
    match phase.step() {
        Some(step) => (1..=STEPS).map(|at| if at <= step { '■' } else { '·' }).collect(),
        None => "—".to_owned(),
    }
}

fn bar(done: usize, total: usize) -> String {
    const WIDTH: usize = 24;
    let filled = (done * WIDTH).checked_div(total).unwrap_or(WIDTH);
    format!("[{}{}]", "#".repeat(filled), ".".repeat(WIDTH - filled.min(WIDTH)))
}

/// Hosts in flight and hosts that need a person first; then the rest, in order, as far as there is room.
fn choose(hosts: &[HostLine], room: usize) -> (Vec<&HostLine>, usize) {
    if hosts.len() <= room {
        return (hosts.iter().collect(), 0);
    }
    let urgent = |host: &&HostLine| host.phase.in_flight() || host.phase.is_failure();
    let mut shown: Vec<&HostLine> = hosts.iter().filter(urgent).take(room).collect();
    let rest = hosts.iter().filter(|host| !urgent(host));
    shown.extend(rest.take(room - shown.len()));
    let hidden = hosts.len() - shown.len();
    (shown, hidden)
}

fn state_paint(state: &str) -> Paint {
    match state {
        "completed" => Paint::Good,
        "stopped" | "stopping" => Paint::Bad,
        "pausing" | "paused" | "aborting" | "aborted" | "completed with exceptions" => Paint::Warn,
        _ => Paint::Busy,
    }
}

fn phase_paint(phase: &Phase) -> Paint {
    match phase {
        Phase::Pending => Paint::Dim,
        Phase::Committed => Paint::Good,
        Phase::RolledBack { .. } | Phase::Skipped { .. } | Phase::Leaving { .. } => Paint::Warn,
        Phase::Failed { .. } | Phase::NeedsYou { .. } => Paint::Bad,
        Phase::Admitted
        | Phase::Checked
        | Phase::StateSaved
        | Phase::Drained
        | Phase::Staged
        | Phase::Installed
        | Phase::Rebooted
        | Phase::Verified => Paint::Busy,
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_model::Timestamp;

    use super::*;

    fn board() -> Board {
        let host = |name: &str, phase: Phase| HostLine {
            host: lifeboat_model::HostId::new(name).unwrap_or_else(|_| unreachable!()),
            coordinator: name == "h1",
            phase,
            since: Timestamp(61_000),
            bank: "A".to_owned(),
            version: "1".to_owned(),
            guests: 3,
            maintenance: false,
            progress: None,
            waiting_on: vec!["guest g4 to reach h2, for 3.0s".to_owned()],
        };
        Board {
            roll: "roll-1".to_owned(),
            pool: "play".to_owned(),
            target: "host 2".to_owned(),
            state: "running".to_owned(),
            reason: None,
            now: Timestamp(121_000),
            started: Timestamp(1_000),
            committed: 1,
            moved: 4,
            moves: 20,
            left: Some(Millis(90_000)),
            waiting_on: Vec::new(),
            suspended: Vec::new(),
            stopped: Vec::new(),
            warnings: Vec::new(),
            to_approve: None,
            hosts: vec![
                host("h1", Phase::Committed),
                host("h2", Phase::StateSaved),
                host("h3", Phase::Pending),
                host(
                    "h4",
                    Phase::RolledBack { reason: "bank B was tried and left: kernel panic".to_owned() },
                ),
            ],
            controller: None,
        }
    }

    #[test]
    fn a_board_says_for_every_host_where_it_stands_and_what_it_waits_for() {
        let text = render(&board(), None, None, false);
        let expected = "\
roll-1  pool play to host 2  running  since 2m00s
[######..................] 1/4 hosts  1 in flight  4/20 moves of guests  ETA 1m30s

HOST  PHASE        STEP       SINCE  BANK  VERSION  GUESTS  WAITING ON
h1*   committed    ■■■■■■■■■  1m00s  A     1             3  guest g4 to reach h2, for 3.0s
h2    state saved  ■■■······  1m00s  A     1             3  guest g4 to reach h2, for 3.0s
h3    pending      ·········  1m00s  A     1             3  guest g4 to reach h2, for 3.0s
h4    rolled back  —          1m00s  A     1             3  bank B was tried and left: kernel panic
* coordinator
";
        assert_eq!(text, expected);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let mut wide = board();
        wide.reason =
            Some("h03 rolled back: bank A was tried and left: it did not come up again; ".repeat(4));
        wide.waiting_on = vec!["coordinator h01 does not answer; nothing is begun without it".to_owned()];
        for width in [64, 80, 120] {
            let text = render(&wide, Some(width), None, false);
            for line in text.lines() {
                assert!(line.chars().count() <= width, "{width}: {line:?}");
            }
            assert!(text.contains("nothing is"), "{text}");
        }
    }

    #[test]
    fn without_room_the_hosts_that_matter_stay() {
        let text = render(&board(), None, Some(3), false);
        assert!(text.contains("h2") && text.contains("h4"), "{text}");
        let mut many = board();
        let first = many.hosts[0].clone();
        many.hosts.extend(std::iter::repeat_n(first, 20));
        let text = render(&many, None, Some(12), false);
        assert!(
            text.contains("rolled back") && text.contains("state saved") && text.contains("more hosts"),
            "{text}"
        );
        assert!(text.lines().count() <= 12, "{text}");
    }
}
