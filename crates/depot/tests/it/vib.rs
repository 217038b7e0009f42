//! Single VIBs: forms that must be accepted, and what is found in them.

use lifeboat_depot::build::{
    NewPayload, TarEntry, TarForm, VibSpec, ar, descriptor_xml, gzip, tar, vib, vib_from,
};
use lifeboat_depot::tar::{Form, Lister};
use lifeboat_depot::vib::{VibError, read};
use lifeboat_depot::{Code, Constraint, Descriptor, DescriptorError, Relation, VibVersion};

use crate::common::{codes, constraint, limits, payload, simple};

#[test]
fn what_was_written_is_read_back() {
    let made = simple("driver", "1.2-3");
    let vib = read(&made.bytes, &limits()).unwrap();
    assert_eq!(vib.findings, []);
    assert_eq!(vib.descriptor.id.as_str(), made.id);
    assert_eq!(vib.payloads[0].sums_right, 3);
    assert_eq!(vib.size, made.bytes.len() as u64);
    assert_eq!(vib.descriptor_bytes, made.descriptor.as_bytes());
}

#[test]
fn every_form_that_real_descriptors_have_is_accepted() {
    let text = br#"<?xml version="1.0"?>
<vib version="5.0"><type>bootbank</type><name>net-tg3</name><version>3.110h.v50.4-4vmw.510.0.0.799733</version>
<vendor>Hewlett-Packard</vendor><summary>a &amp; b</summary><description></description><urls/>
<relationships>
 <depends><constraint name="vmkapi_2_1_0_0"></constraint>
  <constraint name="esx-base" relation="&gt;=" version="5.1.0"/><constraint name="esx-base" relation="&lt;&lt;" version="6.0"/></depends>
 <conflicts/><replaces><constraint name="tg3.old"/></replaces>
 <provides><constraint name="cim.DMTF.DSP1004" relation="=" version="1.0.0b"/></provides><compatibleWith></compatibleWith>
</relationships>
<software-tags><tag>driver</tag></software-tags>
<system-requires><maintenance-mode on-install="false">true</maintenance-mode><hardwarePlatform vendor="HP" model=""/>
<hardwarePlatform vendor="hp" model=""/></system-requires>
<file-list><file></file><file>usr/lib/x.so</file></file-list><acceptance-level>certified</acceptance-level>
<live-install-allowed>False</live-install-allowed><live-remove-allowed>True</live-remove-allowed>
<cimom-restart>false</cimom-restart><stateless-ready>true</stateless-ready><overlay>false</overlay>
<installdate>2011-04-16</installdate><new-thing>1</new-thing>
<payloads><payload name="net-tg3" type="vgz" size="12"/></payloads></vib>"#;
    let found = Descriptor::parse(text, &limits()).unwrap();
    assert_eq!(found.odd, Vec::<String>::new());
    assert_eq!(found.unknown, ["new-thing"]);
    assert_eq!(found.summary, "a & b");
    assert_eq!(found.relations.depends.len(), 3);
    assert_eq!(found.relations.depends[0], Constraint::any("vmkapi_2_1_0_0"));
    assert_eq!(found.relations.depends[2].bound, Some((Relation::Earlier, VibVersion::new("6.0"))));
    assert_eq!(found.relations.provides[0], constraint("cim.DMTF.DSP1004 = 1.0.0b"));
    assert_eq!(found.platforms.len(), 2);
    assert_eq!((found.maintenance, found.maintenance_on_install), (true, false));
    assert_eq!((found.live_install, found.live_remove), (false, true));
    assert_eq!(found.files, ["usr/lib/x.so"]);
    assert_eq!(found.install_date.as_deref(), Some("2011-04-16"));
}

#[test]
fn a_vib_of_esx_4_is_refused_with_a_text_that_says_so() {
    for text in [
        "<vib version=\"1.0\"><vibVersion>1.4.5</vibVersion><name>x</name></vib>",
        "<vibDescriptor><vibVersion>1.0</vibVersion></vibDescriptor>",
    ] {
        let bytes = ar(&[("descriptor.xml", text.as_bytes()), ("sig.pkcs7", b""), ("x.rpm", b"abc")]);
        let error = read(&bytes, &limits()).unwrap_err();
        let VibError::Descriptor(inner @ DescriptorError::OldFormat { .. }) = &error else {
            panic!("{error:?}")
        };
        assert!(inner.to_string().contains("ESX 4"), "{inner}");
    }
}

#[test]
fn a_payload_name_that_the_archive_cuts_is_found() {
    let mut spec = VibSpec::new("long", "1-1");
    let long = payload("vmware-very-long-payload-name", "a", b"1");
    let other = payload("vmware-very-long-payload-twin", "b", b"2");
    spec.files = vec!["a".to_owned(), "b".to_owned()];
    let vib = read(&vib(&spec, &[long, other], b"").bytes, &limits()).unwrap();
    assert_eq!(vib.findings, []);
    assert_eq!(vib.payloads[1].spec.name, "vmware-very-long-payload-twin");
    assert_eq!(vib.payloads.iter().map(|one| one.sums_right).sum::<usize>(), 6);
}

#[test]
fn an_altered_payload_is_found_by_every_sum_that_covers_it() {
    let spec = VibSpec::new("x", "1-1");
    let good = payload("x", "opt/x", b"one");
    let descriptor = descriptor_xml(&spec, std::slice::from_ref(&good), "");
    let bad = payload("x", "opt/x", b"two");
    let found = read(&vib_from(&descriptor, b"", &[bad]), &limits()).unwrap().findings;
    let altered = found.iter().filter(|one| one.code == Code::PayloadAltered.word());
    let text = altered.map(|one| one.evidence.clone()).collect::<Vec<_>>().join("\n");
    assert!(
        text.contains("the sha-256 of its bytes") && text.contains("the sha-1 of its unpacked bytes"),
        "{text}"
    );
    assert!(text.contains("the sha-256 of its unpacked bytes"), "{text}");
}

#[test]
fn gzip_of_several_members_counts_as_one_stream_and_what_follows_it_is_not_part_of_it() {
    let archive = tar(TarForm::Plain, &[TarEntry::file("opt/x", b"data")]);
    let (front, back) = archive.split_at(700);
    let mut bytes = gzip(front);
    bytes.extend_from_slice(&gzip(back));
    bytes.extend_from_slice(b"padding");
    let mut spec = VibSpec::new("x", "1-1");
    spec.files = vec!["opt/x".to_owned()];
    let whole = NewPayload { name: "x".into(), kind: "tgz".into(), bytes, unpacked: Some(archive) };
    let vib = read(&vib(&spec, &[whole], b"").bytes, &limits()).unwrap();
    assert_eq!(vib.findings, []);
    assert_eq!(vib.payloads[0].unpacked.as_ref().unwrap().listing.form, Form::Tar);
}

#[test]
fn paths_and_links_that_leave_the_root_are_found_in_both_forms_of_tar() {
    for form in [TarForm::Visor, TarForm::Plain] {
        let entries = [
            TarEntry::file("../../etc/passwd", b"x"),
            TarEntry::file("/etc/shadow", b"x"),
            TarEntry { path: "opt/link", letter: b'2', target: "../../etc", data: b"" },
            TarEntry { path: "opt/fine", letter: b'2', target: "other", data: b"" },
        ];
        let made = vib(&VibSpec::new("x", "1-1"), &[NewPayload::vgz("x", tar(form, &entries))], b"");
        let found = read(&made.bytes, &limits()).unwrap().findings;
        let mut codes = codes(&found);
        codes.sort_unstable();
        assert_eq!(
            codes,
            ["file-list-differs", "payload-symlink", "payload-traversal", "payload-traversal"],
            "{form:?}"
        );
    }
}

#[test]
fn a_visor_tar_whose_data_leaves_the_file_is_damaged() {
    let archive = tar(TarForm::Visor, &[TarEntry::file("a", &[7; 2000])]);
    for cut in [0, 1, 511, 512, 700, archive.len() - 100] {
        let mut lister = Lister::new(10);
        lister.feed(&archive[..cut]);
        let listing = lister.finish();
        assert_eq!(listing.damage.is_empty(), cut < 512, "{cut}: {listing:?}");
    }
    let mut lister = Lister::new(10);
    archive.chunks(13).for_each(|part| lister.feed(part));
    assert_eq!(lister.finish().damage, Vec::<String>::new());
}

#[test]
fn archive_and_descriptor_that_name_other_payloads_are_told() {
    let spec = VibSpec::new("x", "1-1");
    let (a, b) = (payload("a", "f", b"1"), payload("b", "f", b"1"));
    let descriptor = descriptor_xml(&spec, &[a], "");
    let found = read(&vib_from(&descriptor, b"", &[b]), &limits()).unwrap().findings;
    let said: Vec<_> = found.iter().filter(|one| one.code == "payloads-disagree").collect();
    assert_eq!(said.len(), 2, "{found:?}");
}
