//! Outputs of a host.

use lifeboat_depot::Level;
use lifeboat_depot::host::{HostError, parse};
use lifeboat_depot::results::parse_results;

use crate::common::{constraint, samples};

const LIST: &str = "\
[root@host:~] esxcli software vib list
Name                        Version                             Vendor           Acceptance Level  Install Date
--------------------------  ----------------------------------  ---------------  ----------------  ------------
lsiprovider                 500.04.V0.32-0003                   LSI              VMwareAccepted    2014-01-03
char-hpcru                  5.0.0.8-1OEM.500.0.0.434156         Hewlett Packard  PartnerSupported  2011-04-16
[root@host:~]
";

const GET: &str = "\
ACME_locker_tools_1.0-1
   Name: tools
   Version: 1.0-1
   Type: locker
   Vendor: ACME
   Acceptance Level: VMwareCertified
   Depends: esx-base >= 5.0.0, vmkapi_2_0
   Conflicts:
   Replaces:
   Provides:
   Maintenance Mode Required: False
   Hardware Platforms Required: HP, hp
   Live Install Allowed: True
   Live Remove Allowed: False
";

#[test]
fn the_table_is_read_also_without_its_heading_and_with_blanks_in_vendors() {
    for text in [LIST.to_owned(), LIST.lines().skip(3).collect::<Vec<_>>().join("\n")] {
        let host = parse(&text).unwrap();
        assert_eq!(host.vibs.len(), 2, "{text}");
        let one = &host.vibs["char-hpcru"];
        assert_eq!((one.vendor.as_str(), one.level), ("Hewlett Packard", Some(Level::Partner)));
        assert_eq!(one.id().as_str(), "Hewlett Packard_bootbank_char-hpcru_5.0.0.8-1OEM.500.0.0.434156");
        assert_eq!(one.relations, None);
    }
}

#[test]
fn a_table_and_the_blocks_of_get_in_one_file_fill_each_other() {
    let text = format!("{LIST}tools  1.0-1  ACME  VMwareCertified  2014-01-03\n{GET}");
    let host = parse(&text).unwrap();
    assert_eq!(host.vibs.len(), 3);
    let tools = &host.vibs["tools"];
    assert_eq!(tools.id().as_str(), "ACME_locker_tools_1.0-1");
    assert_eq!((tools.live_remove, tools.maintenance), (Some(false), Some(false)));
    let relations = tools.relations.as_ref().unwrap();
    assert_eq!(relations.depends, [constraint("esx-base >= 5.0.0"), constraint("vmkapi_2_0")]);
    assert_eq!(tools.platforms.len(), 2);
    assert_eq!(tools.install_date, "2014-01-03");
}

#[test]
fn csv_json_and_xml_say_the_same() {
    let csv = "AcceptanceLevel,CreationDate,ID,InstallDate,Name,Status,Vendor,Version,\n\
               VMwareCertified,2014-01-01,ACME_bootbank_a_1-1,2014-01-03,a,,\"ACME, Inc.\",1-1,\n";
    let json = r#"[{"AcceptanceLevel": "VMwareCertified", "ID": "ACME_bootbank_a_1-1", "InstallDate": "2014-01-03",
                "Name": "a", "Vendor": "ACME, Inc.", "Version": "1-1"}]"#;
    let xml = r#"<?xml version="1.0"?><output xmlns="x"><root><list type="structure"><structure typeName="VIB">
        <field name="AcceptanceLevel"><string>VMwareCertified</string></field>
        <field name="ID"><string>ACME_bootbank_a_1-1</string></field>
        <field name="InstallDate"><string>2014-01-03</string></field><field name="Name"><string>a</string></field>
        <field name="Vendor"><string>ACME, Inc.</string></field><field name="Version"><string>1-1</string></field>
        </structure></list></root></output>"#;
    let expected = parse(csv).unwrap();
    assert_eq!(expected.vibs["a"].vendor, "ACME, Inc.");
    assert_eq!(expected.vibs["a"].kind.as_deref(), Some("bootbank"));
    for text in [json, xml] {
        assert_eq!(parse(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn a_text_without_a_vib_is_refused_with_what_to_give() {
    for text in ["", "hello", "{}", "<output/>", "[root@host:~] esxcli software vib list\n"] {
        assert!(matches!(parse(text), Err(HostError::NoVib)), "{text:?}");
    }
    assert!(matches!(parse("{"), Err(HostError::Json(_))));
    assert!(matches!(parse("<output>"), Err(HostError::Xml(_))));
}

#[test]
fn real_outputs_are_read() {
    let Some(folder) = samples("esxi-outputs") else { return };
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
    let host = parse(&read("vib_get_5.0_hp.txt")).unwrap();
    assert_eq!(host.vibs.len(), 6);
    let provider = &host.vibs["hp-smx-provider"];
    assert_eq!(provider.platforms.len(), 4);
    assert_eq!(provider.live_remove, Some(false));
    let provides = &provider.relations.as_ref().unwrap().provides;
    assert_eq!(provides[1], constraint("cim.SNIA.FC-HBA = 1.3.0"));
    assert_eq!(parse(&read("vib_install_lsi_5.0.txt")).unwrap().vibs.len(), 1);
    assert_eq!(parse(&read("vib_create_install_6.5.txt")).unwrap().vibs["custom-firewall"].vendor, "Home");
}

#[test]
fn a_list_that_the_text_cuts_is_told_to_be_cut() {
    let text = "Update Result\n   Message: Done.\n   Reboot Required: true\n   VIBs Installed: A_bootbank_a_1-1, ...\n   \
                VIBs Removed: \n   VIBs Skipped: B_bootbank_b_1-1,\n~ # next\n";
    let results = parse_results(text);
    assert_eq!(results.len(), 1);
    assert_eq!(results[0].cut, ["installed", "skipped"]);
    assert_eq!((results[0].installed.len(), results[0].removed.len(), results[0].skipped.len()), (1, 0, 1));
}
