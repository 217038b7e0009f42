//! Carrying out remedies and taking them back.
//!
//! Promises: the intent is durable before the effect is ordered, the outcome after; one process at a time, and none
//! while a roll goes on. Does not: choose what is done.

use std::time::{Duration, Instant};

use lifeboat_hypervisor::{DriverEvent, Hypervisor};
use lifeboat_model::{Effect, Finding, Fix, Millis, Outcome, Timestamp};
use lifeboat_store::{Lease, NewRemedy, Remedy, RemedyState, RollState, Store};
use serde::Serialize;

use crate::commands::roll::{open_store, options, store_error, who};
use crate::drivers;
use crate::error::{CliError, Kind};
use crate::run::Ctx;
use crate::state::PoolFile;

/// The longest that one remedy may take, by the pool's clock and by ours: a bank is written and verified in it.
const LIMIT: Millis = Millis::from_secs(2 * 3600);

/// Waiting for the driver.
const WAIT: Duration = Duration::from_millis(100);

/// What became of a remedy.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Mended {
    /// Its number in the journal; none if it was only planned.
    pub(super) id: Option<u64>,
    /// Code of the finding.
    pub(super) code: String,
    /// Subject of the finding.
    pub(super) subject: String,
    /// What is done, in words.
    pub(super) what: String,
    /// How far it came.
    pub(super) state: &'static str,
    /// What was told by the pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<String>,
}

impl Mended {
    /// A remedy that `--dry-run` only names.
    pub(super) fn planned(finding: &Finding) -> Option<Self> {
        let (code, subject) = (finding.code.clone(), finding.subject.clone());
        let what = finding.fix.as_ref()?.to_string();
        Some(Self { id: None, code, subject, what, state: "planned", detail: None })
    }

    pub(super) fn failed(&self) -> bool {
        self.state == RemedyState::Failed.word() || self.state == RemedyState::UndoFailed.word()
    }

    /// One line for people.
    pub(super) fn line(&self) -> String {
        let id = self.id.map_or_else(String::new, |id| format!("remedy {id}: "));
        let detail = self.detail.as_ref().map_or_else(String::new, |detail| format!(": {detail}"));
        format!("{id}{} — {}{detail}", self.what, self.state)
    }
}

/// The right to mend a pool, and what is needed for it.
pub(super) struct Mender<'d> {
    store: Store,
    driver: &'d mut dyn Hypervisor,
    pool: &'d PoolFile,
    _lease: Lease,
}

impl<'d> Mender<'d> {
    /// Takes the pool's lease. Refused while a roll goes on: it would find another pool than it planned for.
    pub(super) fn take(
        ctx: &Ctx,
        driver: &'d mut dyn Hypervisor,
        pool: &'d PoolFile,
    ) -> Result<Self, CliError> {
        let store = open_store(ctx)?;
        let lease = store.lease(&pool.name, options(0).holder).map_err(store_error)?;
        let heads = store.heads().map_err(store_error)?;
        if let Some(head) =
            heads.iter().find(|head| head.pool == pool.name && head.state == RollState::Active)
        {
            let (roll, pool) = (&head.id, &head.pool);
            let what = format!("roll {roll} of pool {pool} has not ended: nothing is mended meanwhile");
            return Err(CliError::new(Kind::Conflict, what).remedy(format!(
                "bring it to its end: lifeboat roll resume {roll}, or lifeboat roll abort {roll}"
            )));
        }
        Ok(Self { store, driver, pool, _lease: lease })
    }

    /// Brings every remedy to its end whose controller died: carried out again, or taken back again.
    pub(super) fn take_up(&mut self) -> Result<Vec<Mended>, CliError> {
        let open: Vec<Remedy> =
            self.remedies()?.into_iter().filter(|remedy| remedy.state.is_open()).collect();
        open.iter()
            .map(|remedy| match remedy.state {
                RemedyState::UndoIntent => self.unmend(remedy),
                RemedyState::Intent
                | RemedyState::Done
                | RemedyState::Failed
                | RemedyState::Undone
                | RemedyState::UndoFailed
                | RemedyState::Replaced => {
                    self.carry_out(remedy.id, &remedy.code, &remedy.subject, &remedy.fix)
                }
            })
            .collect()
    }

    /// The pool's remedies, oldest first.
    pub(super) fn remedies(&self) -> Result<Vec<Remedy>, CliError> {
        self.store.remedies(&self.pool.name).map_err(store_error)
    }

    /// Carries a remedy out.
    pub(super) fn mend(&mut self, code: &str, subject: &str, fix: &Fix) -> Result<Mended, CliError> {
        let (pool, who) = (&self.pool.name, who());
        let new = NewRemedy { pool, code, subject, fix, who: &who, at: self.driver.now() };
        let id = self.store.intend_fix(&new).map_err(store_error)?;
        self.carry_out(id, code, subject, fix)
    }

    fn carry_out(&mut self, id: u64, code: &str, subject: &str, fix: &Fix) -> Result<Mended, CliError> {
        let outcome = order(self.driver, self.pool, &Effect::Mend { fix: fix.clone() })?;
        let (state, detail) = match outcome {
            Outcome::Done { detail } | Outcome::NothingToDo { detail } => (RemedyState::Done, detail),
            Outcome::Failed { reason, retriable: _ } => (RemedyState::Failed, Some(reason)),
        };
        self.end(id, state, detail, code, subject, fix)
    }

    /// Takes a remedy back.
    pub(super) fn unmend(&mut self, remedy: &Remedy) -> Result<Mended, CliError> {
        let at = self.driver.now();
        self.store.set_fix(remedy.id, RemedyState::UndoIntent, None, at).map_err(store_error)?;
        let outcome = order(self.driver, self.pool, &Effect::Unmend { fix: remedy.fix.clone() })?;
        let (state, detail) = match outcome {
            Outcome::Done { detail } | Outcome::NothingToDo { detail } => (RemedyState::Undone, detail),
            Outcome::Failed { reason, retriable: _ } => (RemedyState::UndoFailed, Some(reason)),
        };
        self.end(remedy.id, state, detail, &remedy.code, &remedy.subject, &remedy.fix)
    }

    fn end(
        &mut self,
        id: u64,
        state: RemedyState,
        detail: Option<String>,
        code: &str,
        subject: &str,
        fix: &Fix,
    ) -> Result<Mended, CliError> {
        let failed = matches!(state, RemedyState::Failed | RemedyState::UndoFailed);
        let reason = detail.as_deref().filter(|_| failed);
        self.store.set_fix(id, state, reason, self.driver.now()).map_err(store_error)?;
        Ok(Mended {
            id: Some(id),
            code: code.to_owned(),
            subject: subject.to_owned(),
            what: fix.to_string(),
            state: state.word(),
            detail,
        })
    }
}

/// Orders one effect and waits for its end.
fn order(driver: &mut dyn Hypervisor, pool: &PoolFile, effect: &Effect) -> Result<Outcome, CliError> {
    let key = effect.key();
    let fail = |cause| drivers::driver_error(pool, cause);
    let (since, began): (Timestamp, Instant) = (driver.now(), Instant::now());
    driver.start(&key, effect).map_err(fail)?;
    loop {
        for event in driver.poll(WAIT).map_err(fail)? {
            match event {
                DriverEvent::Outcome { key: ended, outcome } if ended == key => return Ok(outcome),
                DriverEvent::Outcome { .. }
                | DriverEvent::Host(_)
                | DriverEvent::Guest(_)
                | DriverEvent::GuestGone(_)
                | DriverEvent::Feature(_)
                | DriverEvent::Progress { .. } => {}
            }
        }
        if driver.now().since(since) > LIMIT || began.elapsed() > LIMIT.duration() {
            let reason = format!("no answer within {LIMIT}");
            return Ok(Outcome::Failed { reason, retriable: true });
        }
    }
}

/// Takes back what lasts only as long as a roll, once the pool has no roll that has not ended. Nothing is done while it
/// has one, and nothing if nothing stands. The caller holds no lease of the pool.
///
/// # Errors
/// Kind needs-person if something could not be taken back: it stays in the journal and in `lifeboat status`.
pub(crate) fn take_back(
    ctx: &Ctx,
    store: &Store,
    driver: &mut dyn Hypervisor,
    pool: &PoolFile,
) -> Result<(), CliError> {
    let heads = store.heads().map_err(store_error)?;
    // The newest first.
    let mut heads = heads.iter().filter(|head| head.pool == pool.name);
    if heads.clone().any(|head| head.state != RollState::Ended) {
        return Ok(());
    }
    if let Some(last) = heads.next() {
        store.bind_fixes(&pool.name, &last.id).map_err(store_error)?;
    }
    let waits = |remedy: &Remedy| remedy.fix.ends_with_roll() && remedy.state.may_stand();
    if !store.remedies(&pool.name).map_err(store_error)?.iter().any(waits) {
        return Ok(());
    }
    let mut mender = Mender::take(ctx, driver, pool)?;
    let mut failed = Vec::new();
    for remedy in mender.remedies()?.iter().rev().filter(|remedy| waits(remedy)) {
        let mended = mender.unmend(remedy)?;
        ctx.out.say(&format!("taken back: {}", mended.line()));
        if mended.failed() {
            failed.push(mended.line());
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(CliError::new(
        Kind::NeedsPerson,
        format!("not everything could be taken back: {}", failed.join("; ")),
    )
    .remedy(format!("mend it, then: lifeboat check undo {} --all", pool.name)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::VecDeque;

    use lifeboat_hypervisor::DriverError;
    use lifeboat_model::{EffectKey, GuestId, PoolName, World};

    use super::super::remedies::standing;
    use super::*;
    use crate::output::{ColourChoice, Format, Out};
    use crate::state::{DriverKind, StateDir};

    /// Answers every order, and remembers it.
    struct Obedient {
        fails: bool,
        ordered: Vec<Effect>,
        news: VecDeque<DriverEvent>,
    }

    impl Obedient {
        fn new(fails: bool) -> Self {
            Self { fails, ordered: Vec::new(), news: VecDeque::new() }
        }
    }

    impl Hypervisor for Obedient {
        fn observe(&mut self) -> Result<World, DriverError> {
            let doing = "looking".to_owned();
            Err(DriverError::Unreachable {
                doing,
                reason: "not in this test".to_owned(),
                remedy: String::new(),
            })
        }

        fn start(&mut self, key: &EffectKey, effect: &Effect) -> Result<(), DriverError> {
            self.ordered.push(effect.clone());
            let outcome = if self.fails {
                Outcome::Failed { reason: "the image is gone".to_owned(), retriable: false }
            } else {
                Outcome::Done { detail: None }
            };
            self.news.push_back(DriverEvent::Outcome { key: key.clone(), outcome });
            Ok(())
        }

        fn poll(&mut self, _wait: Duration) -> Result<Vec<DriverEvent>, DriverError> {
            Ok(self.news.drain(..).collect())
        }

        fn now(&self) -> Timestamp {
            Timestamp(7)
        }
    }

    fn ground(dir: &std::path::Path) -> (Ctx, Store, PoolFile) {
        let state = StateDir::locate(Some(dir)).unwrap();
        let store = Store::open(&state.database()).unwrap();
        let out = Out::new(Format::Json, ColourChoice::Never);
        let name = PoolName::new("p").unwrap();
        state.add_pool(&name, DriverKind::Sim, std::path::Path::new("x"), 0).unwrap();
        let (pool, _) = state.pool("p").unwrap();
        (Ctx { out, state, yes: true, dry_run: false, verbose: 0 }, store, pool)
    }

    fn guest_media(guest: &str) -> Fix {
        Fix::EjectMedia { guest: GuestId::new(guest).unwrap(), image: "boot.iso".to_owned() }
    }

    fn add(store: &mut Store, fix: &Fix, state: RemedyState) {
        let pool = PoolName::new("p").unwrap();
        let new = NewRemedy { pool: &pool, code: "c", subject: "s", fix, who: "anna", at: Timestamp(1) };
        let id = store.intend_fix(&new).unwrap();
        store.set_fix(id, state, None, Timestamp(2)).unwrap();
    }

    fn states(store: &Store) -> Vec<RemedyState> {
        let all = store.remedies(&PoolName::new("p").unwrap()).unwrap();
        all.iter().map(|remedy| remedy.state).collect()
    }

    #[test]
    fn what_lasts_as_long_as_a_roll_is_taken_back_when_it_has_ended_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (ctx, mut store, pool) = ground(dir.path());
        add(&mut store, &guest_media("g1"), RemedyState::Done);
        // One whose controller died before its outcome was written, and one that died while taking it back.
        add(&mut store, &guest_media("g2"), RemedyState::Intent);
        add(&mut store, &guest_media("g3"), RemedyState::UndoIntent);
        let host = lifeboat_model::HostId::new("h1").unwrap();
        add(&mut store, &Fix::SetClock { host, offset_ms: 1 }, RemedyState::Done);
        let roll = |state: &str| {
            let db = rusqlite::Connection::open(store.path()).unwrap();
            db.execute("DELETE FROM roll", []).unwrap();
            let sql = "INSERT INTO roll (id, pool, plan_hash, plan, context, state, created)
                       VALUES ('r1', 'p', 'x', '{}', '{}', ?1, 1)";
            db.execute(sql, [state]).unwrap();
        };
        let mut driver = Obedient::new(false);
        for goes_on in ["active", "stopped"] {
            roll(goes_on);
            take_back(&ctx, &store, &mut driver, &pool).unwrap();
            assert!(driver.ordered.is_empty(), "{goes_on}");
        }
        roll("ended");
        take_back(&ctx, &store, &mut driver, &pool).unwrap();
        let undone: Vec<Effect> =
            ["g3", "g2", "g1"].map(|guest| Effect::Unmend { fix: guest_media(guest) }).to_vec();
        assert_eq!(driver.ordered, undone);
        let mut expected = vec![RemedyState::Undone; 3];
        expected.push(RemedyState::Done);
        assert_eq!(states(&store), expected);
        // Again there is nothing to do.
        take_back(&ctx, &store, &mut driver, &pool).unwrap();
        assert_eq!(driver.ordered.len(), 3);
        assert!(standing(&store, &pool.name).unwrap().is_empty());
    }

    #[test]
    fn what_cannot_be_taken_back_needs_a_person_and_stays_in_sight() {
        let dir = tempfile::tempdir().unwrap();
        let (ctx, mut store, pool) = ground(dir.path());
        add(&mut store, &guest_media("g1"), RemedyState::Done);
        let error = take_back(&ctx, &store, &mut Obedient::new(true), &pool).unwrap_err();
        assert_eq!(error.kind(), Kind::NeedsPerson);
        assert_eq!(states(&store), [RemedyState::UndoFailed]);
        let told = standing(&store, &pool.name).unwrap();
        assert!(told.len() == 1 && told[0].contains("the image is gone"), "{told:?}");
        take_back(&ctx, &store, &mut Obedient::new(false), &pool).unwrap();
        assert_eq!(states(&store), [RemedyState::Undone]);
    }
}
