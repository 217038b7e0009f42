//! Codes of the findings of [`lint`](crate::lint()). They are stable: scripts may compare them.
//!
//! Owns: the words. All are blockers but [`HOST_NOT_IN_PLAN`], [`PLACEMENT_OPEN`] and [`FIGURE_WRONG`].

/// A step, a move or a list names a host that the pool does not have.
pub const UNKNOWN_HOST: &str = "plan-unknown-host";
/// A move names a guest that does not run in the pool.
pub const UNKNOWN_GUEST: &str = "plan-unknown-guest";
/// A host has two turns, or a turn and another standing.
pub const HOST_TWICE: &str = "plan-host-twice";
/// A host is in no list of the plan. A note.
pub const HOST_NOT_IN_PLAN: &str = "plan-host-not-in-plan";
/// A host has a turn that it cannot have: it does not answer, is in maintenance, or runs the release.
pub const HOST_UNFIT: &str = "plan-host-unfit";
/// A host is said to run the release, and does not.
pub const NOT_UNCHANGED: &str = "plan-not-unchanged";
/// Waves do not begin at 1, do not grow by one, or wave 1 has more than one host.
pub const WAVE_ORDER: &str = "plan-wave-order";
/// More hosts of one wave than the policy allows.
pub const TOO_MANY_DOWN: &str = "plan-too-many-down";
/// Two hosts of one fault domain in one wave.
pub const FAULT_DOMAIN: &str = "plan-fault-domain";
/// The reserve of the policy is not kept free.
pub const RESERVE: &str = "plan-reserve";
/// The policy wants the coordinator first, and it is not.
pub const COORDINATOR_FIRST: &str = "plan-coordinator-first";
/// The policy names a canary that could be first, and it is not.
pub const CANARY_FIRST: &str = "plan-canary-first";
/// The policy wants the coordinator last, and a host comes after it or beside it.
pub const COORDINATOR_LAST: &str = "plan-coordinator-last";
/// A host that the policy puts last is not last, not alone, or not in the policy's order.
pub const LAST: &str = "plan-last";
/// A host is said to be left out and not to run the release, and it runs it.
pub const NOT_EXCLUDED: &str = "plan-not-excluded";
/// A guest is not on the host from which it is to be moved.
pub const MOVE_FROM: &str = "plan-move-from";
/// A guest goes to a host that cannot take guests at that time.
pub const MOVE_TO: &str = "plan-move-to";
/// A guest that cannot be moved is moved.
pub const NOT_MOVABLE: &str = "plan-not-movable";
/// A guest is moved that the policy does not want moved.
pub const MOVE_AGAINST_RULE: &str = "plan-move-against-rule";
/// A guest goes to a host that does not offer all it needs.
pub const LACKS: &str = "plan-lacks";
/// A guest is to be down while its host is upgraded, and does not run there or takes other memory.
pub const STOP_FROM: &str = "plan-stop-from";
/// A guest is to be down though no rule of the policy asks for that, or not in the way it asks for.
pub const STOP_WITHOUT_RULE: &str = "plan-stop-without-rule";
/// A guest is moved away from its host and is to be down there as well.
pub const MOVED_AND_STOPPED: &str = "plan-moved-and-stopped";
/// A move after the last host that the policy's placement does not ask for.
pub const PLACEMENT: &str = "plan-placement";
/// A host has more than its share, or a guest is not back, though the policy's placement asks for it. A note.
pub const PLACEMENT_OPEN: &str = "plan-placement-open";
/// A guest goes from a host that runs the release to one that does not.
pub const BACKWARD: &str = "plan-backward-move";
/// A guest moves more often than the policy makes necessary.
pub const TOO_MANY_MOVES: &str = "plan-too-many-moves";
/// A target has less memory than its guests take.
pub const CAPACITY: &str = "plan-capacity";
/// Two guests that must be kept apart share a host.
pub const KEEP_APART: &str = "plan-keep-apart";
/// A host still has guests when it is upgraded that are neither moved nor stopped.
pub const NOT_DRAINED: &str = "plan-not-drained";
/// A feature that is on is not suspended, or one that is off is.
pub const SUSPENDS: &str = "plan-suspends";
/// The plan was made for another pool or is of another form.
pub const OTHER_POOL: &str = "plan-other-pool";
/// A figure is not what the steps give. A warning.
pub const FIGURE_WRONG: &str = "plan-figure-wrong";
