//! What a name alone says.
//!
//! Owns: the forms of names that Linux, udev, multipath, XenServer and ESX write, and the ids inside them. Promises:
//! [`parse_name`] needs no host; each way to read a name carries the keys by which a host can look for it. Does not:
//! know what is there.

use serde::{Deserialize, Serialize};

use super::error::ResolveError;
use super::suffix::{Rules, known_length, splits};
use crate::ident::{DiskId, IdKind, is_hex};

/// Longest name.
const LONGEST: usize = 4096;

/// Where names of this form come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Form {
    /// The kernel's name: `sda1`, `nvme0n1p1`, `cciss/c0d0p1`.
    Kernel,
    /// `/dev/disk/by-id/…`
    ById,
    /// `/dev/disk/by-path/…`
    ByPath,
    /// `/dev/disk/by-uuid/…`, `UUID=…`
    ByUuid,
    /// `/dev/disk/by-partuuid/…`, `PARTUUID=…`
    ByPartuuid,
    /// `/dev/disk/by-label/…`, `LABEL=…`
    ByLabel,
    /// `/dev/disk/by-partlabel/…`, `PARTLABEL=…`
    ByPartlabel,
    /// XenServer's `/dev/disk/by-scsid/…` and `by-scsibus`
    ByScsid,
    /// Another folder under `/dev/disk`.
    ByOther,
    /// `/dev/mapper/…`
    Mapper,
    /// `/dev/md/…`
    Md,
    /// `/dev/VG/LV`, and other links under `/dev`.
    Link,
    /// Major and minor number.
    Number,
    /// Host, channel, target, LUN.
    ScsiAddress,
    /// World wide id as multipath writes it.
    Wwid,
    /// `naa.…`, `eui.…`, `t10.…`, `mpx.…`, `vml.…`, `vmhba1:C0:T0:L0`
    Esx,
    /// An identity of this program: `virtio.disk-a-part1`.
    Identity,
}

/// A name, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParsedName {
    /// Its form.
    pub form: Form,
    /// Names under which it can stand on a host, as full paths.
    pub paths: Vec<String>,
    /// Every way to read it, the whole name first.
    pub readings: Vec<Reading>,
}

/// One way to read a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The name without its partition.
    pub base: String,
    /// The partition.
    pub part: Option<u32>,
    /// Words by which a host can look for the disk.
    pub keys: Vec<String>,
    /// The ids in it.
    pub ids: Vec<DiskId>,
}

/// Takes a name apart.
pub fn parse_name(name: &str) -> Result<ParsedName, ResolveError> {
    let wrong = |why| ResolveError::NotAName { name: name.chars().take(100).collect(), why };
    let text = name.trim();
    if text.is_empty() {
        return Err(wrong("it is empty"));
    }
    if text.len() > LONGEST {
        return Err(wrong("it is longer than a path can be"));
    }
    if text.chars().any(char::is_control) {
        return Err(wrong("it holds control characters"));
    }
    if text.split('/').any(|part| part == "..") {
        return Err(wrong("it leads upwards"));
    }
    if let Some(parsed) = tag(text) {
        return Ok(parsed);
    }
    let local = text.strip_prefix("/dev/").or_else(|| text.strip_prefix("dev/")).unwrap_or(text);
    if local.is_empty() || local.starts_with('/') {
        return Err(wrong("it is not under /dev"));
    }
    Ok(local_name(local))
}

/// `UUID=…` and its like.
fn tag(text: &str) -> Option<ParsedName> {
    let (word, value) = text.split_once('=')?;
    let value = value.trim_matches(['"', '\'']);
    let (form, folder) = match word.to_ascii_uppercase().as_str() {
        "UUID" => (Form::ByUuid, "by-uuid"),
        "PARTUUID" => (Form::ByPartuuid, "by-partuuid"),
        "LABEL" => (Form::ByLabel, "by-label"),
        "PARTLABEL" => (Form::ByPartlabel, "by-partlabel"),
        "ID" => return Some(local_name(&format!("disk/by-id/{value}"))),
        "SCSIID" => return Some(local_name(&format!("disk/by-scsid/{value}"))),
        _ => return None,
    };
    let key = tag_key(folder, value);
    let reading = Reading { base: value.to_owned(), part: None, keys: vec![key], ids: Vec::new() };
    Some(ParsedName { form, paths: vec![format!("/dev/disk/{folder}/{value}")], readings: vec![reading] })
}

/// The key for what is written on a device; case does not matter in UUIDs.
pub(super) fn tag_key(folder: &str, value: &str) -> String {
    let value = if folder.ends_with("uuid") { value.to_ascii_lowercase() } else { unescape(value) };
    format!("{folder} {value}")
}

/// udev writes `\x20` for a blank in a label.
pub(crate) fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = (first == b'\\').then(|| after.strip_prefix(b"x")).flatten();
        let digits = code.and_then(|code| code.get(..2)).and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = after.get(3..).unwrap_or_default();
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A name under `/dev`, or one that stands alone.
fn local_name(local: &str) -> ParsedName {
    let path = format!("/dev/{local}");
    if let Some(rest) = local.strip_prefix("disk/")
        && let Some((folder, name)) = rest.split_once('/')
    {
        return match folder {
            "by-id" => make(Form::ById, vec![path], name, Rules::Link),
            "by-path" => make(Form::ByPath, vec![path], name, Rules::Link),
            "by-uuid" | "by-partuuid" | "by-label" | "by-partlabel" => {
                let tagged = tag(&format!("{}={name}", folder.trim_start_matches("by-")));
                let mut parsed = tagged.unwrap_or_else(|| make(Form::ByOther, Vec::new(), name, Rules::Link));
                parsed.paths = vec![path];
                parsed
            }
            "by-scsid" | "by-scsibus" => {
                let id = name.split('/').next().unwrap_or(name);
                let id =
                    if folder == "by-scsibus" { id.rsplit_once('-').map_or(id, |(id, _)| id) } else { id };
                make(Form::ByScsid, vec![path], id, Rules::Link)
            }
            _ => make(Form::ByOther, vec![path], name, Rules::Link),
        };
    }
    if let Some(name) = local.strip_prefix("mapper/") {
        return make(Form::Mapper, vec![path], name, Rules::Map);
    }
    if let Some(name) = local.strip_prefix("md/") {
        return make(Form::Md, vec![path], name, Rules::Map);
    }
    if let Some(number) = local.strip_prefix("block/").or(Some(local)).filter(|text| is_number(text)) {
        let keys = vec![format!("number {number}")];
        let reading = Reading { base: number.to_owned(), part: None, keys, ids: Vec::new() };
        return ParsedName { form: Form::Number, paths: vec![path], readings: vec![reading] };
    }
    if local.parse::<crate::model::Hctl>().is_ok() {
        let keys = vec![format!("hctl {local}")];
        let reading = Reading { base: local.to_owned(), part: None, keys, ids: Vec::new() };
        return ParsedName { form: Form::ScsiAddress, paths: Vec::new(), readings: vec![reading] };
    }
    let esx = ["naa.", "eui.", "t10.", "mpx.", "vml."].iter().any(|head| local.starts_with(head));
    if esx || (local.starts_with("vmhba") && local.contains(":C")) {
        return make(Form::Esx, Vec::new(), local, Rules::Esx);
    }
    // A name that stands alone can be a link of any folder.
    let mut paths = vec![path];
    paths.extend(
        ["disk/by-id", "disk/by-path", "mapper", "md"].iter().map(|folder| format!("/dev/{folder}/{local}")),
    );
    let starts = |heads: &[&str]| heads.iter().any(|head| local.starts_with(head));
    if starts(&["ip-", "pci-", "fc-", "platform-", "ccw-", "virtio-pci-"]) {
        return make(Form::ByPath, paths, local, Rules::Link);
    }
    if starts(&["ata-", "cciss-", "dm-uuid-", "dm-name-", "lvm-pv-uuid-", "md-uuid-", "md-name-"])
        || starts(&["mmc-", "nvme-", "scsi-", "usb-", "virtio-", "wwn-"])
    {
        return make(Form::ById, paths, local, Rules::Link);
    }
    if wwid(local).is_some() || known_length(local).is_some() {
        return make(Form::Wwid, paths, local, Rules::Link);
    }
    if let Ok(identity) = local.parse::<crate::ident::Identity>() {
        let keys = identity.disk.keys();
        let reading =
            Reading { base: identity.disk.to_string(), part: identity.part, keys, ids: vec![identity.disk] };
        return ParsedName { form: Form::Identity, paths, readings: vec![reading] };
    }
    let form = if local.contains('/') && !local.starts_with("cciss/") { Form::Link } else { Form::Kernel };
    make(form, paths, local, Rules::Map)
}

fn is_number(text: &str) -> bool {
    text.split_once(':')
        .is_some_and(|(major, minor)| major.parse::<u32>().is_ok() && minor.parse::<u32>().is_ok())
}

fn make(form: Form, paths: Vec<String>, name: &str, rules: Rules) -> ParsedName {
    let mut readings: Vec<Reading> = splits(name, rules)
        .into_iter()
        .map(|(base, part)| {
            let (ids, keys) = disk_words(form, base);
            Reading { base: base.to_owned(), part, keys, ids }
        })
        .collect();
    // `dm-uuid-part1-mpath-…`: the number stands in the middle.
    if let Some(rest) = name.strip_prefix("dm-uuid-part")
        && let Some((number, rest)) = rest.split_once('-')
        && let Some(number) = crate::ident::part_number(number)
    {
        let base = format!("dm-uuid-{rest}");
        let (ids, keys) = disk_words(form, &base);
        readings.push(Reading { base, part: Some(number), keys, ids });
    }
    ParsedName { form, paths, readings }
}

/// The ids in the name of a whole disk, and the keys to look for it.
fn disk_words(form: Form, base: &str) -> (Vec<DiskId>, Vec<String>) {
    let id = match form {
        Form::ById => by_id(base),
        Form::Mapper | Form::Wwid | Form::ByScsid => wwid(base),
        Form::Esx => esx(base),
        _ => None,
    };
    let mut keys: Vec<String> = id.iter().flat_map(DiskId::keys).collect();
    match form {
        Form::ByPath => {
            keys.push(format!("place {base}"));
            keys.extend(target(base));
        }
        Form::Kernel => {
            keys.push(format!("kernel {}", base.replace('/', "!")));
            keys.push(format!("map {base}"));
        }
        Form::Mapper => keys.push(format!("map {base}")),
        Form::Md => keys.push(format!("md-name {base}")),
        Form::Esx => keys.push(format!("esx {base}")),
        Form::ById => {
            keys.extend(base.strip_prefix("dm-name-").map(|name| format!("map {name}")));
            keys.extend(base.strip_prefix("md-name-").map(|name| format!("md-name {name}")));
            keys.extend(base.strip_prefix("lvm-pv-uuid-").map(|uuid| tag_key("by-uuid", uuid)));
            keys.extend(base.strip_prefix("scsi-0").map(|name| format!("scsi {name}")));
            // What SCSI drivers make of an ATA disk.
            let ata = base.strip_prefix("scsi-SATA_").or_else(|| base.strip_prefix("scsi-0ATA_"));
            keys.extend(ata.map(|name| format!("serial {name}")));
        }
        _ => {}
    }
    keys.sort();
    keys.dedup();
    (id.into_iter().collect(), keys)
}

/// The id in a name of `/dev/disk/by-id`.
pub(crate) fn by_id(name: &str) -> Option<DiskId> {
    let (bus, rest) = name.split_once('-')?;
    match bus {
        "wwn" => DiskId::of_hex(rest.strip_prefix("0x")?),
        "scsi" | "cciss" => match rest.split_at_checked(1)? {
            ("3" | "2", hex) => DiskId::of_hex(hex),
            ("1", text) => DiskId::new(IdKind::T10, text).ok(),
            ("8", text) => crate::ident::name_string(text),
            ("S", text) => DiskId::new(IdKind::Scsi, text).ok(),
            _ => None,
        },
        "ata" => DiskId::new(IdKind::Ata, rest).ok(),
        "usb" => DiskId::new(IdKind::Usb, rest).ok(),
        "mmc" => DiskId::new(IdKind::Mmc, rest).ok(),
        "virtio" => DiskId::new(IdKind::Virtio, rest).ok(),
        "nvme" => nvme(rest).or_else(|| DiskId::new(IdKind::NvmeSerial, rest).ok()),
        "md" => DiskId::new(IdKind::Md, rest.strip_prefix("uuid-")?).ok(),
        "dm" => {
            let uuid = rest.strip_prefix("uuid-")?;
            match uuid.strip_prefix("mpath-") {
                Some(id) => wwid(id).or_else(|| DiskId::new(IdKind::Dm, uuid).ok()),
                None if uuid.starts_with("part") => None,
                None => DiskId::new(IdKind::Dm, uuid).ok(),
            }
        }
        _ => None,
    }
}

/// `eui.…`, `uuid.…`, `nvme.…`: the wwid of an NVMe namespace.
pub(crate) fn nvme(text: &str) -> Option<DiskId> {
    let (word, value) = text.split_once('.')?;
    match word {
        "eui" => DiskId::new(IdKind::Eui, value).ok(),
        "uuid" => DiskId::new(IdKind::Uuid, value).ok(),
        "nvme" => DiskId::new(IdKind::Nvme, value).ok(),
        _ => None,
    }
}

/// A world wide id as `scsi_id` and multipath write it: type digit and value.
pub(crate) fn wwid(text: &str) -> Option<DiskId> {
    match text.split_at_checked(1)? {
        ("3", hex) if matches!(hex.len(), 16 | 32) => DiskId::of_hex(hex),
        ("2", hex) if matches!(hex.len(), 16 | 24 | 32) => DiskId::of_hex(hex),
        ("1", value) if value.len() > 8 && !value.bytes().all(|b| b.is_ascii_digit()) => {
            DiskId::new(IdKind::T10, value).ok()
        }
        ("8", value) => crate::ident::name_string(value),
        ("S", value) if value.len() > 8 => DiskId::new(IdKind::Scsi, value).ok(),
        _ => nvme(text),
    }
}

/// An id as ESX writes it.
pub(crate) fn esx(text: &str) -> Option<DiskId> {
    if let Some(hex) = text.strip_prefix("vml.") {
        // Version, kind, LUN, two zeros; then the id, whose length is in its first digit; then the model.
        let hex = hex.strip_prefix("02").filter(|hex| is_hex(hex))?.get(8..)?;
        let length = if hex.starts_with('6') { 32 } else { 16 };
        return DiskId::new(IdKind::Naa, hex.get(..length)?).ok();
    }
    let (word, value) = text.split_once('.')?;
    match word {
        "naa" => DiskId::new(IdKind::Naa, value).ok(),
        "eui" => DiskId::new(IdKind::Eui, value).ok(),
        // ESX writes a run of blanks as underscores, one each.
        "t10" => DiskId::new(IdKind::T10, &value.replace('_', " ")).ok(),
        _ => None,
    }
}

/// Keys for the target and LUN in a name of `/dev/disk/by-path`.
fn target(name: &str) -> Option<String> {
    let (head, number) = name.rsplit_once("-lun-")?;
    let number = lun_number(number)?;
    if let Some((_, iqn)) = head.split_once("-iscsi-")
        && (head.starts_with("ip-") || head.contains("-ip-"))
    {
        return Some(format!("iscsi {}#{number}", iqn.to_lowercase()));
    }
    for bus in ["fc", "sas"] {
        if let Some((_, address)) = head.split_once(&format!("-{bus}-0x")) {
            return is_hex(address).then(|| format!("{bus} {}#{number}", address.to_ascii_lowercase()));
        }
    }
    None
}

/// The number of a LUN as udev writes it: decimal below 256, else eight bytes of SAM with two digits pairs swapped.
fn lun_number(text: &str) -> Option<u64> {
    let Some(hex) = text.strip_prefix("0x") else { return text.parse().ok() };
    let high = u64::from_str_radix(hex.get(..4)?, 16).ok()?;
    let low = u64::from_str_radix(hex.get(4..8)?, 16).ok()?;
    (hex.len() == 16).then_some(high | low << 16)
}
