//! Where configuration files name devices.

use crate::path::RelPath;

/// A name of a device in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// First byte in the file.
    pub offset: usize,
    /// The name as it stands there, such as `/dev/sda1` or `UUID=…`.
    pub name: String,
    /// What the host does without the device: it comes up all the same (`noauto`, `nofail`).
    pub optional: bool,
}

/// Most names that are looked for in one file.
const LIMIT: usize = 10_000;
/// Largest file that is searched.
pub(super) const SIZE_LIMIT: u64 = 4 << 20;

/// Whether a file can name devices that a host needs.
pub fn is_searched(path: &RelPath) -> bool {
    form_of(path).is_some()
}

#[derive(Clone, Copy)]
enum Form {
    /// fields: the first is the device, the fourth the options.
    Fstab,
    /// fields: the second is the device, the third may be, the fourth the options.
    Crypttab,
    /// `/dev/…` and `UUID=` anywhere in a line, up to a comment.
    Words,
    /// `dev='…'`, `path='/dev/…'` in XML.
    Xml,
}

fn form_of(path: &RelPath) -> Option<Form> {
    const WORDS: [&str; 10] = [
        "etc/mdadm.conf",
        "etc/mdadm",
        "etc/mdadm.conf.d",
        "etc/lvm/lvm.conf",
        "etc/lvm/devices",
        "etc/initramfs-tools/conf.d/resume",
        "etc/default/grub",
        "etc/kernel/cmdline",
        "etc/xensource-inventory",
        "etc/tgt",
    ];
    let text = path.as_str()?;
    let is_named = |end| std::path::Path::new(text).extension().is_some_and(|extension| extension == end);
    if text == "etc/fstab" || (path.is_within("etc/fstab.d") && is_named("fstab")) {
        Some(Form::Fstab)
    } else if text == "etc/crypttab" {
        Some(Form::Crypttab)
    } else if path.is_within("etc/libvirt") && is_named("xml") {
        Some(Form::Xml)
    } else {
        WORDS.iter().any(|folder| path.is_within(folder)).then_some(Form::Words)
    }
}

/// Every name of a device in a file; none if the file is no text or is not one that names devices.
pub fn find_references(path: &RelPath, bytes: &[u8]) -> Vec<Reference> {
    let (Some(form), Ok(text)) = (form_of(path), std::str::from_utf8(bytes)) else { return Vec::new() };
    let mut found = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if found.len() > LIMIT {
            break;
        }
        match form {
            Form::Fstab => fields(line, at, &[0], &mut found),
            Form::Crypttab => fields(line, at, &[1, 2], &mut found),
            Form::Words => words(line, at, &mut found),
            Form::Xml => attributes(line, at, &mut found),
        }
        at += line.len();
    }
    found
}

/// Whether a word names a device of this machine. `/dev/null` and the like do not.
fn names_a_device(word: &str) -> bool {
    const TAGS: [&str; 6] = ["UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=", "ID=", "MD_UUID="];
    const NOT: [&str; 12] = [
        "/dev/null",
        "/dev/zero",
        "/dev/random",
        "/dev/urandom",
        "/dev/shm",
        "/dev/pts",
        "/dev/tty",
        "/dev/hugepages",
        "/dev/console",
        "/dev/kvm",
        "/dev/full",
        "/dev/loop",
    ];
    let tagged =
        TAGS.iter().any(|tag| word.strip_prefix(tag).is_some_and(|rest| !rest.trim_matches('"').is_empty()));
    let path = word
        .strip_prefix("/dev/")
        .is_some_and(|rest| !rest.is_empty() && !rest.contains(['*', '?', '[', '|']));
    tagged || (path && !NOT.iter().any(|not| word.starts_with(not)))
}

fn fields(line: &str, at: usize, which: &[usize], found: &mut Vec<Reference>) {
    if line.trim_start().starts_with('#') {
        return;
    }
    let start = line.as_ptr() as usize;
    let parts: Vec<&str> = line.split_ascii_whitespace().collect();
    let options = parts.get(3).copied().unwrap_or_default();
    let optional = options.split(',').any(|option| matches!(option, "noauto" | "nofail"));
    for part in which.iter().filter_map(|i| parts.get(*i)).filter(|part| names_a_device(part)) {
        found.push(Reference {
            offset: at + (part.as_ptr() as usize - start),
            name: (*part).to_owned(),
            optional,
        });
    }
}

fn words(line: &str, at: usize, found: &mut Vec<Reference>) {
    let line = match line.find('#') {
        // A `#` inside of a word is part of it.
        Some(cut) if cut == 0 || line.as_bytes().get(cut - 1).is_some_and(u8::is_ascii_whitespace) => {
            line.get(..cut).unwrap_or_default()
        }
        _ => line,
    };
    let start = line.as_ptr() as usize;
    let is_end = |letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | ',' | ';');
    for word in line.split(is_end) {
        // `root=/dev/sda1`, `devices=/dev/sda,/dev/sdb`, `RESUME=UUID=…`: the name is behind the key.
        let mut name = word;
        while !names_a_device(name) {
            match name.split_once('=') {
                Some((_, rest)) => name = rest,
                None => break,
            }
        }
        // Lines of ARRAY in mdadm.conf name the array with UUID=: the array's own, which no disk has.
        let of_array = name.starts_with("UUID=") && line.trim_start().starts_with("ARRAY");
        if names_a_device(name) && !of_array {
            let offset = at + (name.as_ptr() as usize - start);
            found.push(Reference { offset, name: name.to_owned(), optional: false });
        }
    }
}

fn attributes(line: &str, at: usize, found: &mut Vec<Reference>) {
    let start = line.as_ptr() as usize;
    let mut rest = line;
    while let Some(cut) = rest.find("/dev/") {
        let before = rest.get(..cut).unwrap_or_default();
        let after = rest.get(cut..).unwrap_or_default();
        let quote = before.chars().next_back().filter(|quote| matches!(quote, '"' | '\''));
        let end = quote.and_then(|quote| after.find(quote));
        let Some(name) = end.and_then(|end| after.get(..end)) else {
            // `<path>/dev/…</path>` of a pool is its folder, not a device.
            rest = after.get(5..).unwrap_or_default();
            continue;
        };
        let owned = before.trim_end_matches(['"', '\'']).trim_end();
        if names_a_device(name)
            && (owned.ends_with("dev=") || owned.ends_with("path=") || owned.ends_with("file="))
        {
            found.push(Reference {
                offset: at + (after.as_ptr() as usize - start),
                name: name.to_owned(),
                // A guest without its disk does not start; the host does.
                optional: false,
            });
        }
        rest = after.get(name.len()..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn names(path: &str, text: &str) -> Vec<(String, bool)> {
        let found = find_references(&RelPath::new(path.as_bytes()).unwrap(), text.as_bytes());
        for reference in &found {
            let end = reference.offset + reference.name.len();
            assert_eq!(&text[reference.offset..end], reference.name, "{reference:?}");
        }
        found.into_iter().map(|reference| (reference.name, reference.optional)).collect()
    }

    #[test]
    fn devices_are_found_where_each_file_names_them() {
        let fstab = "# /dev/sdz1 old\nUUID=ab-1 / ext4 defaults 0 1\n  /dev/disk/by-id/cciss-36-part2\t/srv xfs nofail 0 0\n\
                     proc /proc proc defaults 0 0\nhost:/export /mnt nfs defaults 0 0\n/dev/cdrom /media iso9660 noauto 0 0\n";
        let pair = |name: &str, optional| (name.to_owned(), optional);
        assert_eq!(
            names("etc/fstab", fstab),
            [
                pair("UUID=ab-1", false),
                pair("/dev/disk/by-id/cciss-36-part2", true),
                pair("/dev/cdrom", true)
            ]
        );
        let crypttab = "swap /dev/sda3 /dev/urandom swap\ndata PARTUUID=01 none luks,nofail\n";
        assert_eq!(names("etc/crypttab", crypttab), [pair("/dev/sda3", false), pair("PARTUUID=01", true)]);
        let mdadm =
            "DEVICE /dev/sda1 /dev/sdb1 # two\nARRAY /dev/md0 UUID=1:2:3:4 devices=/dev/sdc1,/dev/sdd1\n";
        assert_eq!(
            names("etc/mdadm/mdadm.conf", mdadm),
            ["/dev/sda1", "/dev/sdb1", "/dev/md0", "/dev/sdc1", "/dev/sdd1"].map(|name| pair(name, false))
        );
        let grub = "GRUB_CMDLINE_LINUX=\"root=/dev/sda2 resume=UUID=5 console=tty0\"\n";
        assert_eq!(names("etc/default/grub", grub), [pair("/dev/sda2", false), pair("UUID=5", false)]);
        let guest = "<disk><source dev='/dev/disk/by-id/scsi-36-part1'/></disk>\n<rng><backend>/dev/urandom</backend>\n\
                     <source file=\"/var/lib/x.img\"/><emulator>/dev/x</emulator>\n";
        assert_eq!(names("etc/libvirt/qemu/a.xml", guest), [pair("/dev/disk/by-id/scsi-36-part1", false)]);
        let xen = "PRIMARY_DISK='/dev/disk/by-id/ata-X'\nBACKUP_PARTITION='/dev/disk/by-id/ata-X-part2'\n";
        assert_eq!(names("etc/xensource-inventory", xen).len(), 2);
        assert!(names("etc/motd", "/dev/sda").is_empty());
    }
}
