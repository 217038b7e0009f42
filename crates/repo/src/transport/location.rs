//! Addresses of repositories.
//!
//! Owns: their form. Promises: what was parsed has a scheme that Lifeboat speaks, a host where one is needed, and
//! no parameter that it does not know. Does not: connect, or find credentials beyond a `user:password@`.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;
use url::Url;

/// Why a text is no address of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{text:?} is no address of a repository: {what}; examples: /srv/repo, https://host/repo, s3://bucket/prefix?endpoint=https://host:9000&region=eu, oci://host:5000/name"
)]
pub struct LocationError {
    /// The text, without a password.
    text: String,
    /// What is wrong with it.
    what: String,
}

/// Where a bucket is.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Place {
    /// `http(s)://host[:port]`, without a slash at the end.
    pub endpoint: String,
    /// Region that requests are signed for.
    pub region: String,
    /// Bucket; always in the path, never in the host name.
    pub bucket: String,
    /// Before every key: nothing, or words that end with a slash.
    pub prefix: String,
    /// Section of the credentials file.
    pub profile: Option<String>,
}

/// Where a repository of a registry is.
#[derive(Clone, PartialEq, Eq)]
pub struct OciPlace {
    /// `http(s)://host[:port]`.
    pub endpoint: String,
    /// Name of the repository in the registry.
    pub name: String,
    /// User and password of the address.
    pub login: Option<(String, String)>,
}

/// The address of a repository.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A local directory: `dir:/path`, or a path.
    Dir(PathBuf),
    /// A web server; ends with a slash. Only reading.
    Http(Url),
    /// A bucket.
    S3(S3Place),
    /// A repository in an OCI registry.
    Oci(OciPlace),
}

impl Location {
    /// Reads an address; a text without a scheme is a path.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        let hidden = hide_password(text);
        let wrong = |what: &str| LocationError { text: hidden.clone(), what: what.to_owned() };
        if text.is_empty() {
            return Err(wrong("it is empty"));
        }
        if let Some(path) = text.strip_prefix("dir:") {
            return Ok(Self::Dir(PathBuf::from(path.strip_prefix("//").unwrap_or(path))));
        }
        let Some((scheme, _)) = text.split_once("://") else { return Ok(Self::Dir(PathBuf::from(text))) };
        let mut url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
        match scheme {
            "http" | "https" => {
                if url.query().is_some() || url.fragment().is_some() {
                    return Err(wrong("nothing may follow the path"));
                }
                if !url.path().ends_with('/') {
                    let path = format!("{}/", url.path());
                    url.set_path(&path);
                }
                Ok(Self::Http(url))
            }
            "s3" => s3(&url).map_err(|what| wrong(&what)).map(Self::S3),
            "oci" | "oci+http" => oci(&url).map_err(|what| wrong(&what)).map(Self::Oci),
            _ => Err(wrong("its scheme is none of dir, http, https, s3, oci, oci+http")),
        }
    }
}

fn s3(url: &Url) -> Result<S3Place, String> {
    let bucket = url.host_str().filter(|host| !host.is_empty()).ok_or("it names no bucket")?.to_owned();
    let prefix = url.path().trim_matches('/');
    if prefix.contains('%') {
        return Err("the prefix may only have plain letters".to_owned());
    }
    let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    let (mut endpoint, mut region, mut profile) = (None, None, None);
    for (name, value) in url.query_pairs() {
        match &*name {
            "endpoint" => endpoint = Some(value.trim_end_matches('/').to_owned()),
            "region" => region = Some(value.into_owned()),
            "profile" => profile = Some(value.into_owned()),
            other => return Err(format!("parameter {other:?} is none of endpoint, region, profile")),
        }
    }
    let region = region.unwrap_or_else(|| "us-east-1".to_owned());
    if !region.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-') {
        return Err(format!("{region:?} is no region"));
    }
    let endpoint = endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
    let parsed = Url::parse(&endpoint).map_err(|error| format!("its endpoint: {error}"))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.path() != "/" || parsed.query().is_some() {
        return Err("its endpoint must be http(s)://host:port without a path".to_owned());
    }
    Ok(S3Place { endpoint, region, bucket, prefix, profile })
}

fn oci(url: &Url) -> Result<OciPlace, String> {
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or("it names no host")?;
    // A registry on this machine speaks plain HTTP in practice, as every other client assumes.
    let here = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    let scheme = if here || url.scheme() == "oci+http" { "http" } else { "https" };
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    let name = url.path().trim_matches('/').to_owned();
    let word = |word: &str| {
        word.bytes().next().is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
            && word.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || b"._-".contains(&c))
    };
    if !name.split('/').all(word) || name.len() > 200 {
        return Err("after the host it needs a name of lower-case words joined by /".to_owned());
    }
    if url.query().is_some() {
        return Err("nothing may follow the name".to_owned());
    }
    let login = url.password().map(|password| (decode(url.username()), decode(password)));
    Ok(OciPlace { endpoint: format!("{scheme}://{host}{port}"), name, login })
}

/// Undoes percent-encoding of a user name or password.
pub(crate) fn decode(text: &str) -> String {
    url::form_urlencoded::parse(text.replace('+', "%2B").as_bytes())
        .next()
        .map_or_else(String::new, |(name, _)| name.into_owned())
}

fn hide_password(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, rest)) => {
            let host = rest.split('/').next().unwrap_or(rest);
            match host.rfind('@') {
                Some(at) => format!("{scheme}://{}", rest.get(at + 1..).unwrap_or_default()),
                None => text.to_owned(),
            }
        }
        None => text.to_owned(),
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dir(path) => write!(f, "{}", path.display()),
            Self::Http(url) => f.write_str(&hide_password(url.as_str())),
            Self::S3(place) => write!(f, "s3://{}/{}", place.bucket, place.prefix),
            Self::Oci(place) => {
                let host = place.endpoint.split_once("://").map_or(place.endpoint.as_str(), |(_, host)| host);
                write!(f, "oci://{host}/{}", place.name)
            }
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

impl fmt::Debug for S3Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Place({} at {})", self.bucket, self.endpoint)
    }
}

impl fmt::Debug for OciPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OciPlace({}/{})", self.endpoint, self.name)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn every_kind_of_address_is_understood() {
        let dir = |path: &str| Location::Dir(PathBuf::from(path));
        assert_eq!(Location::parse("/srv/repo").unwrap(), dir("/srv/repo"));
        assert_eq!(Location::parse("dir:/srv/repo").unwrap(), dir("/srv/repo"));
        assert_eq!(Location::parse("repo").unwrap(), dir("repo"));
        assert_eq!(Location::parse("https://h/r").unwrap().to_string(), "https://h/r/");
        let Location::S3(s3) =
            Location::parse("s3://b/p/q?endpoint=http://127.0.0.1:9000/&region=eu").unwrap()
        else {
            unreachable!("it is a bucket")
        };
        assert_eq!((s3.bucket.as_str(), s3.prefix.as_str()), ("b", "p/q/"));
        assert_eq!((s3.endpoint.as_str(), s3.region.as_str()), ("http://127.0.0.1:9000", "eu"));
        let Location::Oci(oci) = Location::parse("oci://u:p%40ss@host:5000/lab/host").unwrap() else {
            unreachable!("it is a registry")
        };
        assert_eq!((oci.endpoint.as_str(), oci.name.as_str()), ("https://host:5000", "lab/host"));
        assert_eq!(oci.login, Some(("u".to_owned(), "p@ss".to_owned())));
    }

    #[test]
    fn a_wrong_address_is_refused_without_showing_its_password() {
        for bad in
            ["", "ftp://h/r", "http://", "s3://", "s3://b?x=y", "oci://h", "oci://h/UPPER", "https://h/r?q=1"]
        {
            assert!(Location::parse(bad).is_err(), "{bad:?}");
        }
        let error = Location::parse("ftp://u:secret@h/r").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
        let shown = format!("{:?}", Location::parse("https://u:secret@h/r").unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }
}
