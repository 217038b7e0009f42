//! Orders of programs for hosts.
//!
//! Owns: which are taken. Promises: what is accepted is on stable storage and has an outcome in the end; a controller
//! that was replaced cannot order any more, and what it ordered and nobody was given ends with that reason. Does not:
//! understand the commands.

use lifeboat_model::agent::{AgentOutcome, Fence};
use lifeboat_model::chain;
use lifeboat_wire::{HubAnswer, HubEventKind, MAX_OPEN_ORDERS, Order, Ordered};

use crate::{Book, Controller, Entry};

/// Longest key, in bytes.
const MAX_KEY: usize = 128;
/// Most bytes of one command as JSON: it has to fit into a line to the agent, and into its journal.
const MAX_COMMAND: usize = 60 * 1024;

/// Takes orders; what became of each.
pub(super) async fn take(controller: &Controller, orders: Vec<Order>) -> Result<HubAnswer, String> {
    for fence in orders.iter().filter_map(|order| order.fence.as_ref()) {
        supersede(controller, fence).await?;
    }
    let mut words: Vec<Option<Ordered>> = Vec::new();
    let mut accepted = Vec::new();
    {
        let book = controller.ledger.book();
        let mut fresh: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
        for order in &orders {
            let more = fresh.entry(&order.host).or_default();
            let word = judge(&book, order, *more);
            if word.is_none() {
                *more += 1;
                accepted.push(order.clone());
            }
            words.push(word);
        }
    }
    let entries = accepted.iter().map(|order| Entry::Ordered { order: order.clone() }).collect();
    controller.ledger.append(entries).await.map_err(|error| chain(&*error))?;
    controller.give(accepted);
    let live = controller.live();
    let orders = words
        .into_iter()
        .zip(&orders)
        .map(|(word, order)| {
            word.unwrap_or_else(|| Ordered::Accepted { connected: live.link(&order.host).is_some() })
        })
        .collect();
    Ok(HubAnswer::Ordered { orders })
}

/// Why an order is not accepted anew; none if it is.
fn judge(book: &Book, order: &Order, more: usize) -> Option<Ordered> {
    let refused = |reason: String| Some(Ordered::Refused { reason });
    let Some(host) = book.hosts.get(&order.host) else {
        return refused(format!(
            "host {} is not known to lifeboatd: add it with `lifeboatd host add {}`",
            order.host, order.host
        ));
    };
    if order.key.is_empty() || order.key.len() > MAX_KEY {
        return refused(format!("a key has 1 to {MAX_KEY} bytes, this one {}", order.key.len()));
    }
    if let Some(outcome) = host.outcome(&order.key) {
        return Some(Ordered::Ended { outcome: outcome.clone() });
    }
    if let Some(known) = host.open(&order.key) {
        if known.command != order.command {
            return refused(format!("key {} is another command's, which waits for its outcome", order.key));
        }
        return Some(Ordered::Open {});
    }
    if host.revoked {
        return refused(format!("the certificates of host {} were revoked", order.host));
    }
    if let Some(Fence { pool, number }) = &order.fence {
        let highest = book.fences.get(pool).copied().unwrap_or_default();
        if *number < highest {
            return refused(format!(
                "controller number {number} of pool {pool} is not obeyed any more: number {highest} took over"
            ));
        }
    }
    if host.orders.len() + more >= MAX_OPEN_ORDERS {
        return refused(format!(
            "{MAX_OPEN_ORDERS} commands of host {} wait for their outcome already; is it connected?",
            order.host
        ));
    }
    let bytes = serde_json::to_vec(&order.command).map_or(usize::MAX, |bytes| bytes.len());
    if bytes > MAX_COMMAND {
        return refused(format!("the command has {bytes} bytes; {MAX_COMMAND} are allowed"));
    }
    None
}

/// A later controller orders: what an earlier one ordered and no host was given ends here.
async fn supersede(controller: &Controller, fence: &Fence) -> Result<(), String> {
    let old: Vec<(String, String)> = {
        let book = controller.ledger.book();
        if book.fences.get(&fence.pool).is_none_or(|highest| fence.number <= *highest) {
            return Ok(());
        }
        let of_pool = |order: &&Order| {
            order.fence.as_ref().is_some_and(|old| old.pool == fence.pool && old.number < fence.number)
        };
        let all =
            book.hosts.iter().flat_map(|(host, book)| book.orders.iter().map(move |order| (host, order)));
        all.filter(|(_, order)| of_pool(order))
            .map(|(host, order)| (host.clone(), order.key.clone()))
            .collect()
    };
    let kept: Vec<_> = {
        let mut live = controller.live();
        old.into_iter().filter(|(host, key)| live.withhold(host, key)).collect()
    };
    let reason =
        format!("controller number {} of pool {} took over before it was given", fence.number, fence.pool);
    let outcome = AgentOutcome::Failed { reason, retriable: true };
    let raise = Entry::Fence { pool: fence.pool.clone(), number: fence.number };
    let ended = kept.iter().map(|(host, key)| Entry::Ended {
        host: host.clone(),
        key: key.clone(),
        outcome: outcome.clone(),
    });
    let changed = controller.ledger.append(std::iter::once(raise).chain(ended).collect()).await;
    for (host, key) in &kept {
        controller.live().release(host, key);
        if changed.is_ok() {
            let (key, outcome) = (key.clone(), outcome.clone());
            controller.events.tell(host, HubEventKind::Outcome { key, outcome });
        }
    }
    changed.map(|_| ()).map_err(|error| chain(&*error))
}

/// Takes an order back that no host was given.
pub(super) async fn withdraw(
    controller: &Controller,
    host: String,
    key: String,
) -> Result<HubAnswer, String> {
    let open = controller.ledger.book().hosts.get(&host).is_some_and(|book| book.open(&key).is_some());
    if !open || !controller.live().withhold(&host, &key) {
        return Ok(HubAnswer::Withdrawn { taken_back: false });
    }
    let entry = Entry::Withdrawn { host: host.clone(), key: key.clone() };
    let changed = super::answer::append(controller, entry).await;
    controller.live().release(&host, &key);
    Ok(HubAnswer::Withdrawn { taken_back: changed? })
}

/// Commands without an outcome.
pub(super) fn open(controller: &Controller, host: Option<&str>) -> HubAnswer {
    let book = controller.ledger.book();
    let wanted = book.hosts.iter().filter(|(name, _)| host.is_none_or(|host| host == name.as_str()));
    HubAnswer::Orders { orders: wanted.flat_map(|(_, book)| book.orders.clone()).collect() }
}
