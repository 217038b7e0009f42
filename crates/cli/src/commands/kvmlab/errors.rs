//! What a failure of the lab means for the exit code.

use std::error::Error as _;

use lifeboat_kvmlab::LabError;

use crate::args::KvmLabName;
use crate::error::{CliError, Kind};

pub(super) fn kvmlab_error(lab: &KvmLabName, cause: LabError) -> CliError {
    let kind = match &cause {
        LabError::AlreadyUp { .. } | LabError::HostOff { .. } => Kind::Conflict,
        LabError::NotUp { .. }
        | LabError::UnknownHost { .. }
        | LabError::MissingTool { .. }
        | LabError::NoProgram { .. } => Kind::NotFound,
        LabError::BadFolder { .. } | LabError::Refused { .. } => Kind::Usage,
        LabError::Deadline { .. } | LabError::NotRunning { .. } => Kind::Unreachable,
        _ => Kind::Failed,
    };
    let error = CliError::new(kind, format!("lab {}", lab.name));
    let text = cause.to_string();
    match text.rsplit_once("; ") {
        Some((what, remedy)) if cause.source().is_none() => error.because(what).remedy(remedy),
        Some(_) | None => {
            error.because(cause).remedy("see: lifeboat kvmlab status; lifeboat kvmlab up --help")
        }
    }
}
