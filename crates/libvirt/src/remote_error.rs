//! Errors that a daemon answers with.

use std::fmt;

use thiserror::Error;

use crate::xdr::{Decoder, XdrError};

/// A daemon's error, as it sent it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message} [{code}]")]
pub struct RemoteError {
    /// What kind of error.
    pub code: ErrorCode,
    /// Which part of libvirt it comes from (`virErrorDomain`).
    pub domain: i32,
    /// 1 is a warning, 2 an error.
    pub level: i32,
    /// Words for people.
    pub message: String,
    /// Further words, as far as they are not the message.
    pub details: Vec<String>,
}

impl RemoteError {
    /// Reads `virNetMessageError`.
    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Result<Self, XdrError> {
        let (code, domain) = (ErrorCode(decoder.int()?), decoder.int()?);
        let message = decoder.optional(Decoder::text_for_people)?;
        let level = decoder.int()?;
        // An unused domain: name, UUID, id.
        decoder.optional(|decoder| {
            decoder.text_for_people()?;
            decoder.array::<16>("a UUID")?;
            decoder.int()
        })?;
        let mut details = Vec::new();
        for _ in 0..3 {
            let words = decoder.optional(Decoder::text_for_people)?;
            // The first one is the form of the message, the second what was put into it.
            let in_message =
                |words: &String| message.as_ref().is_some_and(|message| message.ends_with(words));
            details.extend(words.filter(|words| !words.contains("%s") && !in_message(words)));
        }
        decoder.int()?;
        decoder.int()?;
        // An unused network: name, UUID.
        decoder.optional(|decoder| {
            decoder.text_for_people()?;
            decoder.array::<16>("a UUID")
        })?;
        let message = message.unwrap_or_else(|| "no message".to_owned());
        Ok(Self { code, domain, level, message, details })
    }
}

/// Kind of an error, libvirt's `virErrorNumber`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub i32);

macro_rules! codes {
    ($($name:ident = $number:literal, $words:literal;)*) => {
        impl ErrorCode {
            $(#[doc = $words] pub const $name: Self = Self($number);)*

            /// In words, if it is one of those with a name here.
            pub fn words(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($words),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    INTERNAL_ERROR = 1, "internal error";
    NO_MEMORY = 2, "out of memory";
    NO_SUPPORT = 3, "not supported by this driver";
    NO_CONNECT = 5, "no connection to the hypervisor";
    INVALID_CONN = 6, "invalid connection";
    INVALID_ARG = 8, "invalid argument";
    OPERATION_FAILED = 9, "operation failed";
    XML_ERROR = 27, "XML description failed";
    DOM_EXIST = 28, "domain exists already";
    OPERATION_DENIED = 29, "operation denied on a read-only connection";
    OPEN_FAILED = 30, "open failed";
    READ_FAILED = 31, "read failed";
    WRITE_FAILED = 34, "write failed";
    XML_DETAIL = 35, "XML not well-formed or invalid";
    NETWORK_EXIST = 37, "network exists already";
    SYSTEM_ERROR = 38, "system call failed";
    RPC = 39, "RPC error";
    NO_DOMAIN = 42, "no such domain";
    NO_NETWORK = 43, "no such network";
    AUTH_FAILED = 45, "authentication failed";
    NO_STORAGE_POOL = 49, "no such storage pool";
    NO_STORAGE_VOL = 50, "no such storage volume";
    NO_NODE_DEVICE = 53, "no such node device";
    OPERATION_INVALID = 55, "operation not valid in this state";
    NO_INTERFACE = 57, "no such interface";
    CONFIG_UNSUPPORTED = 67, "configuration not supported";
    OPERATION_TIMEOUT = 68, "timeout";
    MIGRATE_PERSIST_FAILED = 69, "migrated, but the definition could not be kept";
    ARGUMENT_UNSUPPORTED = 74, "argument not supported";
    OPERATION_ABORTED = 78, "aborted";
    AUTH_CANCELLED = 79, "authentication cancelled";
    NO_DOMAIN_METADATA = 80, "no such metadata";
    MIGRATE_UNSAFE = 81, "migration would be unsafe";
    OPERATION_UNSUPPORTED = 84, "operation not supported";
    AGENT_UNRESPONSIVE = 86, "guest agent does not answer";
    RESOURCE_BUSY = 87, "resource busy";
    ACCESS_DENIED = 88, "access denied";
    STORAGE_VOL_EXIST = 90, "storage volume exists already";
    CPU_INCOMPATIBLE = 91, "CPU incompatible";
    XML_INVALID_SCHEMA = 92, "XML does not follow the schema";
    MIGRATE_FINISH_OK = 93, "migration went through, its end was not told";
    AUTH_UNAVAILABLE = 94, "authentication unavailable";
    AGENT_UNSYNCED = 97, "guest agent is not in step";
    DEVICE_MISSING = 99, "device missing";
    INVALID_DOMAIN_CHECKPOINT = 102, "invalid checkpoint";
    NO_DOMAIN_CHECKPOINT = 103, "no such checkpoint";
    NO_DOMAIN_BACKUP = 104, "no backup runs";
    NO_HOSTNAME = 108, "no host name";
    CHECKPOINT_INCONSISTENT = 109, "checkpoint inconsistent";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} ({})", self.words().unwrap_or("libvirt error"), self.0)
    }
}
