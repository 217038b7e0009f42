//! AWS Signature Version 4, in headers.
//!
//! Owns: the signature of one request. Source: AWS General Reference, "Signature Version 4 signing process"; the
//! payload's digest is always signed (`x-amz-content-sha256`). Does not: presign URLs, sign streams in pieces.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use lifeboat_model::Sha256Hex;
use sha2::{Digest as _, Sha256};

/// What a request is signed with.
pub(crate) struct Signing<'a> {
    pub(crate) access_key: &'a str,
    pub(crate) secret_key: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    /// `YYYYMMDDTHHMMSSZ`.
    pub(crate) time: &'a str,
}

/// What is signed.
pub(crate) struct Signed<'a> {
    pub(crate) method: &'a str,
    /// Encoded, beginning with a slash.
    pub(crate) path: &'a str,
    /// Names and values, not encoded.
    pub(crate) query: &'a [(&'a str, String)],
    /// Names in lower case. `host` and all `x-amz-…` must be among them.
    pub(crate) headers: &'a BTreeMap<String, String>,
    pub(crate) payload: Sha256Hex,
}

impl Signing<'_> {
    /// Value of the `Authorization` header.
    pub(crate) fn authorization(&self, signed: &Signed<'_>) -> String {
        let date = self.time.get(..8).unwrap_or_default();
        let scope = format!("{date}/{}/{}/aws4_request", self.region, self.service);
        let names = signed.headers.keys().cloned().collect::<Vec<_>>().join(";");
        let request = Sha256Hex::of(canonical(signed, &names).as_bytes());
        let to_sign = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{request}", self.time);
        let mut key = hmac(format!("AWS4{}", self.secret_key).as_bytes(), date.as_bytes());
        for part in [self.region, self.service, "aws4_request"] {
            key = hmac(&key, part.as_bytes());
        }
        let signature = Sha256Hex(hmac(&key, to_sign.as_bytes()));
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.access_key
        )
    }
}

fn canonical(signed: &Signed<'_>, names: &str) -> String {
    let mut text = format!("{}\n{}\n{}\n", signed.method, signed.path, encode_query(signed.query));
    for (name, value) in signed.headers {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{name}:{}", value.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    let _ = write!(text, "\n{names}\n{}", signed.payload);
    text
}

/// The query string, sorted, as it is signed and as it is sent.
pub(crate) fn encode_query(query: &[(&str, String)]) -> String {
    let mut pairs: Vec<String> = query
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name, false), encode(value, false)))
        .collect();
    pairs.sort();
    pairs.join("&")
}

/// Percent-encodes all but RFC 3986's unreserved characters, and slashes if wanted.
pub(crate) fn encode(text: &str, slashes: bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (slashes && byte == b'/') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// HMAC-SHA-256 (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; 64];
    if key.len() > block.len() {
        for (to, from) in block.iter_mut().zip(Sha256::digest(key)) {
            *to = from;
        }
    } else {
        for (to, from) in block.iter_mut().zip(key) {
            *to = *from;
        }
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_is_that_of_rfc_4231() {
        let hex = |bytes: [u8; 32]| Sha256Hex(bytes).to_string();
        assert_eq!(
            hex(hmac(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex(hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn the_signature_is_that_of_the_published_example() {
        // "GET Object" of the S3 API reference, "Examples: Signature Calculations".
        let signing = Signing {
            access_key: "AKIAIOSFODNN7EXAMPLE",
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            region: "us-east-1",
            service: "s3",
            time: "20130524T000000Z",
        };
        let payload = Sha256Hex::of(b"");
        let headers = [
            ("host", "examplebucket.s3.amazonaws.com".to_owned()),
            ("range", "bytes=0-9".to_owned()),
            ("x-amz-content-sha256", payload.to_string()),
            ("x-amz-date", "20130524T000000Z".to_owned()),
        ];
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let signed = Signed { method: "GET", path: "/test.txt", query: &[], headers: &headers, payload };
        assert!(
            signing
                .authorization(&signed)
                .ends_with("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
        );
        let headers: BTreeMap<String, String> =
            headers.into_iter().filter(|(name, _)| name != "range").collect();
        let query = [("prefix", "J".to_owned()), ("max-keys", "2".to_owned())];
        let signed = Signed { method: "GET", path: "/", query: &query, headers: &headers, payload };
        assert!(
            signing
                .authorization(&signed)
                .ends_with("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
        );
    }
}
