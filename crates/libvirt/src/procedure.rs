//! Numbers of the procedures and events that this client uses.
//!
//! Source: libvirt's `remote_protocol.x`, release 9.0. A number never changes its meaning: libvirt's daemons serve
//! clients of every older release, so new procedures are added behind the last one.

/// A procedure of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Procedure {
    /// Its number.
    pub number: i32,
    /// What libvirt calls it, for messages.
    pub name: &'static str,
}

macro_rules! procedures {
    ($($name:ident = $number:literal, $words:literal;)*) => {
        impl Procedure {
            $(
                #[doc = concat!("`", $words, "`")]
                pub const $name: Self = Self { number: $number, name: $words };
            )*
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

procedures! {
    CONNECT_OPEN = 1, "connect-open";
    CONNECT_CLOSE = 2, "connect-close";
    CONNECT_GET_TYPE = 3, "connect-get-type";
    CONNECT_GET_VERSION = 4, "connect-get-version";
    CONNECT_GET_MAX_VCPUS = 5, "connect-get-max-vcpus";
    NODE_GET_INFO = 6, "node-get-info";
    CONNECT_GET_CAPABILITIES = 7, "connect-get-capabilities";
    DOMAIN_GET_XML_DESC = 14, "domain-get-xml-desc";
    DOMAIN_GET_AUTOSTART = 15, "domain-get-autostart";
    DOMAIN_GET_INFO = 16, "domain-get-info";
    DOMAIN_LOOKUP_BY_NAME = 23, "domain-lookup-by-name";
    DOMAIN_LOOKUP_BY_UUID = 24, "domain-lookup-by-uuid";
    DOMAIN_RESUME = 28, "domain-resume";
    DOMAIN_SET_AUTOSTART = 29, "domain-set-autostart";
    DOMAIN_SUSPEND = 34, "domain-suspend";
    NETWORK_GET_XML_DESC = 43, "network-get-xml-desc";
    NETWORK_GET_AUTOSTART = 44, "network-get-autostart";
    NETWORK_LOOKUP_BY_NAME = 46, "network-lookup-by-name";
    CONNECT_GET_HOSTNAME = 59, "connect-get-hostname";
    CONNECT_SUPPORTS_FEATURE = 60, "connect-supports-feature";
    AUTH_LIST = 66, "auth-list";
    AUTH_POLKIT = 70, "auth-polkit";
    STORAGE_POOL_REFRESH = 83, "storage-pool-refresh";
    STORAGE_POOL_LOOKUP_BY_NAME = 84, "storage-pool-lookup-by-name";
    STORAGE_POOL_GET_INFO = 87, "storage-pool-get-info";
    STORAGE_POOL_GET_XML_DESC = 88, "storage-pool-get-xml-desc";
    STORAGE_POOL_GET_AUTOSTART = 89, "storage-pool-get-autostart";
    STORAGE_VOL_CREATE_XML = 93, "storage-vol-create-xml";
    STORAGE_VOL_DELETE = 94, "storage-vol-delete";
    STORAGE_VOL_LOOKUP_BY_NAME = 95, "storage-vol-lookup-by-name";
    STORAGE_VOL_LOOKUP_BY_PATH = 97, "storage-vol-lookup-by-path";
    STORAGE_VOL_GET_INFO = 98, "storage-vol-get-info";
    STORAGE_VOL_GET_XML_DESC = 99, "storage-vol-get-xml-desc";
    STORAGE_VOL_GET_PATH = 100, "storage-vol-get-path";
    NODE_GET_FREE_MEMORY = 102, "node-get-free-memory";
    CONNECT_GET_URI = 110, "connect-get-uri";
    NODE_DEVICE_GET_XML_DESC = 114, "node-device-get-xml-desc";
    DOMAIN_IS_ACTIVE = 150, "domain-is-active";
    DOMAIN_IS_PERSISTENT = 151, "domain-is-persistent";
    NETWORK_IS_ACTIVE = 152, "network-is-active";
    NETWORK_IS_PERSISTENT = 153, "network-is-persistent";
    STORAGE_POOL_IS_ACTIVE = 154, "storage-pool-is-active";
    CONNECT_GET_LIB_VERSION = 157, "connect-get-lib-version";
    CONNECT_COMPARE_CPU = 158, "connect-compare-cpu";
    DOMAIN_GET_JOB_INFO = 163, "domain-get-job-info";
    DOMAIN_ABORT_JOB = 164, "domain-abort-job";
    DOMAIN_MIGRATE_SET_MAX_DOWNTIME = 166, "domain-migrate-set-max-downtime";
    DOMAIN_MANAGED_SAVE = 182, "domain-managed-save";
    DOMAIN_HAS_MANAGED_SAVE_IMAGE = 183, "domain-has-managed-save-image";
    DOMAIN_MANAGED_SAVE_REMOVE = 184, "domain-managed-save-remove";
    DOMAIN_GET_BLOCK_INFO = 194, "domain-get-block-info";
    DOMAIN_CREATE_WITH_FLAGS = 196, "domain-create-with-flags";
    DOMAIN_IS_UPDATED = 202, "domain-is-updated";
    CONNECT_GET_SYSINFO = 203, "connect-get-sysinfo";
    DOMAIN_MIGRATE_SET_MAX_SPEED = 207, "domain-migrate-set-max-speed";
    DOMAIN_GET_STATE = 212, "domain-get-state";
    NODE_GET_MEMORY_STATS = 228, "node-get-memory-stats";
    DOMAIN_UNDEFINE_FLAGS = 231, "domain-undefine-flags";
    DOMAIN_DESTROY_FLAGS = 234, "domain-destroy-flags";
    DOMAIN_MIGRATE_GET_MAX_SPEED = 242, "domain-migrate-get-max-speed";
    DOMAIN_SHUTDOWN_FLAGS = 258, "domain-shutdown-flags";
    DOMAIN_SET_METADATA = 264, "domain-set-metadata";
    DOMAIN_GET_METADATA = 265, "domain-get-metadata";
    CONNECT_LIST_ALL_DOMAINS = 273, "connect-list-all-domains";
    CONNECT_LIST_ALL_STORAGE_POOLS = 281, "connect-list-all-storage-pools";
    STORAGE_POOL_LIST_ALL_VOLUMES = 282, "storage-pool-list-all-volumes";
    CONNECT_LIST_ALL_NETWORKS = 283, "connect-list-all-networks";
    CONNECT_LIST_ALL_INTERFACES = 284, "connect-list-all-interfaces";
    CONNECT_LIST_ALL_NODE_DEVICES = 285, "connect-list-all-node-devices";
    DOMAIN_GET_JOB_STATS = 298, "domain-get-job-stats";
    DOMAIN_MIGRATE_PERFORM3_PARAMS = 305, "domain-migrate-perform3-params";
    CONNECT_GET_CPU_MODEL_NAMES = 312, "connect-get-cpu-model-names";
    CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY = 316, "connect-domain-event-callback-register-any";
    CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY = 317, "connect-domain-event-callback-deregister-any";
    DOMAIN_FSFREEZE = 335, "domain-fsfreeze";
    DOMAIN_FSTHAW = 336, "domain-fsthaw";
    CONNECT_GET_DOMAIN_CAPABILITIES = 342, "connect-get-domain-capabilities";
    DOMAIN_DEFINE_XML_FLAGS = 350, "domain-define-xml-flags";
    DOMAIN_MIGRATE_START_POST_COPY = 364, "domain-migrate-start-post-copy";
    DOMAIN_MIGRATE_GET_MAX_DOWNTIME = 387, "domain-migrate-get-max-downtime";
    STORAGE_POOL_LOOKUP_BY_TARGET_PATH = 391, "storage-pool-lookup-by-target-path";
    CONNECT_COMPARE_HYPERVISOR_CPU = 393, "connect-compare-hypervisor-cpu";
    CONNECT_BASELINE_HYPERVISOR_CPU = 394, "connect-baseline-hypervisor-cpu";
    DOMAIN_CHECKPOINT_CREATE_XML = 411, "domain-checkpoint-create-xml";
    DOMAIN_CHECKPOINT_GET_XML_DESC = 412, "domain-checkpoint-get-xml-desc";
    DOMAIN_LIST_ALL_CHECKPOINTS = 413, "domain-list-all-checkpoints";
    DOMAIN_CHECKPOINT_DELETE = 417, "domain-checkpoint-delete";
    DOMAIN_BACKUP_BEGIN = 421, "domain-backup-begin";
    DOMAIN_BACKUP_GET_XML_DESC = 422, "domain-backup-get-xml-desc";
    DOMAIN_ABORT_JOB_FLAGS = 442, "domain-abort-job-flags";
}

/// Numbers of the events that the daemon sends after a registration.
pub(crate) mod event {
    /// A domain was defined, started, stopped and so on.
    pub(crate) const LIFECYCLE: i32 = 318;
    /// A block job changed, by the disk's target name.
    pub(crate) const BLOCK_JOB_2: i32 = 339;
    /// A migration began to go over the memory once more.
    pub(crate) const MIGRATION_ITERATION: i32 = 359;
    /// A job ended.
    pub(crate) const JOB_COMPLETED: i32 = 363;
}
