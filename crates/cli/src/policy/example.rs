//! A policy file in which every key stands with its meaning.

/// The example: all defaults, and the rest switched off by `#`.
pub(crate) const EXAMPLE: &str = include_str!("example.toml");

/// The example with everything switched on.
#[cfg(test)]
pub(super) fn everything() -> String {
    EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(on) if !on.starts_with(' ') && !on.is_empty() => format!("{on}\n"),
            Some(_) | None => format!("{line}\n"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use lifeboat_model::Policy;

    use super::super::keys::{KEYS, Key, Shape};
    use super::*;

    fn paths(path: &str, keys: &[Key], all: &mut Vec<String>) {
        for key in keys {
            let full = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
            if let Shape::Table(inner) | Shape::Tables(inner) = key.shape {
                paths(&full, inner, all);
            } else {
                all.push(full);
            }
        }
    }

    #[test]
    fn the_example_is_the_default_and_with_everything_on_it_names_every_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.toml");
        std::fs::write(&path, EXAMPLE).unwrap();
        assert_eq!(crate::policy::load(&path).unwrap().policy, Policy::default());
        std::fs::write(&path, everything()).unwrap();
        let loaded = crate::policy::load(&path).unwrap();
        let found: Vec<String> = loaded.origins.keys().map(|key| key.replace(".0.", ".")).collect();
        let mut all = Vec::new();
        paths("", KEYS, &mut all);
        let missing: Vec<_> = all.iter().filter(|key| !found.contains(key)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn the_page_has_every_key_with_its_default_and_no_other() {
        let page = include_str!("../../../../docs/ops/policy.md");
        let documented: Vec<(String, String)> = page
            .lines()
            .filter(|line| !line.starts_with("| `lifeboat "))
            .filter_map(|line| {
                let mut cells = line.strip_prefix("| `")?.split(" | ");
                let key = cells.next()?.trim_end_matches('`').to_owned();
                Some((key, cells.next()?.trim_matches('`').to_owned()))
            })
            .collect();
        let mut all = Vec::new();
        paths("", KEYS, &mut all);
        let coded: Vec<(String, String)> = all
            .into_iter()
            .map(|path| {
                let default = match super::super::keys::find(&path).unwrap().default {
                    super::super::keys::Default::Is(text) => text,
                    super::super::keys::Default::None => "none",
                    super::super::keys::Default::Required(_) => "required",
                };
                (path, default.to_owned())
            })
            .collect();
        assert_eq!(documented, coded);
    }
}
