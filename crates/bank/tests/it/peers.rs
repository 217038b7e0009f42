//! Programs of others that look at what we wrote.

use std::process::Command;

/// Runs a peer; none (with a printed reason) when it is not installed, unless the peers are required.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let output = match Command::new(program).args(arguments).env("MTOOLS_SKIP_CHECK", "1").output() {
        Ok(output) => output,
        Err(error) => {
            assert!(
                std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(),
                "{program} is required and cannot be run: {error}"
            );
            println!("skipped: {program} is not installed ({error})");
            return None;
        }
    };
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Some((output.status.success(), text))
}
