//! Which host it is, and whether two are the same one.

use std::path::Path;

use crate::form::HostFacts;
use crate::root::Root;

/// Whether two descriptions are of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sameness {
    /// The same, by this sign.
    Same(&'static str),
    /// Another one: what differs, there and here.
    Other(&'static str, String, String),
    /// Nothing that both tell.
    Unknown,
}

/// Describes the host of a root and of a tree like `/sys`.
pub fn read_host(root: &Root, sys: &Path, kernel: Option<String>, arch: Option<String>) -> HostFacts {
    let line = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let dmi = |name: &str| std::fs::read_to_string(sys.join("class/dmi/id").join(name)).ok().and_then(line);
    let model: Vec<String> = ["sys_vendor", "product_name"].into_iter().filter_map(dmi).collect();
    HostFacts {
        hostname: root.text("etc/hostname").and_then(line),
        machine_id: root.text("etc/machine-id").and_then(line).filter(|id| id != "uninitialized"),
        dmi_uuid: dmi("product_uuid")
            .map(|uuid| uuid.to_lowercase())
            .filter(|uuid| tells_machines_apart(uuid)),
        dmi_serial: dmi("product_serial"),
        dmi_model: (!model.is_empty()).then(|| model.join(" ")),
        kernel,
        arch,
    }
}

/// Makers put the same UUID into every board when they forget to set one.
fn tells_machines_apart(uuid: &str) -> bool {
    let digits: Vec<char> = uuid.chars().filter(char::is_ascii_hexdigit).collect();
    let all_same = digits.iter().all(|digit| Some(digit) == digits.first());
    digits.len() == 32 && !all_same && uuid != "03000200-0400-0500-0006-000700080009"
}

/// Whether state of one may be written to the other. The machine counts before the installation: a host that was installed
/// anew is the same host with another machine-id.
pub fn compare_hosts(there: &HostFacts, here: &HostFacts) -> Sameness {
    let pair = |a: &Option<String>, b: &Option<String>| a.clone().zip(b.clone());
    if let Some((a, b)) = pair(&there.dmi_uuid, &here.dmi_uuid) {
        if a == b {
            return Sameness::Same("the machine's UUID");
        }
        return Sameness::Other("the machine's UUID", a, b);
    }
    if let Some((a, b)) = pair(&there.machine_id, &here.machine_id) {
        if a == b {
            return Sameness::Same("the machine-id");
        }
        return Sameness::Other("the machine-id", a, b);
    }
    Sameness::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_counts_before_the_installation() {
        let facts = |uuid: Option<&str>, id: Option<&str>| HostFacts {
            dmi_uuid: uuid.map(str::to_owned),
            machine_id: id.map(str::to_owned),
            ..HostFacts::default()
        };
        let a = facts(Some("u1"), Some("m1"));
        assert!(matches!(compare_hosts(&a, &facts(Some("u1"), Some("m2"))), Sameness::Same(_)));
        assert!(matches!(compare_hosts(&a, &facts(Some("u2"), Some("m1"))), Sameness::Other(..)));
        assert!(matches!(compare_hosts(&a, &facts(None, Some("m1"))), Sameness::Same(_)));
        assert_eq!(compare_hosts(&a, &facts(None, None)), Sameness::Unknown);
    }

    #[test]
    fn a_uuid_that_many_boards_share_is_none() {
        assert!(!tells_machines_apart("ffffffff-ffff-ffff-ffff-ffffffffffff"));
        assert!(!tells_machines_apart("03000200-0400-0500-0006-000700080009"));
        assert!(tells_machines_apart("4c4c4544-0042-3510-8048-b4c04f473432"));
    }
}
