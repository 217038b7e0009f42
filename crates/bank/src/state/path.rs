//! Paths inside a saved state.

use super::StateError;

/// Longest path in bytes.
const LONGEST: usize = 1024;

/// Checks a path relative to the root of a tree: parts divided by `/`, none of them empty, `.` or `..`, no NUL.
pub fn check_path(path: &[u8]) -> Result<(), StateError> {
    let bad = |reason| {
        let path = String::from_utf8_lossy(path.get(..path.len().min(200)).unwrap_or_default()).into_owned();
        Err(StateError::Path { path, reason })
    };
    if path.is_empty() {
        return bad("it is empty");
    }
    if path.len() > LONGEST {
        return bad("it is longer than 1024 bytes");
    }
    if path.contains(&0) {
        return bad("it holds a NUL");
    }
    if path.split(|&byte| byte == b'/').any(|part| matches!(part, b"" | b"." | b"..")) {
        return bad("a part of it is empty, \".\" or \"..\"");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leaves_its_tree() {
        for good in ["a", "etc/host/motd", "a.b/..c", "\u{fc}"] {
            assert!(check_path(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in ["", "/etc", "a//b", "a/", "../a", "a/../b", "./a", "a/.", "a\0b", &"x".repeat(1025)] {
            assert!(check_path(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
