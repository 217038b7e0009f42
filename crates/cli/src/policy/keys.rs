//! Every key of a policy file: its shape, its default, what it means.
//!
//! Promises: this table is the whole file; reading, showing, the example and the page `docs/ops/policy.md` follow it,
//! and tests hold them to it.

/// What a value looks like.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// `true` or `false`.
    Flag,
    /// A whole number from 0 to 4294967295.
    Count,
    /// A length of time.
    Duration,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Some of these words.
    Words(&'static [&'static str]),
    /// Any text.
    Text,
    /// The name of a host.
    Host,
    /// A list of texts.
    Texts,
    /// A list of names of hosts.
    Hosts,
    /// `{ hosts = N }` or `{ percent = N }`.
    InFlight,
    /// `"stop"`, `"pause"` or `{ continue = N }`.
    OnFailure,
    /// A table.
    Table(&'static [Key]),
    /// A list of tables.
    Tables(&'static [Key]),
}

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    /// Its name.
    pub(super) name: &'static str,
    /// What its value looks like.
    pub(super) shape: Shape,
    /// Its value if the file has none, as TOML.
    pub(super) default: Default,
    /// What it means, in one line.
    pub(super) meaning: &'static str,
}

/// What stands for a key that a file does not have.
#[derive(Debug, Clone, Copy)]
pub(super) enum Default {
    /// This value, as TOML.
    Is(&'static str),
    /// No value.
    None,
    /// The file must have it. The text (or empty list) stands in its place while the rest is looked at.
    Required(&'static str),
}

const fn key(name: &'static str, shape: Shape, default: &'static str, meaning: &'static str) -> Key {
    Key { name, shape, default: Default::Is(default), meaning }
}

const fn must(name: &'static str, shape: Shape, stand_in: &'static str, meaning: &'static str) -> Key {
    Key { name, shape, default: Default::Required(stand_in), meaning }
}

const fn may(name: &'static str, shape: Shape, meaning: &'static str) -> Key {
    Key { name, shape, default: Default::None, meaning }
}

const STRATEGY: Shape = Shape::Word(&["migrate", "stop-start", "leave", "forbid"]);

/// The keys of a policy file in the order in which they are shown.
pub(super) const KEYS: &[Key] = &[
    key(
        "order",
        Shape::Word(&["coordinator-first", "coordinator-last", "least-loaded-first"]),
        "\"coordinator-first\"",
        "which host goes first",
    ),
    may("canary", Shape::Host, "the host that goes first where the coordinator does not have to"),
    key("last", Shape::Hosts, "[]", "hosts that go last, in this order"),
    key("max-in-flight", Shape::InFlight, "{ hosts = 1 }", "hosts that may be out of service at once"),
    key(
        "one-per-fault-domain",
        Shape::Flag,
        "true",
        "at most one host of a fault domain is out of service at once",
    ),
    key("reserve-hosts", Shape::Count, "0", "memory kept free for the loss of so many of the largest hosts"),
    key("reserve-percent", Shape::Count, "0", "memory kept free, in per cent of the pool's"),
    key("spill", Shape::Count, "0", "hosts of the second generation that may move guests onto old hosts"),
    key("placement", Shape::Word(&["keep", "rebalance", "restore"]), "\"keep\"", "where guests end"),
    key("on-failure", Shape::OnFailure, "\"stop\"", "what happens after a host failed or fell back"),
    key("attempts", Shape::Count, "3", "tries in all of a step that may be repeated"),
    key("retry-delay", Shape::Duration, "\"10 s\"", "pause before a step is tried again"),
    key("migrations-per-host", Shape::Count, "2", "migrations away from one host at the same time"),
    key("soak", Shape::Duration, "\"0 s\"", "wait after the first host, before the others may begin"),
    key(
        "approve",
        Shape::Word(&["plan", "first-wave", "every-wave"]),
        "\"plan\"",
        "when a person must say that the roll may go on",
    ),
    key("immovable-guests", STRATEGY, "\"forbid\"", "what happens to guests that cannot be moved"),
    key(
        "window-margin",
        Shape::Duration,
        "\"0 s\"",
        "a host begins only if its window stays open for so long",
    ),
    key("timeouts", Shape::Table(TIMEOUTS), "{}", "limits of every wait; none is endless"),
    key(
        "guests",
        Shape::Tables(GUESTS),
        "[]",
        "what happens to guests, by name; the first rule that matches",
    ),
    key("windows", Shape::Tables(WINDOWS), "[]", "when hosts may begin; none: always"),
    key("hooks", Shape::Tables(HOOKS), "[]", "commands around hosts"),
    key("gates", Shape::Tables(GATES), "[]", "commands between waves"),
];

const TIMEOUTS: &[Key] = &[
    key("step", Shape::Duration, "\"5 min\"", "check, saving of state, entering or leaving maintenance"),
    key("migrate", Shape::Duration, "\"1 h\"", "one migration of one guest"),
    key("stage", Shape::Duration, "\"1 h\"", "bringing the release to the host"),
    key("install", Shape::Duration, "\"1 h\"", "writing and verifying the alternate bank"),
    key(
        "reboot",
        Shape::Duration,
        "\"45 min\"",
        "from the order to reboot until the host is back and judged",
    ),
    key("guest", Shape::Duration, "\"10 min\"", "shutting a guest down or starting it"),
    key("owner", Shape::Duration, "\"1 d\"", "until the owner of a guest that is left to them has acted"),
];

const GUESTS: &[Key] = &[
    must("guests", Shape::Texts, "[\"*\"]", "names of guests; * stands for any characters, ? for one"),
    must("strategy", STRATEGY, "\"migrate\"", "what happens to them"),
];

const WINDOWS: &[Key] = &[
    key(
        "days",
        Shape::Words(&["mon", "tue", "wed", "thu", "fri", "sat", "sun"]),
        "[]",
        "days on which it opens; none: every day",
    ),
    must("from", Shape::Text, "\"00:00\"", "when it opens, HH:MM"),
    must("to", Shape::Text, "\"24:00\"", "when it closes, HH:MM; on the next day if not later than from"),
    must("zone", Shape::Text, "\"UTC\"", "time zone of the IANA database, for example Europe/Vienna"),
];

const HOOKS: &[Key] = &[
    must("name", Shape::Text, "\"\"", "its name in plan and journal"),
    must(
        "stage",
        Shape::Word(&["preflight", "pre-maintenance", "maintenance", "post-maintenance"]),
        "\"preflight\"",
        "when it runs",
    ),
    must("command", Shape::Texts, "[]", "program by its absolute path, and its arguments; no shell"),
    key("hosts", Shape::Texts, "[]", "for hosts of these names, with * and ?; none: for all"),
    key("timeout", Shape::Duration, "\"5 min\"", "it is ended after so long, and has failed"),
    may("warn-after", Shape::Duration, "a warning is given after so long"),
];

const GATES: &[Key] = &[
    must("name", Shape::Text, "\"\"", "its name in plan and journal"),
    must(
        "command",
        Shape::Texts,
        "[]",
        "program by its absolute path, and its arguments; exit 0 opens the gate",
    ),
    key("after", Shape::Word(&["first-wave", "every-wave"]), "\"first-wave\"", "after which waves it stands"),
    key("timeout", Shape::Duration, "\"5 min\"", "one try is ended after so long, and has failed"),
    key("attempts", Shape::Count, "10", "tries in all, before the gate counts as closed"),
    key("delay", Shape::Duration, "\"30 s\"", "pause between two tries"),
];

/// The key of a path such as `hooks.2.command`.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    let mut keys = KEYS;
    let mut found = None;
    for part in path.split('.').filter(|part| part.parse::<usize>().is_err()) {
        let key: &'static Key = keys.iter().find(|key| key.name == part)?;
        keys = match key.shape {
            Shape::Table(inner) | Shape::Tables(inner) => inner,
            Shape::Flag
            | Shape::Count
            | Shape::Duration
            | Shape::Word(_)
            | Shape::Words(_)
            | Shape::Text
            | Shape::Host
            | Shape::Texts
            | Shape::Hosts
            | Shape::InFlight
            | Shape::OnFailure => &[],
        };
        found = Some(key);
    }
    found
}

/// What people are told that a value should be.
pub(super) fn wanted(shape: Shape) -> String {
    let list = |words: &[&str]| words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    match shape {
        Shape::Flag => "write true or false".to_owned(),
        Shape::Count => "write a whole number, 0 and more".to_owned(),
        Shape::Duration => format!("write {}", super::duration::FORM),
        Shape::Word(words) => format!("write one of {}", list(words)),
        Shape::Words(words) => format!("write a list of some of {}", list(words)),
        Shape::Text => "write a text in quotes".to_owned(),
        Shape::Host => "write the name of a host in quotes".to_owned(),
        Shape::Texts => "write a list of texts, such as [\"a\", \"b\"]".to_owned(),
        Shape::Hosts => "write a list of names of hosts, such as [\"h1\", \"h2\"]".to_owned(),
        Shape::InFlight => "write { hosts = 2 } or { percent = 10 }".to_owned(),
        Shape::OnFailure => "write \"stop\", \"pause\" or { continue = 2 }".to_owned(),
        Shape::Table(_) => "write a table".to_owned(),
        Shape::Tables(_) => "write each as a table of its own: [[name]]".to_owned(),
    }
}
