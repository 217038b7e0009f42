//! What each command does, and with which exit code it ends.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use lifeboat_model::{PoolName, chain};
use lifeboat_wire::{HubAnswer, HubClient, HubError, HubRequest, make_folder, write_durably, write_private};

use super::args::{CaCommand, Cli, Command, Format, HostCommand};
use super::serve::serve;
use super::show;
use crate::{Controller, ControllerError, Settings, answer};

const CONFIG: &str = "/etc/lifeboat/lifeboatd.toml";

/// Runs the program.
pub fn run_command() -> ExitCode {
    let cli = Cli::parse();
    let format = cli.output;
    match run(cli) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("lifeboatd: {}", chain(error.as_ref()));
            if format == Format::Json {
                let told = serde_json::json!({ "error": { "message": chain(error.as_ref()) } });
                print!("{}", show::json("error", &told).unwrap_or_default());
            }
            exit_code(error.as_ref())
        }
    }
}

fn exit_code(error: &(dyn Error + 'static)) -> ExitCode {
    let locked = matches!(error.downcast_ref(), Some(ControllerError::Busy { .. }));
    let unreachable = matches!(error.downcast_ref(), Some(HubError::Reach { .. }));
    ExitCode::from(if locked {
        7
    } else if unreachable {
        8
    } else {
        1
    })
}

fn run(cli: Cli) -> Result<String, Box<dyn Error>> {
    let path = cli.config.as_deref().unwrap_or(Path::new(CONFIG));
    let mut settings = Settings::read(path, cli.config.is_some())?;
    settings.dir = cli.dir.unwrap_or(settings.dir);
    settings.socket = cli.socket.unwrap_or(settings.socket);
    match cli.command {
        Command::Init(args) => {
            let pool = PoolName::new(&args.pool)?;
            Controller::init(&settings, &pool, &args.name, args.again)?;
            let controller = Controller::open(settings.clone())?;
            let fingerprint = controller.authority.fingerprint();
            if cli.output == Format::Json {
                let told = serde_json::json!({ "init": {
                    "dir": settings.dir, "pool": pool.as_str(), "names": args.name,
                    "fingerprint": fingerprint.to_string(),
                }});
                return Ok(show::json("controller", &told)?);
            }
            Ok(format!(
                "pool {pool}: the authority is made, fingerprint {fingerprint}\nnext: systemctl enable --now lifeboatd, \
                 then lifeboatd host add NAME\nback up {}: without it every host has to enrol anew\n",
                settings.dir.display()
            ))
        }
        Command::Run(args) => {
            settings.listen = args.listen.unwrap_or(settings.listen);
            let controller = Controller::open(settings)?;
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(serve(controller, args.port_file.as_deref()))?;
            Ok(String::new())
        }
        Command::Host(command) => {
            let (name, request) = host_request(command);
            let answer = ask(settings, request.clone())?;
            if let (HubRequest::Hosts { host: Some(host) }, HubAnswer::Hosts { hosts }) = (&request, &answer)
                && hosts.is_empty()
            {
                return Err(format!("host {host} is not known").into());
            }
            Ok(show::text(cli.output, name, &answer)?)
        }
        Command::Ca(CaCommand::Show) => {
            Ok(show::text(cli.output, "authority", &ask(settings, HubRequest::Authority {})?)?)
        }
        Command::Ca(CaCommand::IssueLibvirt { host, name, to }) => {
            let request = HubRequest::IssueLibvirt { host: host.clone(), names: name };
            let answer = ask(settings, request)?;
            let folder = to.unwrap_or_else(|| PathBuf::from(format!("pki-{host}")));
            write_files(&folder, &answer)?;
            Ok(match cli.output {
                // The keys stand in the files, and nowhere else.
                Format::Json => {
                    let HubAnswer::Issued { until, .. } = answer else { return Ok(String::new()) };
                    let told = serde_json::json!({ "issued": { "folder": folder, "until": until } });
                    show::json("libvirt-certificates", &told)?
                }
                Format::Table => {
                    format!(
                        "{}: {}",
                        folder.display(),
                        show::text(cli.output, "libvirt-certificates", &answer)?
                    )
                }
            })
        }
    }
}

fn host_request(command: HostCommand) -> (&'static str, HubRequest) {
    match command {
        HostCommand::Add { host, token_life } => {
            ("enrolment-token", HubRequest::AddHost { host, token_secs: token_life })
        }
        HostCommand::List => ("agent-hosts", HubRequest::Hosts { host: None }),
        HostCommand::Show { host } => ("agent-hosts", HubRequest::Hosts { host: Some(host) }),
        HostCommand::Revoke { host, serial } => ("revocation", HubRequest::Revoke { host, serial }),
        HostCommand::Remove { host } => ("done", HubRequest::RemoveHost { host }),
    }
}

/// Asks the `lifeboatd` that runs, or answers from its folder if none does.
fn ask(settings: Settings, request: HubRequest) -> Result<HubAnswer, Box<dyn Error>> {
    match HubClient::connect(&settings.socket) {
        Ok(client) => Ok(client.with_patience(Duration::from_secs(10)).request(&request)?),
        Err(unreached) => match Controller::open(settings) {
            Ok(controller) => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                match runtime.block_on(answer(&controller, request)) {
                    HubAnswer::Refused { reason } => Err(reason.into()),
                    answer => Ok(answer),
                }
            }
            // It runs, and cannot be reached.
            Err(ControllerError::Busy { .. }) => Err(unreached.into()),
            Err(error) => Err(error.into()),
        },
    }
}

fn write_files(folder: &Path, answer: &HubAnswer) -> Result<(), Box<dyn Error>> {
    let HubAnswer::Issued { files, .. } = answer else { return Ok(()) };
    make_folder(folder).map_err(|error| format!("making {}: {error}", folder.display()))?;
    for file in files {
        let path = folder.join(&file.name);
        let secret = file.name.ends_with("key.pem");
        let written = if secret {
            write_private(&path, file.text.as_bytes())
        } else {
            write_durably(&path, file.text.as_bytes())
        };
        written.map_err(|error| format!("writing {}: {error}", path.display()))?;
    }
    Ok(())
}
