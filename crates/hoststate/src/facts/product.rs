//! Which product a root holds, and whether two are the same (incident I-13).

use crate::form::Product;
use crate::root::Root;

/// How two products differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// Another product.
    Product,
    /// The same product in another version or build.
    Version,
}

/// The product in a root; none if no file tells.
pub fn read_product(root: &Root) -> Option<Product> {
    let inventory = "etc/xensource-inventory";
    if let Some(text) = root.text(inventory) {
        let value = |key| value_of(&text, key);
        let brand = value("PRODUCT_BRAND").or_else(|| value("PRODUCT_NAME"));
        if let (Some(brand), Some(version)) = (brand, value("PRODUCT_VERSION")) {
            return Some(Product {
                id: brand.to_lowercase(),
                name: format!("{brand} {version}"),
                version,
                build: value("BUILD_NUMBER"),
                source: inventory.to_owned(),
            });
        }
    }
    ["etc/os-release", "usr/lib/os-release"].into_iter().find_map(|source| {
        let text = root.text(source)?;
        let value = |key| value_of(&text, key);
        let id = value("ID")?;
        let version =
            value("VERSION_ID").or_else(|| value("VERSION_CODENAME")).unwrap_or_else(|| "rolling".to_owned());
        Some(Product {
            name: value("PRETTY_NAME").or_else(|| value("NAME")).unwrap_or_else(|| id.clone()),
            id,
            version,
            build: value("IMAGE_VERSION").or_else(|| value("BUILD_ID")),
            source: source.to_owned(),
        })
    })
}

/// Whether the state of one product may be written into another; `None` means that they are the same.
pub fn compare_products(a: &Product, b: &Product) -> Option<Difference> {
    if a.id != b.id {
        return Some(Difference::Product);
    }
    // A build that only one of them tells decides nothing.
    let builds = a.build.as_ref().zip(b.build.as_ref()).is_some_and(|(a, b)| a != b);
    (a.version != b.version || builds).then_some(Difference::Version)
}

/// A value of lines `KEY=value`, with or without quotes.
pub(super) fn value_of(text: &str, key: &str) -> Option<String> {
    let raw = text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))?.trim();
    let quoted = ['"', '\''].into_iter().find_map(|quote| raw.strip_prefix(quote)?.strip_suffix(quote));
    let value = quoted.unwrap_or(raw).replace("\\\"", "\"").replace("\\$", "$");
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(id: &str, version: &str, build: Option<&str>) -> Product {
        Product {
            id: id.to_owned(),
            name: String::new(),
            version: version.to_owned(),
            build: build.map(str::to_owned),
            source: String::new(),
        }
    }

    #[test]
    fn another_version_build_or_product_is_told_apart() {
        let debian = product("debian", "12", None);
        assert_eq!(compare_products(&debian, &product("debian", "12", Some("7"))), None);
        assert_eq!(compare_products(&debian, &product("debian", "13", None)), Some(Difference::Version));
        assert_eq!(compare_products(&debian, &product("ubuntu", "12", None)), Some(Difference::Product));
        let (a, b) = (product("x", "1", Some("7")), product("x", "1", Some("8")));
        assert_eq!(compare_products(&a, &b), Some(Difference::Version));
    }

    #[test]
    fn quotes_are_not_part_of_a_value() {
        let text = "NAME=\"A \\\"B\\\"\"\nID='x'\nVERSION_ID=9\nEMPTY=\"\"\n";
        assert_eq!(value_of(text, "NAME").as_deref(), Some("A \"B\""));
        assert_eq!(value_of(text, "ID").as_deref(), Some("x"));
        assert_eq!(value_of(text, "VERSION_ID").as_deref(), Some("9"));
        assert_eq!(value_of(text, "EMPTY"), None);
    }
}
