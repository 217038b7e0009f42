//! A recovery in words.

use crate::commands::roll::salvaged::{Proof, Salvaged, Stand};
use crate::state::PlanSource;

/// Most places of damage that are listed.
const NAMED: usize = 12;

/// What is damaged, what can be proved, and what the roll left behind.
pub(super) fn people(salvaged: &Salvaged) -> String {
    let mut lines = vec![format!("roll {} of pool {}", salvaged.roll, salvaged.pool), String::new()];
    lines.push("damage:".to_owned());
    for damage in salvaged.damage.iter().take(NAMED) {
        let place = damage.seq.map_or_else(|| "the roll".to_owned(), |seq| format!("event {seq}"));
        lines.push(format!("  {place}: {}", damage.reason));
    }
    if salvaged.damage.len() > NAMED {
        lines.push(format!("  and {} more places", salvaged.damage.len() - NAMED));
    }
    if salvaged.damage.is_empty() {
        lines.push("  none; the roll was given up without its journal".to_owned());
    }
    lines.push(format!(
        "  {} of {} events were read, {} are proved whole by their hashes; the plan is {}",
        salvaged.events,
        salvaged.last,
        salvaged.proved,
        if salvaged.plan_whole { "the approved one" } else { "damaged" }
    ));
    lines.extend([String::new(), "features that it switched off:".to_owned()]);
    for left in &salvaged.features {
        let value = match (&left.original, left.seq) {
            (Some(original), Some(seq)) => format!("was {original:?} ({}, event {seq})", left.proof.word()),
            (Some(original), None) => format!("was {original:?} ({})", left.proof.word()),
            (None, _) => "its value before is not known".to_owned(),
        };
        let now = match left.stand {
            Stand::Left => "is off".to_owned(),
            Stand::AsBefore | Stand::Restored => "has it again".to_owned(),
            Stand::Other | Stand::NotSeen | Stand::NotWell => {
                format!("now is {:?}, as somebody set it: it is left so", left.now.as_deref().unwrap_or("?"))
            }
        };
        lines.push(format!("  {}: {value}; {now}", left.feature));
    }
    none(&mut lines, salvaged.features.is_empty());
    lines.extend([String::new(), "hosts in its hands:".to_owned()]);
    for left in &salvaged.hosts {
        let mut facts = vec![format!("{} ({})", left.phase, left.proof.word())];
        match left.stand {
            Stand::Left if left.maintenance => facts.push("in maintenance by this roll".to_owned()),
            Stand::Left => facts.push("in maintenance, and the journal does not tell by whom".to_owned()),
            Stand::NotWell => facts.push("does not answer, or is on trial: wait for it".to_owned()),
            Stand::AsBefore | Stand::Restored => facts.push("serves".to_owned()),
            Stand::NotSeen | Stand::Other => {}
        }
        if left.rebooting {
            facts.push("was told to reboot".to_owned());
        }
        if left.installing {
            facts.push("its alternate bank may be half written: a new roll writes it anew".to_owned());
        }
        lines.push(format!("  {}: {}", left.host, facts.join("; ")));
    }
    none(&mut lines, salvaged.hosts.is_empty());
    if !salvaged.guests.is_empty() {
        lines.extend([String::new(), "guests that it shut down:".to_owned()]);
        for left in &salvaged.guests {
            let now = if left.stand == Stand::Left { "is down" } else { "runs" };
            lines.push(format!("  {} on {} ({}): {now}", left.guest, left.host, left.proof.word()));
        }
    }
    if !salvaged.orders.is_empty() {
        lines.extend([String::new(), "orders of people:".to_owned()]);
        lines.extend(salvaged.orders.iter().map(|order| format!("  {order}")));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn none(lines: &mut Vec<String>, empty: bool) {
    if empty {
        lines.push("  none".to_owned());
    }
}

/// What was done, and how to go on.
pub(super) fn way_on(salvaged: &Salvaged, source: Option<&PlanSource>) -> String {
    let roll = &salvaged.roll;
    let mut lines = vec![format!("roll {roll} is ended")];
    for copy in &salvaged.copies {
        lines.push(format!("the damaged journal is kept as {}", copy.display()));
    }
    let back = |stand: Stand| stand == Stand::Restored;
    let told =
        |what: &str, names: Vec<String>| (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")));
    lines.extend(told(
        "given back to the pool",
        salvaged.hosts.iter().filter(|left| back(left.stand)).map(|left| left.host.to_string()).collect(),
    ));
    lines.extend(told(
        "started again",
        salvaged.guests.iter().filter(|left| back(left.stand)).map(|left| left.guest.to_string()).collect(),
    ));
    lines.extend(told(
        "restored",
        salvaged
            .features
            .iter()
            .filter(|left| back(left.stand))
            .map(|left| left.feature.to_string())
            .collect(),
    ));
    let mut adopt = false;
    for left in salvaged.features.iter().filter(|left| left.stand == Stand::Left) {
        let (feature, value) = (left.feature, left.original.as_deref().unwrap_or("VALUE"));
        if left.proof.holds() {
            adopt = true;
            lines.push(format!("{feature} is still off; its value {value:?} is {}", left.proof.word()));
        } else {
            let told = if left.proof == Proof::Hearsay {
                format!("hearsay says {value:?}")
            } else {
                "nothing tells it".to_owned()
            };
            lines.push(format!(
                "{feature} is off and its value before is not proved ({told}); look it up, then:"
            ));
            lines.push(format!("  lifeboat roll recover {roll} --value {feature}='VALUE'"));
        }
    }
    for left in salvaged.hosts.iter().filter(|left| left.stand == Stand::Left && !left.maintenance) {
        lines.push(format!("{} is in maintenance; if no person put it there:", left.host));
        lines.push(format!("  lifeboat roll recover {roll} --leave-maintenance {}", left.host));
    }
    let bundle = source.map_or_else(|| "BUNDLE".to_owned(), |source| source.bundle.display().to_string());
    lines.push("go on from the world as it is:".to_owned());
    lines.push(format!("  lifeboat plan create {} --release {bundle} --trust KEY", salvaged.pool));
    lines.push(format!(
        "  lifeboat roll start PLAN{}",
        if adopt { format!(" --adopt {roll}") } else { String::new() }
    ));
    if adopt {
        lines.push("or restore the features now, and roll later:".to_owned());
        lines.push(format!("  lifeboat roll recover {roll} --restore"));
    }
    lines.join("\n") + "\n"
}
