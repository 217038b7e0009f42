//! Whether both banks of every host are whole, and the active one proven.

use std::collections::BTreeMap;

use lifeboat_model::{Bank, BankFacts, BankState, Fix, Severity};

use super::catalogue::Page;
use super::found::{Found, count, names};
use super::pool::{Host, Pool};
use super::run::Check;

pub(super) const CHECK: Check = Check {
    name: "banks",
    title: "both banks are whole, and the active one is proven",
    pages: &[UNPROVEN, ACTIVE, ALTERNATE, FOREIGN, LOADER, LOADERS],
    run,
};

const UNPROVEN: Page = Page {
    code: "active-bank-unproven",
    title: "a host runs a bank that has not proved itself",
    severity: Severity::Blocker,
    looks_at: "every host with a turn: the state of the bank that it booted",
    means: "The other bank is the only one that is known to boot. Writing it now could leave the host with two bad \
            banks.",
    remedy: "A bank that is *trying* is blessed by its agent when the health checks pass: wait, or look why they do \
             not. A host that fell back and stays on a bank that is not *good* needs a person: look at its console.",
    undo: "",
    incidents: &["I-25", "I-26"],
};

const ACTIVE: Page = Page {
    code: "active-bank-damaged",
    title: "the bank that a host runs is damaged",
    severity: Severity::Blocker,
    looks_at: "every host with a turn: the files of its active bank against the bank's own manifest",
    means: "The host may not boot again. If the new release failed there, there would be nothing to fall back to.",
    remedy: "Do not reboot the host. Look at its disk first: one that loses bytes must be replaced. The active bank is \
             never written; what it runs can be installed into the other bank and tried from there: `lifeboat bank \
             install`.",
    undo: "",
    incidents: &["I-06", "I-26"],
};

const ALTERNATE: Page = Page {
    code: "alternate-bank-damaged",
    title: "the bank that a host does not run is damaged",
    severity: Severity::Warning,
    looks_at: "every host with a turn: the files of its other bank against the bank's own manifest",
    means: "Until it is written anew there is nothing to fall back to if the active bank breaks. The roll installs it \
            anew; damage that comes back is a bad disk.",
    remedy: "Rebuild it from the active one. *A program can do it*: `lifeboat check run POOL --fix`.",
    undo: "",
    incidents: &["I-09", "I-10"],
};

const FOREIGN: Page = Page {
    code: "foreign-files",
    title: "a bank has files that do not belong to it",
    severity: Severity::Blocker,
    looks_at: "every host with a turn: files in both banks that the bank's own manifest does not name",
    means: "They take the room of the release, and upgrade programs stumble over them. Somebody mounted the disk \
            elsewhere: `.Spotlight-V100`, `.Trashes` and `.fseventsd` come from a Mac.",
    remedy: "Remove them. *A program can do it*, and keeps a copy: `lifeboat check run POOL --fix`.",
    undo: "The copy can be put back: the journal names it.",
    incidents: &["I-05"],
};

const LOADER: Page = Page {
    code: "loader-differs-in-banks",
    title: "the two banks of a host have different loaders",
    severity: Severity::Warning,
    looks_at: "every host with a turn: name and version of the loader in each bank",
    means: "The host may boot from one bank and not from the other: a fall-back that nobody has tried.",
    remedy: "Nothing before the roll if the host runs the newer of the two: the roll writes the other bank with the \
             loader of the release. Else rebuild the other bank: `lifeboat check run POOL --fix` offers it when the \
             bank is damaged.",
    undo: "",
    incidents: &["I-06"],
};

const LOADERS: Page = Page {
    code: "loader-differs-across-hosts",
    title: "hosts of the pool boot with different loaders",
    severity: Severity::Note,
    looks_at: "the loader in the active bank of every host with a turn",
    means: "What one host has proved may not hold for another one.",
    remedy: "Choose as `canary` a host with the loader that most hosts have.",
    undo: "",
    incidents: &[],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    let mut silent = Vec::new();
    for host in pool.hosts.iter().filter(|host| host.turn) {
        match host.view.active {
            Some(active) => unproven(host, active, found),
            None => silent.push(host.name()),
        }
    }
    found.unknown_of("the active bank", &silent);
    let mut loaders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (host, banks) in found.facts(pool, "the content of the banks", |host| host.turn, |facts| &facts.banks)
    {
        for bank in Bank::BOTH {
            look_into(host, bank, of(banks, bank), found);
        }
        if let [BankFacts { loader: Some(a), .. }, BankFacts { loader: Some(b), .. }] = banks
            && a != b
        {
            let role = |bank: Bank| if host.view.active == Some(bank) { " (active)" } else { "" };
            let evidence = format!("bank A{}: {a}; bank B{}: {b}", role(Bank::A), role(Bank::B));
            found.add(&LOADER, host.name(), evidence, "nothing, if the active bank has the newer one");
        }
        let active = host.view.active.and_then(|active| of(banks, active).loader.as_deref());
        if let Some(loader) = active {
            loaders.entry(loader).or_default().push(host.name());
        }
    }
    if loaders.len() > 1 {
        let mut kinds: Vec<_> = loaders.into_iter().collect();
        kinds.sort_by_key(|(_, hosts)| std::cmp::Reverse(hosts.len()));
        let told =
            kinds.iter().map(|(loader, hosts)| format!("{loader} on {} ({})", hosts.len(), names(hosts)));
        let evidence = told.collect::<Vec<_>>().join("; ");
        found.add(
            &LOADERS,
            pool.name(),
            evidence,
            "choose as canary a host with the loader that most hosts have",
        );
    }
}

/// Facts of one bank.
pub(super) fn of(banks: &[BankFacts; 2], bank: Bank) -> &BankFacts {
    let [a, b] = banks;
    match bank {
        Bank::A => a,
        Bank::B => b,
    }
}

fn unproven(host: &Host<'_>, active: Bank, found: &mut Found) {
    let view = host.view.bank(active);
    let remedy = match view.state {
        BankState::Good => return,
        BankState::Trying | BankState::Upgraded => {
            "wait until its agent has blessed the bank, or look why it does not"
        }
        BankState::Empty | BankState::Invalid | BankState::Failed => {
            "look at the host's console: a person must decide"
        }
    };
    let note = view.note.as_deref().map_or_else(String::new, |note| format!(": {note}"));
    found.add(&UNPROVEN, host.name(), format!("its active bank {active} is {}{note}", view.state), remedy);
}

/// The remedy that makes a bank anew, if there is something good to make it from.
pub(super) fn rebuild(host: &Host<'_>, bank: Bank, active: Option<&BankFacts>) -> Option<Fix> {
    let from = host.view.active.filter(|active| *active != bank)?;
    let good =
        host.view.bank(from).state == BankState::Good && active.is_some_and(|facts| facts.damage.is_empty());
    good.then(|| Fix::RebuildBank { host: host.view.id.clone(), bank })
}

fn look_into(host: &Host<'_>, bank: Bank, facts: &BankFacts, found: &mut Found) {
    let name = host.name();
    if !facts.damage.is_empty() {
        let evidence = format!("bank {bank}: {}", names(&facts.damage));
        if host.view.active == Some(bank) {
            found.add(&ACTIVE, name, evidence, format!("do not reboot {name}; look at its disk"));
        } else {
            let other = host.facts.and_then(|facts| facts.banks.known()).map(|banks| of(banks, bank.other()));
            let fix = rebuild(host, bank, other);
            let remedy = if fix.is_some() {
                format!(
                    "rebuild bank {bank} from bank {}: lifeboat check run POOL --fix does so",
                    bank.other()
                )
            } else {
                format!("look at the disk of {name}; bank {} cannot serve as the source", bank.other())
            };
            found.add(&ALTERNATE, name, evidence, remedy).fix = fix;
        }
    }
    if !facts.foreign.is_empty() {
        let evidence = format!(
            "bank {bank}: {} that its manifest does not name: {}",
            count(facts.foreign.len(), "file"),
            names(&facts.foreign)
        );
        let remedy = "remove them: lifeboat check run POOL --fix does so, and keeps a copy";
        found.add(&FOREIGN, name, evidence, remedy).fix =
            Some(Fix::CleanBank { host: host.view.id.clone(), bank, files: facts.foreign.clone() });
    }
}
