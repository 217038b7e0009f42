//! What differs between two policies, value by value.
//!
//! Owns: the key of every value as the file has it, and its short text. Promises: two policies that differ have at
//! least one difference here (the compiler asks for every field). Does not: judge.

use lifeboat_model::{Approve, Gate, GuestRule, Hook, Order, Placement, Policy, Timeouts, Window};

use crate::diff::FigureChange;

/// Every value that differs.
pub(crate) fn changes(old: &Policy, new: &Policy) -> Vec<FigureChange> {
    let pairs = values(old).into_iter().zip(values(new));
    let changed = pairs.filter(|((_, old), (_, new))| old != new);
    changed.map(|((name, old), (_, new))| FigureChange { name, old, new }).collect()
}

fn values(policy: &Policy) -> Vec<(&'static str, String)> {
    // Without `..`: a value that is added to the policy is added here.
    let Policy {
        order,
        max_in_flight,
        one_per_fault_domain,
        reserve_hosts,
        spill,
        placement,
        on_failure,
        attempts,
        retry_delay,
        migrations_per_host,
        soak,
        timeouts,
        canary,
        last,
        reserve_percent,
        guests,
        immovable_guests,
        approve,
        windows,
        window_margin,
        hooks,
        gates,
    } = policy;
    let Timeouts { step, migrate, stage, install, reboot, guest, owner } = timeouts;
    vec![
        ("order", order_word(*order).to_owned()),
        ("max-in-flight", max_in_flight.to_string()),
        ("one-per-fault-domain", one_per_fault_domain.to_string()),
        ("reserve-hosts", reserve_hosts.to_string()),
        ("reserve-percent", reserve_percent.to_string()),
        ("spill", spill.to_string()),
        ("placement", placement_word(*placement).to_owned()),
        ("on-failure", on_failure.to_string()),
        ("attempts", attempts.to_string()),
        ("retry-delay", retry_delay.to_string()),
        ("migrations-per-host", migrations_per_host.to_string()),
        ("soak", soak.to_string()),
        ("timeouts.step", step.to_string()),
        ("timeouts.migrate", migrate.to_string()),
        ("timeouts.stage", stage.to_string()),
        ("timeouts.install", install.to_string()),
        ("timeouts.reboot", reboot.to_string()),
        ("timeouts.guest", guest.to_string()),
        ("timeouts.owner", owner.to_string()),
        ("canary", canary.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string)),
        ("last", list(last, ToString::to_string)),
        ("guests", list(guests, rule)),
        ("immovable-guests", immovable_guests.to_string()),
        ("approve", approve_word(*approve).to_owned()),
        ("windows", list(windows, window)),
        ("window-margin", window_margin.to_string()),
        ("hooks", list(hooks, hook)),
        ("gates", list(gates, gate)),
    ]
}

fn list<T>(values: &[T], text: impl Fn(&T) -> String) -> String {
    if values.is_empty() {
        return "none".to_owned();
    }
    values.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn order_word(order: Order) -> &'static str {
    match order {
        Order::CoordinatorFirst => "coordinator-first",
        Order::CoordinatorLast => "coordinator-last",
        Order::LeastLoadedFirst => "least-loaded-first",
    }
}

fn placement_word(placement: Placement) -> &'static str {
    match placement {
        Placement::Keep => "keep",
        Placement::Rebalance => "rebalance",
        Placement::Restore => "restore",
    }
}

fn approve_word(approve: Approve) -> &'static str {
    match approve {
        Approve::Plan => "plan",
        Approve::FirstWave => "first-wave",
        Approve::EveryWave => "every-wave",
    }
}

fn rule(rule: &GuestRule) -> String {
    format!("{} {}", rule.guests.join(" "), rule.strategy)
}

// The forms of these have many parts and are seldom changed: all of them are shown.
fn window(window: &Window) -> String {
    format!("{window:?}")
}

fn hook(hook: &Hook) -> String {
    format!("{hook:?}")
}

fn gate(gate: &Gate) -> String {
    format!("{gate:?}")
}
