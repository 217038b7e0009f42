//! The agents of the hosts, through the controller that they dial.
//!
//! Owns: orders to agents that have no outcome yet. Promises: an order is given once however often it is asked for; a
//! controller that was restarted is given the open orders again, under their old keys. Does not: know what orders mean
//! to a roll.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use lifeboat_model::agent::{AgentCommand, AgentOutcome, Fence};
use lifeboat_model::{Effect, EffectKey, HostId, PoolName, ReleaseRef, Timestamp, chain};
use lifeboat_wire::{Heard, HubClient, HubHost, Order, Ordered};

/// Longest wait for a controller that restarts.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the listener waits before it looks whether it is still wanted.
const LISTEN: Duration = Duration::from_millis(500);

/// An order without an outcome.
#[derive(Debug, Clone)]
struct Open {
    key: EffectKey,
    effect: Effect,
    order: Order,
}

/// Speaks to the controller of the agents.
#[derive(Debug)]
pub(super) struct Agents {
    socket: PathBuf,
    client: Option<HubClient>,
    pool: PoolName,
    fence: u64,
    open: BTreeMap<String, Open>,
    asked: u64,
    closing: Arc<AtomicBool>,
}

impl Agents {
    /// Connects when it is first needed; what is heard goes to `tell`.
    pub(super) fn open(socket: &Path, pool: PoolName, tell: impl Fn(Heard) -> bool + Send + 'static) -> Self {
        let closing = Arc::new(AtomicBool::new(false));
        let (path, ended) = (socket.to_owned(), Arc::clone(&closing));
        thread::spawn(move || listen(&path, &ended, &tell));
        Self {
            socket: socket.to_owned(),
            client: None,
            pool,
            fence: 0,
            open: BTreeMap::new(),
            asked: 0,
            closing,
        }
    }

    pub(super) fn set_fence(&mut self, fence: u64) {
        self.fence = fence;
    }

    fn client(&mut self) -> Result<&mut HubClient, String> {
        if self.client.is_none() {
            let client = HubClient::connect(&self.socket).map_err(|error| self.told(&chain(&error)))?;
            self.client = Some(client.with_patience(PATIENCE));
        }
        self.client.as_mut().ok_or_else(|| "there is no connection".to_owned())
    }

    fn told(&self, error: &str) -> String {
        format!(
            "the controller of the agents does not answer at {}: {error}; start it with: lifeboatd run",
            self.socket.display()
        )
    }

    /// Every host that the controller knows.
    pub(super) fn hosts(&mut self) -> Result<Vec<HubHost>, String> {
        let answer = self.client()?.hosts().map_err(|error| chain(&error));
        answer.map_err(|error| self.lost(&error))
    }

    /// Lets hosts download the bundle of a release.
    pub(super) fn offer(&mut self, release: &ReleaseRef, bundle: &Path) -> Result<(), String> {
        let answer = self.client()?.offer(release.digest, bundle).map_err(|error| chain(&error));
        answer.map(|_| ()).map_err(|error| self.lost(&error))
    }

    fn lost(&mut self, error: &str) -> String {
        self.client = None;
        self.told(error)
    }

    /// Gives an order, unless the same effect is at work. An answer that is there already is handed back.
    pub(super) fn order(
        &mut self,
        key: &EffectKey,
        effect: &Effect,
        host: &HostId,
        command: AgentCommand,
        now: Timestamp,
    ) -> Result<Option<AgentOutcome>, String> {
        if self.open.values().any(|open| open.key == *key && open.effect == *effect) {
            return Ok(None);
        }
        self.asked += 1;
        // A key of its own for each order of a roll: an agent repeats what it answered to an old one.
        let name = format!("{key}#{}.{}.{}", self.fence, now.0, self.asked);
        let fence = Some(Fence { pool: self.pool.to_string(), number: self.fence });
        let order = Order { host: host.to_string(), key: name.clone(), fence, command };
        let open = Open { key: key.clone(), effect: effect.clone(), order };
        let answer = self.give(&open)?;
        if answer.is_none() {
            self.open.insert(name, open);
        }
        Ok(answer)
    }

    fn give(&mut self, open: &Open) -> Result<Option<AgentOutcome>, String> {
        let answer = self.client()?.order(open.order.clone()).map_err(|error| chain(&error));
        match answer.map_err(|error| self.lost(&error))? {
            Ordered::Accepted { .. } | Ordered::Open {} => Ok(None),
            Ordered::Ended { outcome } => Ok(Some(outcome)),
            Ordered::Refused { reason } => Ok(Some(AgentOutcome::Failed { reason, retriable: false })),
        }
    }

    /// Which effect an order was for.
    pub(super) fn effect_of(&self, name: &str) -> Option<&EffectKey> {
        self.open.get(name).map(|open| &open.key)
    }

    /// An order came to its end.
    pub(super) fn ended(&mut self, name: &str) -> Option<EffectKey> {
        self.open.remove(name).map(|open| open.key)
    }

    /// Gives all open orders again; answers that are there already are handed back.
    pub(super) fn give_again(&mut self) -> Vec<(EffectKey, AgentOutcome)> {
        let all: Vec<(String, Open)> =
            self.open.iter().map(|(name, open)| (name.clone(), open.clone())).collect();
        let mut ended = Vec::new();
        for (name, open) in all {
            // One that cannot be given now is given at the next gap.
            if let Ok(Some(outcome)) = self.give(&open) {
                self.open.remove(&name);
                ended.push((open.key, outcome));
            }
        }
        ended
    }
}

impl Drop for Agents {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
    }
}

/// Listens for ever, also to a controller that comes later.
fn listen(socket: &Path, closing: &AtomicBool, tell: &dyn Fn(Heard) -> bool) {
    while !closing.load(Ordering::SeqCst) {
        let Ok(client) = HubClient::connect(socket) else {
            thread::sleep(LISTEN);
            continue;
        };
        let mut client = client.with_patience(PATIENCE);
        if client.watch().is_err() || !tell(Heard::Gap) {
            thread::sleep(LISTEN);
            continue;
        }
        while !closing.load(Ordering::SeqCst) {
            match client.next_event(LISTEN) {
                Ok(Some(heard)) => {
                    if !tell(heard) {
                        return;
                    }
                }
                Ok(None) => {}
                // The next connection begins with a gap.
                Err(_) => break,
            }
        }
    }
}
