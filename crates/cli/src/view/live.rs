//! Drawing a roll while it runs.

use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lifeboat_executor::{Observer, Snapshot};
use lifeboat_model::Event;
use lifeboat_roll::to_approve;

use super::{Board, EventLine, Timeline, render, tell};
use crate::output::{Out, with_schema};

/// How a running roll is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// A board that is redrawn in place.
    Board,
    /// A line for every event that a person cares about.
    Lines,
    /// Every event as a JSON line.
    Jsonl,
}

impl Style {
    /// What fits the output that was asked for.
    pub(crate) fn fitting(out: &Out) -> Self {
        if out.format.is_json() {
            Self::Jsonl
        } else if Out::width().is_some() {
            Self::Board
        } else {
            Self::Lines
        }
    }
}

/// Draws a roll while it runs, and publishes its board for other processes.
pub(crate) struct LiveView {
    style: Style,
    colour: bool,
    verbose: bool,
    timeline: Timeline,
    publish: Option<PathBuf>,
    drawn: usize,
    last: Option<Instant>,
    started: Option<lifeboat_model::Timestamp>,
    /// What the roll as a whole was last said to wait for.
    waited: Option<String>,
}

/// Shortest time between two drawings.
const PACE: Duration = Duration::from_millis(120);

impl LiveView {
    pub(crate) fn new(style: Style, out: &Out, verbose: u8, publish: Option<PathBuf>) -> Self {
        Self {
            style,
            colour: out.colour,
            verbose: verbose > 0,
            timeline: Timeline::default(),
            publish,
            drawn: 0,
            last: None,
            started: None,
            waited: None,
        }
    }

    /// Takes over the events of before, so that times are right after a resume.
    pub(crate) fn replay<'e>(&mut self, events: impl Iterator<Item = &'e Event>) {
        for event in events {
            self.started.get_or_insert(event.at);
            self.timeline.note(event);
        }
    }

    /// Shows and publishes a moment. `last` says that nothing comes after it.
    pub(crate) fn draw(&mut self, snapshot: Snapshot<'_>, last: bool) {
        if !last && self.last.is_some_and(|last| last.elapsed() < PACE) {
            return;
        }
        self.last = Some(Instant::now());
        let board = Board::of(snapshot, &self.timeline);
        self.put(&board);
        if let Some(path) = &self.publish {
            // Others look at it; the journal is what counts. A board that cannot be written is old, not wrong.
            if let Ok(text) = serde_json::to_vec(&board) {
                let temporary = path.with_extension("tmp");
                drop(std::fs::write(&temporary, text).and_then(|()| std::fs::rename(&temporary, path)));
            }
        }
    }

    /// Draws a board in place of the one before.
    pub(crate) fn put(&mut self, board: &Board) {
        if self.style != Style::Board {
            return;
        }
        let text = render(board, Out::width(), Out::height(), self.colour);
        let mut screen = String::new();
        if self.drawn > 0 {
            screen.push_str(&format!("\x1b[{}A\r\x1b[J", self.drawn));
        }
        screen.push_str(&text);
        self.drawn = text.lines().count();
        let mut stdout = std::io::stdout().lock();
        // A terminal that is gone ends nothing: the roll goes on.
        drop(stdout.write_all(screen.as_bytes()).and_then(|()| stdout.flush()));
    }

    /// Says once what the roll as a whole waits for, where no board shows it.
    fn wait(&mut self, snapshot: Snapshot<'_>) {
        if self.style != Style::Lines || snapshot.journal.in_flight().next().is_some() {
            return;
        }
        // Only what a person can do something about, or what takes hours.
        let barrier = to_approve(snapshot.world, snapshot.journal, snapshot.now)
            .map(|wave| format!("waits for a person to approve wave {wave}: lifeboat roll approve"));
        let held = snapshot.journal.held().map(|reason| format!("waits for a person: {reason}"));
        let waits = held.or(barrier);
        if waits.is_some() && waits != self.waited {
            let gone = snapshot.now.since(self.started.unwrap_or(snapshot.now));
            let text = format!("{gone:>7}  {}\n", waits.as_deref().unwrap_or_default());
            drop(std::io::stdout().lock().write_all(text.as_bytes()));
        }
        self.waited = waits;
    }

    fn line(&self, event: &Event) {
        let text = match self.style {
            Style::Board => return,
            Style::Lines => {
                let Some(line) = tell(event, self.verbose) else { return };
                let gone = event.at.since(self.started.unwrap_or(event.at));
                format!("{gone:>7}  {line}\n")
            }
            Style::Jsonl => match with_schema("event", &EventLine::of(event), false) {
                Ok(text) => text,
                Err(_) => return,
            },
        };
        // A reader that closed the pipe has seen enough; the roll goes on.
        drop(std::io::stdout().lock().write_all(text.as_bytes()));
    }
}

impl Observer for LiveView {
    fn appended(&mut self, events: &[Event], snapshot: Snapshot<'_>) {
        for event in events {
            self.started.get_or_insert(event.at);
            self.timeline.note(event);
            self.line(event);
        }
        self.draw(snapshot, false);
    }

    fn waiting(&mut self, snapshot: Snapshot<'_>) -> ControlFlow<()> {
        self.wait(snapshot);
        self.draw(snapshot, false);
        ControlFlow::Continue(())
    }
}
