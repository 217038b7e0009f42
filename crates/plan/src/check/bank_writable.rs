//! Whether the bank that is to be written can be written.

use lifeboat_model::{Bank, Severity};

use super::banks::{of, rebuild};
use super::catalogue::Page;
use super::found::Found;
use super::pool::Pool;
use super::run::Check;

pub(super) const CHECK: Check =
    Check { name: "bank-writable", title: "the other bank can be written", pages: &[REFUSED], run };

const REFUSED: Page = Page {
    code: "bank-not-writable",
    title: "the bank that the release goes to cannot be written",
    severity: Severity::Blocker,
    looks_at: "every host with a turn: whether the bank that it does not run can be written",
    means: "The installation would end with an error such as \"bad file descriptor\": the file system of the bank has \
            an entry that is neither file nor directory and cannot be removed, or the disk is write-protected.",
    remedy: "Rebuild the bank from the active one, with a fresh file system. *A program can do it*: `lifeboat check run \
             POOL --fix`. If that fails too, the disk is write-protected or broken.",
    undo: "",
    incidents: &["I-09", "I-10"],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    for (host, banks) in
        found.facts(pool, "whether its banks can be written", |host| host.turn, |facts| &facts.banks)
    {
        for bank in Bank::BOTH.into_iter().filter(|bank| host.view.active != Some(*bank)) {
            let Some(reason) = &of(banks, bank).not_writable else { continue };
            let fix = rebuild(host, bank, Some(of(banks, bank.other())));
            let remedy = if fix.is_some() {
                format!(
                    "rebuild bank {bank} from bank {}: lifeboat check run POOL --fix does so",
                    bank.other()
                )
            } else {
                format!("look at the disk of {}: no good bank is there to rebuild it from", host.name())
            };
            found.add(&REFUSED, host.name(), format!("bank {bank}: {reason}"), remedy).fix = fix;
        }
    }
}
