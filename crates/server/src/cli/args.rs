//! The shape of the command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The controller as a service: the agents of a pool.
#[derive(Debug, Parser)]
#[command(name = "lifeboatd", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// Settings [default: /etc/lifeboat/lifeboatd.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Folder of the authority and of what lifeboatd remembers
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Control socket
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// How results are printed
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the pool's authority; once, before the first run
    Init(InitArgs),
    /// Serve agents and programs until stopped
    Run(RunArgs),
    /// Hosts: tokens, standing, revocation
    #[command(subcommand)]
    Host(HostCommand),
    /// The pool's authority
    #[command(subcommand)]
    Ca(CaCommand),
}

/// `lifeboatd init`
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Names and addresses by which hosts dial this computer; the first one stands in the commands for hosts
    #[arg(long, value_name = "NAME", value_delimiter = ',', required = true)]
    pub(crate) name: Vec<String>,
    /// Name of the pool in certificates
    #[arg(long, default_value = "pool")]
    pub(crate) pool: String,
    /// Keep the authority that is there, and write the names anew
    #[arg(long)]
    pub(crate) again: bool,
}

/// `lifeboatd run`
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Address of the port for agents
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// Write the address of the port into this file when it is open
    #[arg(long, value_name = "FILE")]
    pub(crate) port_file: Option<PathBuf>,
}

/// `lifeboatd host`
#[derive(Debug, Subcommand)]
pub(crate) enum HostCommand {
    /// Make a host known, and a token by which it gets its certificate
    #[command(after_help = "example: lifeboatd host add kvm-07 --token-life 3600")]
    Add {
        /// Name of the host
        host: String,
        /// How long the token may be used, in seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
        token_life: u64,
    },
    /// Hosts with their standing
    List,
    /// One host
    Show {
        /// Name of the host
        host: String,
    },
    /// Refuse a host's certificates from now on, and close its connection
    Revoke {
        /// Name of the host
        host: String,
        /// Only the certificate with this serial number
        #[arg(long)]
        serial: Option<String>,
    },
    /// Revoke a host and forget it
    Remove {
        /// Name of the host
        host: String,
    },
}

/// `lifeboatd ca`
#[derive(Debug, Subcommand)]
pub(crate) enum CaCommand {
    /// Certificate, fingerprint, revocation list
    Show,
    /// RSA certificates for libvirt's own TLS on a host, as files in the folder `pki-HOST`
    #[command(
        after_help = "On the host: cacert.pem to /etc/pki/CA, servercert.pem and clientcert.pem to /etc/pki/libvirt, \
                      the keys to /etc/pki/libvirt/private."
    )]
    IssueLibvirt {
        /// Name of the host
        host: String,
        /// Further DNS names and addresses of the host
        #[arg(long, value_name = "NAME", value_delimiter = ',')]
        name: Vec<String>,
        /// Folder for the files [default: pki-HOST]
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
    },
}
