//! libvirt URIs: `driver[+transport]://[user@][host][:port]/path[?parameters]`.
//!
//! Promises: what cannot be used is refused with the reason before anything is opened; words that reach a remote shell
//! or an argument of `ssh` hold no character that could mean more there. Does not: resolve names or read files.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Longest URI that is read.
const LIMIT: usize = 4096;
/// Port of unencrypted TCP.
const TCP_PORT: u16 = 16509;
/// Port of TLS.
const TLS_PORT: u16 = 16514;

/// Why a URI cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UriError {
    /// Too long.
    #[error("a URI of {len} bytes; more than {LIMIT} are not read")]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// Not of this form.
    #[error("{text:?} is no libvirt URI: {what}; write for example qemu+ssh://root@host/system")]
    Form {
        /// The URI.
        text: String,
        /// What is wrong.
        what: &'static str,
    },
    /// A transport that this client has not.
    #[error("the transport {transport:?} is not one of unix, tcp, tls, ssh")]
    Transport {
        /// Its name.
        transport: String,
    },
    /// A part that this transport needs.
    #[error("a {transport} URI needs {what}")]
    Missing {
        /// Which transport.
        transport: &'static str,
        /// What it needs.
        what: &'static str,
    },
    /// A part that means nothing with this transport.
    #[error("a {transport} URI has no {what}")]
    Surplus {
        /// Which transport.
        transport: &'static str,
        /// What it cannot have.
        what: String,
    },
    /// A part with a character that is not let through.
    #[error("{what} holds {found:?}, which is not let through to another program")]
    Character {
        /// Which part.
        what: &'static str,
        /// The character.
        found: char,
    },
}

/// How the daemon is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// A socket of this machine.
    Unix {
        /// Its path; found by itself where none is given.
        socket: Option<String>,
    },
    /// TCP without encryption; for labs and sealed networks.
    Tcp {
        /// Name or address.
        host: String,
        /// Port, 16509 by default.
        port: u16,
    },
    /// TLS with certificates of both sides.
    Tls {
        /// Name or address, which the daemon's certificate must have.
        host: String,
        /// Port, 16514 by default.
        port: u16,
        /// Folder of the certificates, if not libvirt's own places.
        pki_path: Option<String>,
        /// False if the daemon may be anybody.
        verify: bool,
    },
    /// A child `ssh` that runs a helper on the host.
    Ssh(SshTransport),
}

/// Parts of an SSH URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshTransport {
    /// Name or address.
    pub host: String,
    /// Who logs in, if not by ssh's configuration.
    pub user: Option<String>,
    /// Port, if not by ssh's configuration.
    pub port: Option<u16>,
    /// Private key.
    pub keyfile: Option<String>,
    /// File of known hosts, an addition of ours for this transport.
    pub known_hosts: Option<String>,
    /// The program, `ssh` by default.
    pub command: String,
    /// Socket on the host; the helper finds it where none is given.
    pub socket: Option<String>,
    /// The program that joins its pipes with a socket, where there is no `virt-ssh-helper`.
    pub netcat: String,
    /// How the socket is reached on the host.
    pub proxy: SshProxy,
    /// False if the host may be anybody.
    pub verify: bool,
}

/// Which program on the host joins ssh's pipes with the daemon's socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SshProxy {
    /// `virt-ssh-helper` where it is, else netcat.
    Auto,
    /// Only netcat.
    Netcat,
    /// Only `virt-ssh-helper`.
    Native,
}

/// A URI, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri {
    text: String,
    driver: String,
    name: String,
    transport: Transport,
}

impl Uri {
    /// Takes it apart.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        if text.len() > LIMIT {
            return Err(UriError::TooLong { len: text.len() });
        }
        let form = |what| UriError::Form { text: text.to_owned(), what };
        if text.chars().any(|c| c.is_control() || c == ' ') {
            return Err(form("it holds a blank or a control character"));
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| form("it has no ://"))?;
        let (driver, transport) = scheme.split_once('+').map_or((scheme, None), |(d, t)| (d, Some(t)));
        if driver.is_empty() || !driver.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            return Err(form("its driver, before :// or +, is not a lower-case word"));
        }
        let (rest, query) = rest.split_once('?').map_or((rest, ""), |(rest, query)| (rest, query));
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        if path.is_empty() {
            return Err(form("it has no path, as /system"));
        }
        let place = Place::parse(authority, &form)?;
        let mut parameters = Parameters::parse(query, &form)?;
        let chosen = parameters.take("name");
        let transport = match (transport, &place.host) {
            (None, None) | (Some("unix"), _) => unix(&place, &mut parameters)?,
            (Some("tcp"), _) => tcp(place, &mut parameters)?,
            (None, Some(_)) | (Some("tls"), _) => tls(place, &mut parameters)?,
            (Some("ssh"), _) => ssh(place, &mut parameters)?,
            (Some(other), _) => return Err(UriError::Transport { transport: other.to_owned() }),
        };
        // What is not ours goes to the daemon, as libvirt does.
        let name = chosen.unwrap_or_else(|| format!("{driver}://{path}{}", parameters.rest()));
        shell_safe("the path", &name)?;
        Ok(Self { text: text.to_owned(), driver: driver.to_owned(), name, transport })
    }

    /// The host, if it is another machine.
    pub fn host(&self) -> Option<&str> {
        match &self.transport {
            Transport::Unix { .. } => None,
            Transport::Tcp { host, .. } | Transport::Tls { host, .. } => Some(host),
            Transport::Ssh(ssh) => Some(&ssh.host),
        }
    }

    /// How the daemon is reached.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// libvirt's driver, as `qemu`.
    pub fn driver(&self) -> &str {
        &self.driver
    }

    /// What the daemon is asked to open, as `qemu:///system`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        Self::parse(text)
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.text)
    }
}

/// What stands between `//` and the path.
struct Place {
    user: Option<String>,
    host: Option<String>,
    port: Option<u16>,
}

impl Place {
    fn parse(authority: &str, form: &impl Fn(&'static str) -> UriError) -> Result<Self, UriError> {
        let (user, rest) = authority.rsplit_once('@').map_or((None, authority), |(u, r)| (Some(u), r));
        if user.is_some_and(|user| user.contains(':')) {
            // Not repeated: it would stand in a log.
            return Err(UriError::Surplus { transport: "libvirt", what: "password".to_owned() });
        }
        if user.is_some_and(str::is_empty) {
            return Err(form("its user is empty"));
        }
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or_else(|| form("a [ has no ]"))?;
                (host, after.strip_prefix(':').or_else(|| after.is_empty().then_some("")))
            }
            None => match rest.split_once(':') {
                Some((_, port)) if port.contains(':') => (rest, None),
                Some((host, port)) => (host, Some(port)),
                None => (rest, Some("")),
            },
        };
        let port = match port {
            Some("") => None,
            Some(digits) => Some(
                digits.parse().ok().filter(|port| *port != 0).ok_or_else(|| form("its port is no number"))?,
            ),
            None => return Err(form("an IPv6 address stands in [ ]")),
        };
        let host = decode(host, form)?;
        let user = user.map(|user| decode(user, form)).transpose()?;
        for (what, part) in [("the host", Some(&host)), ("the user", user.as_ref())] {
            let Some(part) = part else { continue };
            let allowed = |c: char| c.is_alphanumeric() || "-._:%".contains(c);
            if let Some(found) = part.chars().find(|c| !allowed(*c)) {
                return Err(UriError::Character { what, found });
            }
            if part.starts_with('-') {
                return Err(UriError::Character { what, found: '-' });
            }
        }
        Ok(Self { user, host: Some(host).filter(|host| !host.is_empty()), port })
    }

    fn refuse_user(&self, transport: &'static str) -> Result<(), UriError> {
        match self.user {
            Some(_) => Err(UriError::Surplus { transport, what: "user".to_owned() }),
            None => Ok(()),
        }
    }
}

struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn parse(query: &str, form: &impl Fn(&'static str) -> UriError) -> Result<Self, UriError> {
        let mut all: Vec<(String, String)> = Vec::new();
        for part in query.split(['&', ';']).filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let (key, value) = (decode(key, form)?, decode(value, form)?);
            if all.iter().any(|(other, _)| *other == key) {
                return Err(form("a parameter is there twice"));
            }
            all.push((key, value));
        }
        Ok(Self(all))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.remove(at).1)
    }

    fn take_safe(&mut self, name: &'static str) -> Result<Option<String>, UriError> {
        let value = self.take(name);
        if let Some(value) = &value {
            shell_safe(name, value)?;
        }
        Ok(value)
    }

    fn take_flag(&mut self, name: &str) -> bool {
        self.take(name).is_some_and(|value| value != "0")
    }

    /// Refuses parameters of libvirt that another transport has, so that none is silently without effect.
    fn refuse(&self, transport: &'static str, names: &[&str]) -> Result<(), UriError> {
        match self.0.iter().find(|(key, _)| names.contains(&key.as_str())) {
            Some((key, _)) => Err(UriError::Surplus { transport, what: format!("parameter {key}") }),
            None => Ok(()),
        }
    }

    fn rest(&self) -> String {
        let mut text = String::new();
        for (index, (key, value)) in self.0.iter().enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            text.push_str(key);
            text.push('=');
            text.push_str(value);
        }
        text
    }
}

const OF_SSH: [&str; 7] = ["keyfile", "command", "known_hosts", "netcat", "proxy", "no_tty", "sshauth"];
const OF_TLS: [&str; 3] = ["pkipath", "no_sanity", "tls_priority"];

fn unix(place: &Place, parameters: &mut Parameters) -> Result<Transport, UriError> {
    if place.host.is_some() || place.port.is_some() || place.user.is_some() {
        return Err(UriError::Surplus { transport: "unix", what: "host, port or user".to_owned() });
    }
    parameters.refuse("unix", &OF_SSH)?;
    parameters.refuse("unix", &OF_TLS)?;
    Ok(Transport::Unix { socket: parameters.take("socket") })
}

fn tcp(place: Place, parameters: &mut Parameters) -> Result<Transport, UriError> {
    place.refuse_user("tcp")?;
    parameters.refuse("tcp", &OF_SSH)?;
    parameters.refuse("tcp", &OF_TLS)?;
    parameters.refuse("tcp", &["socket", "no_verify"])?;
    let host = place.host.ok_or(UriError::Missing { transport: "tcp", what: "a host" })?;
    Ok(Transport::Tcp { host, port: place.port.unwrap_or(TCP_PORT) })
}

fn tls(place: Place, parameters: &mut Parameters) -> Result<Transport, UriError> {
    place.refuse_user("tls")?;
    parameters.refuse("tls", &OF_SSH)?;
    parameters.refuse("tls", &["socket", "tls_priority"])?;
    // libvirt's check of the files before use; ours are checked when they are used.
    parameters.take("no_sanity");
    let host = place.host.ok_or(UriError::Missing { transport: "tls", what: "a host" })?;
    let (pki_path, verify) = (parameters.take("pkipath"), !parameters.take_flag("no_verify"));
    Ok(Transport::Tls { host, port: place.port.unwrap_or(TLS_PORT), pki_path, verify })
}

fn ssh(place: Place, parameters: &mut Parameters) -> Result<Transport, UriError> {
    parameters.refuse("ssh", &OF_TLS)?;
    // A controller has no terminal: questions are never asked.
    parameters.take("no_tty");
    parameters.refuse("ssh", &["sshauth"])?;
    let netcat = parameters.take_safe("netcat")?;
    let socket = parameters.take_safe("socket")?;
    let proxy = match parameters.take("proxy").as_deref() {
        None if netcat.is_some() || socket.is_some() => SshProxy::Netcat,
        None | Some("auto") => SshProxy::Auto,
        Some("netcat") => SshProxy::Netcat,
        Some("native") => SshProxy::Native,
        Some(_) => {
            return Err(UriError::Missing { transport: "ssh", what: "a proxy of auto, netcat, native" });
        }
    };
    Ok(Transport::Ssh(SshTransport {
        host: place.host.ok_or(UriError::Missing { transport: "ssh", what: "a host" })?,
        user: place.user,
        port: place.port,
        keyfile: parameters.take("keyfile"),
        known_hosts: parameters.take("known_hosts"),
        command: parameters.take("command").unwrap_or_else(|| "ssh".to_owned()),
        socket,
        netcat: netcat.unwrap_or_else(|| "nc".to_owned()),
        proxy,
        verify: !parameters.take_flag("no_verify"),
    }))
}

/// Refuses what a shell would read as more than a word within single quotes.
fn shell_safe(what: &'static str, text: &str) -> Result<(), UriError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "/._-+:=?&@%,~".contains(c);
    match text.chars().find(|c| !allowed(*c)) {
        Some(found) => Err(UriError::Character { what, found }),
        None if text.starts_with('-') => Err(UriError::Character { what, found: '-' }),
        None => Ok(()),
    }
}

/// Resolves `%41`.
fn decode(text: &str, form: &impl Fn(&'static str) -> UriError) -> Result<String, UriError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
            let (Some(high), Some(low)) = (digit(), digit()) else {
                return Err(form("a % has no two hexadecimal digits after it"));
            };
            bytes.extend(u8::try_from(high << 4 | low));
        } else {
            bytes.push(byte);
        }
    }
    let text = String::from_utf8(bytes).map_err(|_| form("it is not UTF-8"))?;
    if text.chars().any(char::is_control) { Err(form("it holds a control character")) } else { Ok(text) }
}
