//! The order of versions.

use std::cmp::Ordering;

use lifeboat_depot::VibVersion;
use proptest::prelude::*;

fn compare(a: &str, b: &str) -> Ordering {
    VibVersion::new(a).cmp(&VibVersion::new(b))
}

#[test]
fn numbers_are_compared_as_numbers_in_every_segment() {
    for (lower, higher) in [
        ("9", "10"),
        ("1.9", "1.10"),
        ("1.0-9", "1.0-10"),
        ("1.0-1.9", "1.0-1.10"),
        ("1.0-8vmw.670", "1.0-10vmw.670"),
        ("5.0", "5.0-1"),
        ("5.0-9", "5.1-1"),
        ("3.110h.v50.4-4vmw.510.0.0.799733", "3.123b.v50.1-1OEM.500.0.0.472560"),
        ("1.0-3vmw.500", "1.0-3vmw.510"),
        ("99999999999999999999999998", "99999999999999999999999999"),
        ("500.04.V0.24-261033", "500.04.V0.32-0003"),
        ("01-00.10", "01-00.11"),
    ] {
        assert_eq!(compare(lower, higher), Ordering::Less, "{lower} {higher}");
        assert_eq!(compare(higher, lower), Ordering::Greater, "{higher} {lower}");
    }
    assert_eq!(compare("1.00", "1.0"), Ordering::Equal);
    assert_eq!(compare("1_0", "1.0"), Ordering::Equal);
}

#[test]
fn what_no_real_update_has_shown_is_told_apart() {
    let settled = |a: &str, b: &str| VibVersion::new(a).settled_against(&VibVersion::new(b));
    assert!(settled("1.9", "1.10"));
    assert!(settled("1.0", "1.0.1"));
    assert!(settled("1.0-1", "1.0-1"));
    assert!(!settled("1.a", "1.1"), "a number against letters");
    assert!(!settled("1.0", "1.0a"), "trailing letters");
}

/// Text that looks like versions, and any text.
fn any_version() -> impl Strategy<Value = VibVersion> {
    prop_oneof![
        "[0-9]{1,3}(\\.[0-9]{1,3}){0,3}(-[0-9]{0,2}[a-zA-Z]{0,4}(\\.[0-9]{1,4}){0,3})?",
        "[0-9a-zA-Z._-]{0,12}",
        "\\PC{0,12}",
    ]
    .prop_map(|text| VibVersion::new(&text))
}

proptest! {
    #[test]
    fn the_order_is_total_and_transitive(a in any_version(), b in any_version(), c in any_version()) {
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a.cmp(&a), Ordering::Equal);
        prop_assert_eq!(a == b, a.cmp(&b) == Ordering::Equal);
        let mut sorted = [&a, &b, &c];
        sorted.sort();
        prop_assert!(sorted[0] <= sorted[1] && sorted[1] <= sorted[2] && sorted[0] <= sorted[2]);
        prop_assert_eq!(a.settled_against(&b), b.settled_against(&a));
    }

    #[test]
    fn a_higher_number_at_any_place_is_a_higher_version(
        numbers in proptest::collection::vec(0_u32..1000, 1..8), at in 0_usize..8, hyphen in 0_usize..8,
    ) {
        let at = at % numbers.len();
        let text = |numbers: &[u32]| {
            let mut text = String::new();
            for (index, number) in numbers.iter().enumerate() {
                if index > 0 {
                    text.push(if index == hyphen { '-' } else { '.' });
                }
                text.push_str(&number.to_string());
            }
            text
        };
        let mut higher = numbers.clone();
        higher[at] += 1;
        prop_assert_eq!(compare(&text(&numbers), &text(&higher)), Ordering::Less);
    }
}
