//! The answer of `ListObjectsV2`.
//!
//! Owns: as much XML as that answer needs: the text of two elements. Promises: bounded by the answer's length;
//! anything but text and the five named or numbered entities inside them is refused. Does not: validate the rest.

/// One page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) keys: Vec<String>,
    /// Token for the next page.
    pub(crate) next: Option<String>,
}

/// Reads a page; the error says what is wrong with it.
pub(crate) fn parse_listing(bytes: &[u8]) -> Result<Listing, String> {
    let text = str::from_utf8(bytes).map_err(|_| "the listing is no text".to_owned())?;
    if !text.contains("<ListBucketResult") {
        return Err("it is not a listing".to_owned());
    }
    let truncated = elements(text, "IsTruncated")?.first().is_some_and(|value| value == "true");
    let next = elements(text, "NextContinuationToken")?.into_iter().next();
    if truncated && next.is_none() {
        return Err("the listing goes on, and does not say where".to_owned());
    }
    Ok(Listing { keys: elements(text, "Key")?, next: if truncated { next } else { None } })
}

fn elements(text: &str, name: &str) -> Result<Vec<String>, String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once(&open) {
        let (value, behind) =
            behind.split_once(&close).ok_or_else(|| format!("the listing ends inside a {name}"))?;
        found.push(unescape(value).ok_or_else(|| format!("a {name} of the listing is not plain text"))?);
        rest = behind;
    }
    Ok(found)
}

fn unescape(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        out.push_str(before);
        let (entity, behind) = behind.split_once(';')?;
        out.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = entity.strip_prefix('#')?;
                let code = match number.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => number.parse().ok()?,
                };
                char::from_u32(code)?
            }
        });
        rest = behind;
    }
    out.push_str(rest);
    (!out.contains('<') || text.contains("&lt;")).then_some(out)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn keys_and_the_way_on_are_found() {
        let page =
            b"<?xml?><ListBucketResult xmlns=\"x\"><IsTruncated>true</IsTruncated><Contents><Key>a/b</Key>\
            </Contents><Contents><Key>c&amp;&#x64;</Key></Contents>\
            <NextContinuationToken>t=</NextContinuationToken></ListBucketResult>";
        let listing = parse_listing(page).unwrap();
        assert_eq!(listing, Listing { keys: vec!["a/b".into(), "c&d".into()], next: Some("t=".into()) });
    }

    #[test]
    fn a_page_cut_anywhere_is_refused_or_shorter_and_never_endless() {
        let page = b"<ListBucketResult><IsTruncated>true</IsTruncated><Key>a</Key><NextContinuationToken>t</NextContinuationToken>";
        for len in 0..page.len() {
            if let Ok(listing) = parse_listing(page.get(..len).unwrap()) {
                assert!(listing.keys.len() <= 1);
            }
        }
        assert!(parse_listing(b"<html>").is_err());
        assert!(parse_listing(b"<ListBucketResult><IsTruncated>true</IsTruncated>").is_err());
    }
}
