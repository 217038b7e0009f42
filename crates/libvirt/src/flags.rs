//! Flags of calls, one type for each set, so that none can be given to the wrong call.
//!
//! The bits are those of libvirt's public headers, release 9.0.

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident { $($(#[$flag_doc:meta])* $flag:ident = $bit:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name(u32);

        impl $name {
            /// None of them.
            pub const NONE: Self = Self(0);
            $($(#[$flag_doc])* pub const $flag: Self = Self(1 << $bit);)*

            /// The bits as they are sent.
            #[must_use]
            pub const fn bits(self) -> u32 {
                self.0
            }

            /// From bits, also ones that have no name here.
            #[must_use]
            pub const fn from_bits(bits: u32) -> Self {
                Self(bits)
            }

            /// Whether all of these are set.
            #[must_use]
            pub const fn contains(self, all: Self) -> bool {
                self.0 & all.0 == all.0
            }

            /// These and those.
            #[must_use]
            pub const fn with(self, more: Self) -> Self {
                Self(self.0 | more.0)
            }

            /// These without those.
            #[must_use]
            pub const fn without(self, less: Self) -> Self {
                Self(self.0 & !less.0)
            }
        }

        impl std::ops::BitOr for $name {
            type Output = Self;

            fn bitor(self, more: Self) -> Self {
                self.with(more)
            }
        }

        impl std::ops::BitOrAssign for $name {
            fn bitor_assign(&mut self, more: Self) {
                *self = self.with(more);
            }
        }
    )*};
}

flags! {
    /// Which domains a list has. Within a pair (active, inactive) no flag means both.
    DomainFilter {
        /// Running, paused.
        ACTIVE = 0,
        /// Defined and not running.
        INACTIVE = 1,
        /// With a definition that stays.
        PERSISTENT = 2,
        /// Without one.
        TRANSIENT = 3,
        /// Running.
        RUNNING = 4,
        /// Paused.
        PAUSED = 5,
        /// Off.
        SHUTOFF = 6,
        /// In another state.
        OTHER = 7,
        /// With a saved memory image.
        MANAGED_SAVE = 8,
        /// Without one.
        NO_MANAGED_SAVE = 9,
        /// Started with the daemon.
        AUTOSTART = 10,
        /// Not started with it.
        NO_AUTOSTART = 11,
        /// With snapshots.
        HAS_SNAPSHOT = 12,
        /// Without snapshots.
        NO_SNAPSHOT = 13,
        /// With checkpoints.
        HAS_CHECKPOINT = 14,
        /// Without checkpoints.
        NO_CHECKPOINT = 15,
    }
    /// How a domain's XML is written.
    XmlFlags {
        /// With passwords.
        SECURE = 0,
        /// The definition for the next start.
        INACTIVE = 1,
        /// With the CPU as it would be on this host.
        UPDATE_CPU = 2,
        /// As another host should get it.
        MIGRATABLE = 3,
    }
    /// How a domain is defined.
    DefineFlags {
        /// Check against the schema.
        VALIDATE = 0,
    }
    /// What goes with a definition.
    UndefineFlags {
        /// The saved memory image.
        MANAGED_SAVE = 0,
        /// Metadata of snapshots.
        SNAPSHOTS_METADATA = 1,
        /// Firmware variables.
        NVRAM = 2,
        /// Firmware variables are kept.
        KEEP_NVRAM = 3,
        /// Metadata of checkpoints.
        CHECKPOINTS_METADATA = 4,
        /// State of the TPM.
        TPM = 5,
        /// State of the TPM is kept.
        KEEP_TPM = 6,
    }
    /// How a domain is started.
    StartFlags {
        /// Stays paused.
        PAUSED = 0,
        /// Dies with the connection.
        AUTODESTROY = 1,
        /// Reads a saved image without the page cache.
        BYPASS_CACHE = 2,
        /// Ignores a saved image.
        FORCE_BOOT = 3,
        /// Check against the schema.
        VALIDATE = 4,
        /// Fresh firmware variables.
        RESET_NVRAM = 5,
    }
    /// How a domain is asked to shut down.
    ShutdownFlags {
        /// By the ACPI power button.
        ACPI_POWER_BUTTON = 0,
        /// By the agent within.
        GUEST_AGENT = 1,
    }
    /// How a domain is ended.
    DestroyFlags {
        /// Only by the signal that lets QEMU flush; fails when that is not enough.
        GRACEFUL = 0,
    }
    /// How a domain's memory is saved.
    SaveFlags {
        /// Without the page cache.
        BYPASS_CACHE = 0,
        /// Runs after it is restored.
        RUNNING = 1,
        /// Is paused after it is restored.
        PAUSED = 2,
    }
    /// Where a change takes effect.
    Affect {
        /// In the running domain.
        LIVE = 0,
        /// In the definition.
        CONFIG = 1,
    }
    /// How a domain is migrated.
    MigrateFlags {
        /// While it runs.
        LIVE = 0,
        /// By the source daemon itself; always set by this client.
        PEER2PEER = 1,
        /// Through the daemons' connection.
        TUNNELLED = 2,
        /// Its definition stays on the target.
        PERSIST_DEST = 3,
        /// Its definition leaves the source.
        UNDEFINE_SOURCE = 4,
        /// Arrives paused.
        PAUSED = 5,
        /// Copies all of its disks.
        NON_SHARED_DISK = 6,
        /// Copies what its disks have above their backing files.
        NON_SHARED_INC = 7,
        /// Nothing else may change it meanwhile; set by libvirt itself.
        CHANGE_PROTECTION = 8,
        /// Although the storage or cache mode may lose writes.
        UNSAFE = 9,
        /// Only the definition of a domain that is off.
        OFFLINE = 10,
        /// Compresses memory.
        COMPRESSED = 11,
        /// An input or output error ends it.
        ABORT_ON_ERROR = 12,
        /// Slows the guest when it writes faster than can be sent.
        AUTO_CONVERGE = 13,
        /// May be switched to post-copy.
        POSTCOPY = 15,
        /// Memory goes over TLS.
        TLS = 16,
        /// Over several connections.
        PARALLEL = 17,
        /// Writes to disks wait for the target.
        NON_SHARED_SYNCHRONOUS_WRITES = 18,
        /// Goes on with a broken post-copy.
        POSTCOPY_RESUME = 19,
        /// Sends memory without copying it.
        ZEROCOPY = 20,
    }
    /// Which job's statistics.
    JobStatsFlags {
        /// Of the job that ended last; they are forgotten when read.
        COMPLETED = 0,
        /// They are not forgotten.
        KEEP_COMPLETED = 1,
    }
    /// How a job is aborted.
    AbortFlags {
        /// Although it is in post-copy: the guest stays paused.
        POSTCOPY = 0,
    }
    /// How a backup begins.
    BackupFlags {
        /// Into files that are there already.
        REUSE_EXTERNAL = 0,
    }
    /// How a checkpoint is created.
    CheckpointFlags {
        /// Only its metadata, from XML of an earlier one.
        REDEFINE = 0,
        /// With frozen file systems.
        QUIESCE = 1,
        /// The bitmap must be there.
        REDEFINE_VALIDATE = 2,
    }
    /// How a checkpoint's XML is written.
    CheckpointXmlFlags {
        /// With passwords.
        SECURE = 0,
        /// Without the domain.
        NO_DOMAIN = 1,
        /// With sizes.
        SIZE = 2,
    }
    /// What goes with a checkpoint.
    CheckpointDeleteFlags {
        /// All after it.
        CHILDREN = 0,
        /// Its bitmap is kept.
        METADATA_ONLY = 1,
    }
    /// How CPUs are compared.
    CompareFlags {
        /// Incompatible is an error that names the features.
        FAIL_INCOMPATIBLE = 0,
        /// Check against the schema.
        VALIDATE_XML = 1,
    }
    /// How the baseline of CPUs is written.
    BaselineFlags {
        /// With all features.
        EXPAND_FEATURES = 0,
        /// Without features that cannot migrate.
        MIGRATABLE = 1,
    }
    /// Which networks a list has.
    NetworkFilter {
        /// Not running.
        INACTIVE = 0,
        /// Running.
        ACTIVE = 1,
        /// With a definition that stays.
        PERSISTENT = 2,
        /// Without one.
        TRANSIENT = 3,
    }
    /// Which storage pools a list has.
    PoolFilter {
        /// Not running.
        INACTIVE = 0,
        /// Running.
        ACTIVE = 1,
        /// With a definition that stays.
        PERSISTENT = 2,
        /// Without one.
        TRANSIENT = 3,
    }
    /// How a volume is created.
    VolumeCreateFlags {
        /// Metadata of the image is written at once.
        PREALLOC_METADATA = 0,
        /// As a lightweight copy.
        REFLINK = 1,
    }
    /// Which interfaces a list has.
    InterfaceFilter {
        /// Down.
        INACTIVE = 0,
        /// Up.
        ACTIVE = 1,
    }
    /// Which node devices a list has.
    NodeDeviceFilter {
        /// The machine.
        SYSTEM = 0,
        /// PCI devices.
        PCI = 1,
        /// USB devices.
        USB = 2,
        /// Network interfaces.
        NET = 4,
        /// SCSI adapters.
        SCSI_HOST = 5,
        /// SCSI targets.
        SCSI_TARGET = 6,
        /// SCSI units.
        SCSI = 7,
        /// Disks.
        STORAGE = 8,
        /// Fibre Channel adapters.
        FC_HOST = 9,
        /// Mediated devices.
        MDEV = 14,
    }
}

impl DomainFilter {
    /// All domains.
    pub const ALL: Self = Self::NONE;
}
