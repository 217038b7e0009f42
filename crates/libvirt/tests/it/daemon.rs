//! A real daemon on a local socket, and `virsh` beside this client.

use lifeboat_libvirt::{DefineFlags, DomainFilter, XmlFlags};

use crate::fabric::{fabric_test, guest};

fabric_test! {
    fn lists_and_xml_are_what_virsh_says(fabric) {
        let mut fabric = fabric;
        let host = fabric.host();
        let images = fabric.images();
        let disk = images.join("a.img");
        guest::disk(&disk);
        let connection = host.connect();
        println!("{} {}", connection.hostname().unwrap(), connection.lib_version().unwrap());
        let domain = connection.define_domain(&guest::xml("a", 1, &disk), DefineFlags::NONE).unwrap();
        assert_eq!(connection.domains(DomainFilter::ALL).unwrap(), [domain.clone()]);
        let xml = connection.domain_xml(&domain, XmlFlags::NONE).unwrap();
        assert_eq!(xml.trim(), host.virsh(&["dumpxml", "a"]).trim());
    }
}
