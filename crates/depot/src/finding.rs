//! What can be found in a release or in what it would do to a host.
//!
//! Owns: the codes, how much each weighs, and what a person can do. Promises: a code never changes its meaning;
//! `docs/ops/depots.md` holds the same table. Does not: decide when a code applies.

use lifeboat_model::{Finding, Severity};

/// Why a release, a VIB or an update deserves a person's look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// The VIB cannot be read.
    VibUnreadable,
    /// A payload's bytes or sums are not what the descriptor says.
    PayloadAltered,
    /// A payload has no sum at all.
    PayloadUnproven,
    /// A payload cannot be unpacked.
    PayloadUndecodable,
    /// Archive and descriptor do not name the same payloads.
    PayloadsDisagree,
    /// A path in a payload leaves the root.
    PayloadTraversal,
    /// A payload holds a symbolic link that leaves the root.
    PayloadSymlink,
    /// A payload's archive is damaged.
    PayloadArchive,
    /// Files of the payloads and the file list differ.
    FileListDiffers,
    /// Elements that this program does not know.
    UnknownElement,
    /// Something in the form that ought to be otherwise.
    DescriptorOdd,
    /// Two VIBs with one id and unequal payloads.
    SameIdOtherPayload,
    /// The index of the bundle and the VIB in it say different things.
    IndexDisagrees,
    /// A VIB of the index is not in the bundle.
    VibMissing,
    /// A profile names a VIB that the bundle does not hold.
    ProfileVibMissing,
    /// A file of the bundle that nothing names.
    NotInIndex,
    /// A member's name leaves the folder.
    ZipTraversal,
    /// The bundle lacks what newer lifecycle managers want.
    BundleThin,
    /// Nobody signed the VIB.
    Unsigned,
    /// Trust was not looked at, because no root was given.
    TrustNotChecked,
    /// The signature is wrong.
    SignatureWrong,
    /// The signature cannot be read.
    SignatureUnreadable,
    /// The signature uses a method that is not known here.
    SignatureMethod,
    /// The signature uses a method that is no longer safe.
    SignatureWeak,
    /// No chain leads to a trusted root.
    ChainUntrusted,
    /// A certificate of the chain is not valid at the date.
    CertificateDate,
    /// The level claimed is higher than the root may vouch for.
    LevelNotCovered,
    /// The host asks for a higher level.
    LevelBelowHost,
    /// Levels could not be compared with the host's.
    HostLevelUnknown,
    /// A dependency that nothing provides.
    DependencyMissing,
    /// A dependency that could not be proved, because a VIB on the host is not known.
    DependencyUnproven,
    /// Two VIBs that exclude each other.
    Conflict,
    /// VIBs of the host whose relations are not known.
    RelationsUnknown,
    /// The VIB is made for other hardware.
    HardwareOther,
    /// The host's hardware is not known.
    HardwareUnknown,
    /// A VIB would go down.
    WouldDowngrade,
    /// A VIB of the host would be removed.
    WouldRemove,
    /// The order of two versions rests on our choice.
    VersionOrderUnsettled,
    /// The result does not fit the bank.
    BankTooSmall,
    /// Whether it fits cannot be told.
    BankFitUnknown,
    /// A VIB that the host has and the request names is not in the depot.
    NothingMatches,
}

impl Code {
    /// Every code, in the order of the documented table.
    pub const ALL: [Self; 41] = [
        Self::VibUnreadable,
        Self::PayloadAltered,
        Self::PayloadUnproven,
        Self::PayloadUndecodable,
        Self::PayloadsDisagree,
        Self::PayloadTraversal,
        Self::PayloadSymlink,
        Self::PayloadArchive,
        Self::FileListDiffers,
        Self::UnknownElement,
        Self::DescriptorOdd,
        Self::SameIdOtherPayload,
        Self::IndexDisagrees,
        Self::VibMissing,
        Self::ProfileVibMissing,
        Self::NotInIndex,
        Self::ZipTraversal,
        Self::BundleThin,
        Self::Unsigned,
        Self::TrustNotChecked,
        Self::SignatureWrong,
        Self::SignatureUnreadable,
        Self::SignatureMethod,
        Self::SignatureWeak,
        Self::ChainUntrusted,
        Self::CertificateDate,
        Self::LevelNotCovered,
        Self::LevelBelowHost,
        Self::HostLevelUnknown,
        Self::DependencyMissing,
        Self::DependencyUnproven,
        Self::Conflict,
        Self::RelationsUnknown,
        Self::HardwareOther,
        Self::HardwareUnknown,
        Self::WouldDowngrade,
        Self::WouldRemove,
        Self::VersionOrderUnsettled,
        Self::BankTooSmall,
        Self::BankFitUnknown,
        Self::NothingMatches,
    ];

    /// Stable word, weight, meaning, remedy: the one place where they are written.
    #[expect(clippy::too_many_lines, reason = "one line for each code")]
    const fn table(self) -> (&'static str, Severity, &'static str, &'static str) {
        use Severity::{Blocker, Note, Warning};
        let get_anew = "get the file anew from its maker, and compare its sum with the maker's";
        match self {
            Self::VibUnreadable => ("vib-unreadable", Blocker, "a VIB cannot be read", get_anew),
            Self::PayloadAltered => {
                ("payload-altered", Blocker, "a payload is not what its descriptor says", get_anew)
            }
            Self::PayloadUnproven => (
                "payload-unproven",
                Warning,
                "a payload has no sum in the descriptor",
                "ask its maker for a VIB with sums; altered bytes would not be noticed",
            ),
            Self::PayloadUndecodable => {
                ("payload-undecodable", Blocker, "a payload cannot be unpacked", get_anew)
            }
            Self::PayloadsDisagree => {
                ("payloads-disagree", Blocker, "archive and descriptor name different payloads", get_anew)
            }
            Self::PayloadTraversal => (
                "payload-traversal",
                Blocker,
                "a path in a payload leaves the root directory",
                "do not install it; ask its maker",
            ),
            Self::PayloadSymlink => (
                "payload-symlink",
                Warning,
                "a payload holds a link whose target leaves its directory",
                "look where the link leads before installing it",
            ),
            Self::PayloadArchive => {
                ("payload-archive-damaged", Blocker, "the archive in a payload is damaged", get_anew)
            }
            Self::FileListDiffers => (
                "file-list-differs",
                Note,
                "files of the payloads and the file list of the descriptor differ",
                "ask its maker; the file list is what conflicts of files are judged by",
            ),
            Self::UnknownElement => (
                "element-unknown",
                Note,
                "the descriptor holds elements that are not known here",
                "nothing; they are not looked at",
            ),
            Self::DescriptorOdd => (
                "descriptor-odd",
                Warning,
                "the descriptor says something that is not in the form",
                "ask its maker; what is not understood is not relied upon",
            ),
            Self::SameIdOtherPayload => (
                "same-id-other-payload",
                Blocker,
                "two VIBs have one id and unequal payloads",
                "find out which one is its maker's, and leave the other one out",
            ),
            Self::IndexDisagrees => (
                "index-disagrees",
                Blocker,
                "the index of the bundle and the VIB in it say different things",
                get_anew,
            ),
            Self::VibMissing => (
                "vib-missing",
                Blocker,
                "the index names a VIB that is not there",
                "get the whole bundle; this one was cut or holds metadata only",
            ),
            Self::ProfileVibMissing => (
                "profile-vib-missing",
                Blocker,
                "a profile names a VIB that the depot does not hold",
                "add the depot that holds it",
            ),
            Self::NotInIndex => (
                "file-not-in-index",
                Note,
                "the bundle holds a file that its index does not name",
                "nothing; the file is not used",
            ),
            Self::ZipTraversal => (
                "zip-traversal",
                Blocker,
                "a name in the bundle leaves its folder",
                "do not unpack it; get the file anew from its maker",
            ),
            Self::BundleThin => (
                "bundle-thin",
                Note,
                "newer lifecycle managers refuse such a bundle",
                "ask its maker for one with a vendor code of three characters and the product ids of ESXi",
            ),
            Self::Unsigned => (
                "unsigned",
                Warning,
                "nobody signed the VIB",
                "get it from a place that you trust, and lower the host's level only if you must",
            ),
            Self::TrustNotChecked => (
                "trust-not-checked",
                Warning,
                "signatures were not followed to a trusted root",
                "give the root certificates: --trust CA.pem",
            ),
            Self::SignatureWrong => {
                ("signature-wrong", Blocker, "the signature does not fit the descriptor", get_anew)
            }
            Self::SignatureUnreadable => {
                ("signature-unreadable", Blocker, "the signature cannot be read", get_anew)
            }
            Self::SignatureMethod => (
                "signature-method-unknown",
                Blocker,
                "the signature uses a method that is not known here",
                "verify it with another program, or ask its maker for RSA with SHA-256",
            ),
            Self::SignatureWeak => (
                "signature-method-weak",
                Warning,
                "the signature uses a method that is no longer safe",
                "ask its maker for one with SHA-256 and at least 2048 bits",
            ),
            Self::ChainUntrusted => (
                "chain-untrusted",
                Blocker,
                "no chain of certificates leads to a trusted root",
                "give the right root with --trust, or do not install it",
            ),
            Self::CertificateDate => (
                "certificate-not-valid-then",
                Blocker,
                "a certificate of the chain is not valid at the date",
                "ask its maker for a new signature; with --at another date can be looked at",
            ),
            Self::LevelNotCovered => (
                "level-not-covered",
                Blocker,
                "the VIB claims a higher level than its certificate may vouch for",
                "do not install it as what it claims to be; ask its maker",
            ),
            Self::LevelBelowHost => (
                "level-below-host",
                Blocker,
                "the host asks for a higher acceptance level",
                "leave the VIB out, or lower the level of the host: esxcli software acceptance set",
            ),
            Self::HostLevelUnknown => (
                "host-level-unknown",
                Note,
                "the acceptance level of the host is not known",
                "give it with --host-level, as printed by: esxcli software acceptance get",
            ),
            Self::DependencyMissing => (
                "dependency-missing",
                Blocker,
                "nothing provides what a VIB depends upon",
                "add the depot that holds it, or leave the VIB out",
            ),
            Self::DependencyUnproven => (
                "dependency-unproven",
                Warning,
                "only VIBs whose relations are not known could provide what a VIB depends upon",
                "give the relations of the host's VIBs: add the text of `esxcli software vib get` to --host",
            ),
            Self::Conflict => (
                "vib-conflict",
                Blocker,
                "VIBs of the result exclude each other",
                "remove one of them from the host or from the request",
            ),
            Self::RelationsUnknown => (
                "relations-unknown",
                Note,
                "relations of VIBs on the host are not known",
                "give them: add the text of `esxcli software vib get` to --host",
            ),
            Self::HardwareOther => (
                "hardware-other",
                Blocker,
                "a VIB is made for other hardware",
                "leave the VIB out; choose the image of the maker of this host",
            ),
            Self::HardwareUnknown => (
                "hardware-unknown",
                Note,
                "a VIB asks for hardware, and the host's is not known",
                "give it with --hardware, as printed by: esxcli hardware platform get",
            ),
            Self::WouldDowngrade => (
                "would-downgrade",
                Blocker,
                "a VIB of the host would be replaced by an older one",
                "use an updating mode, which skips it, or allow it with --allow-downgrades",
            ),
            Self::WouldRemove => (
                "would-remove",
                Blocker,
                "a VIB of the host would be removed without a successor",
                "use --mode profile-update, which keeps it, or allow it with --ok-to-remove",
            ),
            Self::VersionOrderUnsettled => (
                "version-order-unsettled",
                Warning,
                "no known update shows which of two versions is newer",
                "look at both versions yourself",
            ),
            Self::BankTooSmall => (
                "bank-too-small",
                Blocker,
                "the result does not fit the bank",
                "leave VIBs out, use a smaller profile, or install on a disk with larger banks",
            ),
            Self::BankFitUnknown => (
                "bank-fit-unknown",
                Note,
                "whether the result fits the bank cannot be told for certain",
                "give a depot that holds every VIB of the result, or resolve a whole profile",
            ),
            Self::NothingMatches => (
                "nothing-matches",
                Warning,
                "a name that was asked for is not in the depot",
                "look at the names: lifeboat depot show",
            ),
        }
    }

    /// The stable word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        self.table().0
    }

    /// How much it weighs.
    #[must_use]
    pub const fn severity(self) -> Severity {
        self.table().1
    }

    /// What it means.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        self.table().2
    }

    /// What a person can do.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        self.table().3
    }

    /// A finding of this code.
    #[must_use]
    pub fn at(self, subject: impl Into<String>, evidence: impl Into<String>) -> Finding {
        self.weighing(self.severity(), subject, evidence)
    }

    /// A finding of this code that weighs something else this time.
    pub(crate) fn weighing(
        self,
        severity: Severity,
        subject: impl Into<String>,
        evidence: impl Into<String>,
    ) -> Finding {
        Finding {
            code: self.word().to_owned(),
            severity,
            subject: subject.into(),
            evidence: evidence.into(),
            remedy: self.remedy().to_owned(),
            fix: None,
            undo: None,
        }
    }
}
