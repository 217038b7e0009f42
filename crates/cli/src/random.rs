//! Random bytes from the kernel, for identities and keys.

use crate::error::{CliError, Kind};

/// So many random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], CliError> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).map_err(|cause| {
        CliError::new(Kind::Failed, "asking the kernel for random bytes").because(cause.to_string())
    })?;
    Ok(bytes)
}
