//! Writer of offline bundles.

use std::fmt::Write as _;

use sha1::Digest as _;

use super::archive::zip;
use super::vib::{NewVib, escape};
use crate::payload::hex;
use crate::vibid::VibId;

/// What a bundle holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BundleSpec {
    /// Vendor of the index.
    pub vendor: String,
    /// Code of the vendor.
    pub code: String,
    /// VIBs.
    pub vibs: Vec<NewVib>,
    /// File name and text of profiles.
    pub profiles: Vec<(String, String)>,
}

/// A profile of these VIBs, each with its payloads' boot names.
#[must_use]
pub fn profile_xml(name: &str, vibs: &[(&str, &[(&str, &str)])]) -> String {
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<imageprofile><name>{}</name><creator>ACME</creator>\
         <profileID>1</profileID><readonly>false</readonly><viblist>",
        escape(name)
    );
    for (id, payloads) in vibs {
        // Writing into a text does not fail.
        let _ = write!(xml, "<vib><vib-id>{}</vib-id><payloads>", escape(id));
        for (payload, file) in *payloads {
            let payload = escape(payload);
            let _ = write!(xml, "<payload payload-name=\"{payload}\">{}</payload>", escape(file));
        }
        xml.push_str("</payloads></vib>");
    }
    xml.push_str("</viblist><acceptancelevel>community</acceptancelevel><bulletinlist/></imageprofile>");
    xml
}

/// The whole bundle.
#[must_use]
pub fn bundle(spec: &BundleSpec) -> Vec<u8> {
    let index = format!(
        "<vendorList><vendor><name>{}</name><code>{}</code><indexfile>vendor-index.xml</indexfile><patchUrl/>\
         <relativePath/><content><name>VMware ESX</name></content></vendor></vendorList>",
        escape(&spec.vendor),
        escape(&spec.code)
    );
    let vendor = "<metaList><metadata><productId>embeddedEsx</productId><version>7.*</version><locale/>\
                  <url>metadata.zip</url><channelName/></metadata></metaList>";
    let mut inner = vec![
        ("vendor-index.xml".to_owned(), vendor.as_bytes().to_vec()),
        ("vmware.xml".to_owned(), b"<metadataResponse><version>3.0</version></metadataResponse>".to_vec()),
    ];
    let mut files = Vec::new();
    for vib in &spec.vibs {
        let path = path_of(&vib.id);
        let packed = format!(
            "<relative-path>{}</relative-path><packed-size>{}</packed-size>\
             <checksum checksum-type=\"sha-256\">{}</checksum></vib>",
            escape(&path),
            vib.bytes.len(),
            hex(&sha2::Sha256::digest(&vib.bytes))
        );
        let descriptor = vib.descriptor.trim_end_matches("</vib>").to_owned() + &packed;
        inner.push((format!("vibs/{}.xml", vib.id), descriptor.into_bytes()));
        files.push((path, vib.bytes.clone()));
    }
    for (name, text) in &spec.profiles {
        inner.push((format!("profiles/{name}.xml"), text.clone().into_bytes()));
    }
    let mut members = vec![
        ("index.xml".to_owned(), index.into_bytes()),
        ("vendor-index.xml".to_owned(), vendor.as_bytes().to_vec()),
        ("metadata.zip".to_owned(), zip(&inner)),
    ];
    members.extend(files);
    zip(&members)
}

fn path_of(id: &str) -> String {
    let parsed = VibId::new(id);
    let name = parsed.parts().map_or(id, |(_, _, name, _)| name);
    format!("vib20/{name}/{id}.vib")
}
