//! How a domain came into its state: numbers of `virDomain…Reason`.

use super::DomainState;

macro_rules! reasons {
    ($($name:ident = $state:ident $number:literal, $words:literal;)*) => {
        $(#[doc = concat!("Of `", stringify!($state), "`: ", $words, ".")] pub const $name: i32 = $number;)*

        /// In words, as `virsh domstate --reason` has them.
        #[must_use]
        pub fn words(state: DomainState, reason: i32) -> &'static str {
            match (state, reason) {
                $((DomainState::$state, $number) => $words,)*
                _ => "unknown",
            }
        }
    };
}

reasons! {
    RUNNING_BOOTED = Running 1, "booted";
    RUNNING_MIGRATED = Running 2, "migrated";
    RUNNING_RESTORED = Running 3, "restored";
    RUNNING_FROM_SNAPSHOT = Running 4, "from snapshot";
    RUNNING_UNPAUSED = Running 5, "unpaused";
    RUNNING_MIGRATION_CANCELED = Running 6, "migration canceled";
    RUNNING_SAVE_CANCELED = Running 7, "save canceled";
    RUNNING_WAKEUP = Running 8, "event wakeup";
    RUNNING_CRASHED = Running 9, "crashed";
    RUNNING_POSTCOPY = Running 10, "post-copy";
    RUNNING_POSTCOPY_FAILED = Running 11, "post-copy failed";
    PAUSED_USER = Paused 1, "user";
    PAUSED_MIGRATION = Paused 2, "migrating";
    PAUSED_SAVE = Paused 3, "saving";
    PAUSED_DUMP = Paused 4, "dumping";
    PAUSED_IOERROR = Paused 5, "I/O error";
    PAUSED_WATCHDOG = Paused 6, "watchdog";
    PAUSED_FROM_SNAPSHOT = Paused 7, "from snapshot";
    PAUSED_SHUTTING_DOWN = Paused 8, "shutting down";
    PAUSED_SNAPSHOT = Paused 9, "creating snapshot";
    PAUSED_CRASHED = Paused 10, "crashed";
    PAUSED_STARTING_UP = Paused 11, "starting up";
    PAUSED_POSTCOPY = Paused 12, "post-copy";
    PAUSED_POSTCOPY_FAILED = Paused 13, "post-copy failed";
    SHUTDOWN_USER = Shutdown 1, "user";
    SHUTOFF_SHUTDOWN = Shutoff 1, "shutdown";
    SHUTOFF_DESTROYED = Shutoff 2, "destroyed";
    SHUTOFF_CRASHED = Shutoff 3, "crashed";
    SHUTOFF_MIGRATED = Shutoff 4, "migrated";
    SHUTOFF_SAVED = Shutoff 5, "saved";
    SHUTOFF_FAILED = Shutoff 6, "failed";
    SHUTOFF_FROM_SNAPSHOT = Shutoff 7, "from snapshot";
    SHUTOFF_DAEMON = Shutoff 8, "daemon";
    CRASHED_PANICKED = Crashed 1, "panicked";
}
