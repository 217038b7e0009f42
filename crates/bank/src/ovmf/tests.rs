#![expect(
    clippy::disallowed_methods,
    reason = "this test looks at files and programs; the code under test does not"
)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;
use crate::efi::{BOOT_NEXT, EFI_GLOBAL, MemVars, Var, VarError, VarStore};
use crate::guid::Guid;

const EMPTY_4M: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/// An empty store of the layout that OVMF has, but of `store` bytes.
fn blank(store: usize) -> Vec<u8> {
    let mut image = vec![0xff; 0x48 + store + 4096];
    let len = image.len() as u64;
    image[..16].fill(0);
    image[16..32].copy_from_slice(&[
        0x8d, 0x2b, 0xf1, 0xff, 0x96, 0x76, 0x8b, 0x4c, 0xa9, 0x85, 0x27, 0x47, 0x07, 0x5b, 0x4f, 0x50,
    ]);
    image[32..40].copy_from_slice(&len.to_le_bytes());
    image[40..44].copy_from_slice(b"_FVH");
    image[44..48].fill(0);
    image[48..50].copy_from_slice(&0x48_u16.to_le_bytes());
    image[50..0x48].fill(0);
    let sum = image[..0x48]
        .chunks_exact(2)
        .fold(0_u16, |sum, pair| sum.wrapping_add(u16::from_le_bytes([pair[0], pair[1]])));
    image[50..52].copy_from_slice(&sum.wrapping_neg().to_le_bytes());
    image[0x48..0x58].copy_from_slice(&[
        0x78, 0x2c, 0xf3, 0xaa, 0x7b, 0x94, 0x9a, 0x43, 0xa1, 0x80, 0x2e, 0x14, 0x4e, 0xc3, 0x77, 0x92,
    ]);
    image[0x58..0x5c].copy_from_slice(&u32::try_from(store).unwrap().to_le_bytes());
    image[0x5c..0x64].copy_from_slice(&[0x5a, 0xfe, 0, 0, 0, 0, 0, 0]);
    image
}

fn small() -> OvmfVars {
    OvmfVars::open(blank(2048)).unwrap()
}

#[test]
fn the_firmwares_own_empty_store_is_read_and_written() {
    let Ok(image) = std::fs::read(EMPTY_4M) else {
        assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "a required peer is missing: OVMF");
        println!("skipped: no image of OVMF's variables");
        return;
    };
    let mut vars = OvmfVars::open(image.clone()).unwrap();
    assert_eq!(vars.list().unwrap(), []);
    assert_eq!(vars.free(), 0x40000 - 0x64);
    vars.set(BOOT_NEXT, &EFI_GLOBAL, &Var::boot(vec![1, 0])).unwrap();
    let changed = vars.into_image();
    assert_eq!(changed.len(), image.len());
    assert_eq!(changed[0x40000..], image[0x40000..], "nothing behind the store is touched");
    let vars = OvmfVars::open(changed).unwrap();
    assert_eq!(vars.get(BOOT_NEXT, &EFI_GLOBAL).unwrap(), Some(Var::boot(vec![1, 0])));
}

#[test]
fn a_replaced_and_a_deleted_variable_are_gone() {
    let mut vars = small();
    vars.set("A", &EFI_GLOBAL, &Var::boot(vec![1])).unwrap();
    vars.set("A", &EFI_GLOBAL, &Var::boot(vec![2, 3])).unwrap();
    vars.set("A", &Guid::NIL, &Var::boot(vec![9])).unwrap();
    assert_eq!(vars.get("A", &EFI_GLOBAL).unwrap().unwrap().data, [2, 3]);
    vars.delete("A", &EFI_GLOBAL).unwrap();
    vars.delete("A", &EFI_GLOBAL).unwrap();
    assert_eq!(vars.get("A", &EFI_GLOBAL).unwrap(), None);
    assert_eq!(vars.get("A", &Guid::NIL).unwrap().unwrap().data, [9]);
    assert_eq!(vars.list().unwrap().len(), 1);
}

#[test]
fn a_full_store_is_collected_and_a_truly_full_one_says_so() {
    let mut vars = small();
    vars.set("Kept", &EFI_GLOBAL, &Var::boot(vec![7; 100])).unwrap();
    for round in 0..100_u8 {
        vars.set("Busy", &EFI_GLOBAL, &Var::boot(vec![round; 50])).unwrap();
    }
    assert_eq!(vars.get("Kept", &EFI_GLOBAL).unwrap().unwrap().data, [7; 100]);
    assert_eq!(vars.get("Busy", &EFI_GLOBAL).unwrap().unwrap().data, [99; 50]);
    let before = vars.clone();
    let full = vars.set("Large", &EFI_GLOBAL, &Var::boot(vec![1; 1900]));
    assert!(matches!(full, Err(VarError::Full { .. })), "{full:?}");
    assert_eq!(vars, before);
}

#[test]
fn a_value_whose_successor_was_being_written_still_counts() {
    let mut vars = small();
    vars.set("A", &EFI_GLOBAL, &Var::boot(vec![1])).unwrap();
    let mut image = vars.into_image();
    image[0x64 + 2] = 0x3e;
    let mut vars = OvmfVars::open(image).unwrap();
    assert_eq!(vars.get("A", &EFI_GLOBAL).unwrap().unwrap().data, [1]);
    vars.set("A", &EFI_GLOBAL, &Var::boot(vec![2])).unwrap();
    assert_eq!(vars.get("A", &EFI_GLOBAL).unwrap().unwrap().data, [2]);
}

#[test]
fn what_needs_a_signature_or_does_not_survive_is_refused() {
    let mut vars = small();
    for attributes in [0x27, 6, 0] {
        let refused = vars.set("A", &EFI_GLOBAL, &Var { attributes, data: vec![1] });
        assert!(matches!(refused, Err(VarError::Refused { .. })), "{attributes:#x}");
    }
    assert!(matches!(vars.set("A", &EFI_GLOBAL, &Var::boot(vec![])), Err(VarError::Refused { .. })));
}

#[test]
fn an_image_cut_off_in_its_store_or_with_a_bad_header_is_refused() {
    let image = blank(2048);
    for len in 0..0x48 + 2048 {
        assert!(OvmfVars::open(image[..len].to_vec()).is_err(), "cut to {len} bytes");
    }
    for bit in 0..0x48 * 8 {
        let mut bad = image.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(OvmfVars::open(bad).is_err(), "bit {bit}");
    }
}

#[test]
fn a_variable_that_leaves_the_store_is_refused() {
    let mut vars = small();
    vars.set("A", &EFI_GLOBAL, &Var::boot(vec![1])).unwrap();
    let mut image = vars.into_image();
    image[0x64 + 40..0x64 + 44].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(OvmfVars::open(image), Err(OvmfError::Variable { at: 0x64 }));
}

proptest! {
    #[test]
    fn any_damage_in_the_store_is_answered_and_never_spreads(
        changes in proptest::collection::vec((0x48_usize..0x48 + 2048, any::<u8>()), 1..40),
    ) {
        let mut vars = small();
        for round in 0..8_u8 {
            vars.set(&format!("V{}", round % 3), &EFI_GLOBAL, &Var::boot(vec![round; 9])).unwrap();
        }
        let mut image = vars.into_image();
        for (at, byte) in changes {
            image[at] = byte;
        }
        if let Ok(mut vars) = OvmfVars::open(image.clone()) {
            let names = vars.list().unwrap();
            let _ = vars.set("New", &EFI_GLOBAL, &Var::boot(vec![5; 60]));
            for name in names {
                if name.name != "New" {
                    prop_assert!(vars.get(&name.name, &name.vendor).unwrap().is_some());
                }
            }
            let changed = vars.into_image();
            prop_assert_eq!(&changed[0x48 + 2048..], &image[0x48 + 2048..]);
            prop_assert!(OvmfVars::open(changed).is_ok());
        }
    }

    #[test]
    fn it_behaves_as_the_store_in_memory(
        steps in proptest::collection::vec((0_u8..5, proptest::option::of(1_usize..200)), 1..60),
    ) {
        let (mut ours, mut model) = (small(), MemVars::new());
        for (name, len) in steps {
            let text = format!("V{name}");
            if let Some(len) = len {
                let var = Var::boot(vec![name; len]);
                ours.set(&text, &EFI_GLOBAL, &var).unwrap();
                model.set(&text, &EFI_GLOBAL, &var).unwrap();
            } else {
                ours.delete(&text, &EFI_GLOBAL).unwrap();
                model.delete(&text, &EFI_GLOBAL).unwrap();
            }
            let reopened = OvmfVars::open(ours.image().to_vec()).unwrap();
            prop_assert_eq!(reopened.list().unwrap(), model.list().unwrap());
            for name in model.list().unwrap() {
                let value = model.get(&name.name, &name.vendor).unwrap();
                prop_assert_eq!(reopened.get(&name.name, &name.vendor).unwrap(), value);
            }
        }
    }
}
