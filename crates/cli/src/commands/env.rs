//! `lifeboat env` and `lifeboat version`

use serde::Serialize;

use crate::args::Cli;
use crate::error::CliError;
use crate::output::Table;
use crate::run::Ctx;

#[derive(Serialize)]
struct Setting {
    name: &'static str,
    value: Option<String>,
    origin: &'static str,
    meaning: &'static str,
}

/// Every variable that is read, and what it is for.
const VARIABLES: [(&str, &str); 8] = [
    ("LIFEBOAT_OUTPUT", "form of results, as -o"),
    ("LIFEBOAT_STATE_DIR", "pools, plans and the journal, as --state-dir"),
    ("LIFEBOAT_TRUST", "public key of a trusted maker, as --trust"),
    ("NO_COLOR", "no colour, if not empty"),
    ("CLICOLOR_FORCE", "colour also in pipes, if neither empty nor 0"),
    ("XDG_STATE_HOME", "base of the state directory of a user"),
    ("HOME", "home of a user"),
    ("TERM", "dumb: no colour"),
];

pub(crate) fn run(ctx: &Ctx, cli: &Cli) -> Result<(), CliError> {
    let mut settings: Vec<Setting> = VARIABLES
        .iter()
        .map(|&(name, meaning)| {
            let value = std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
            let origin = if value.is_some() { "environment" } else { "not set" };
            Setting { name, value, origin, meaning }
        })
        .collect();
    settings.push(Setting {
        name: "state directory",
        value: Some(ctx.state.root().display().to_string()),
        origin: ctx.state.origin(),
        meaning: "in use now",
    });
    let format = format!("{:?}", cli.global.output).to_ascii_lowercase();
    settings.push(Setting {
        name: "output",
        value: Some(format),
        origin: "-o or LIFEBOAT_OUTPUT",
        meaning: "in use now",
    });
    ctx.out.list(
        "env",
        &settings,
        |setting| setting.name.to_owned(),
        || {
            let mut table = Table::new().column("NAME").flexible("VALUE").column("FROM").flexible("MEANING");
            for setting in &settings {
                let value = setting.value.clone().unwrap_or_else(|| "-".to_owned());
                table.row([setting.name, &value, setting.origin, setting.meaning]);
            }
            ctx.out.render(&table)
        },
    )
}

/// This program, and the forms it reads and writes.
pub(crate) fn version(ctx: &Ctx) -> Result<(), CliError> {
    #[derive(Serialize)]
    struct Forms {
        version: &'static str,
        plan_schema: u32,
        event_schema: u32,
        bundle_format: u32,
        agent_protocol: u32,
    }
    let version = Forms {
        version: env!("CARGO_PKG_VERSION"),
        plan_schema: lifeboat_model::PLAN_SCHEMA,
        event_schema: lifeboat_model::EVENT_SCHEMA,
        bundle_format: lifeboat_bundle::FORMAT_VERSION,
        agent_protocol: lifeboat_model::agent::AGENT_PROTOCOL,
    };
    ctx.out.object("version", &version, version.version, || {
        format!(
            "lifeboat {}\nplan schema {}, event schema {}, bundle format {}, agent protocol {}\n",
            version.version,
            version.plan_schema,
            version.event_schema,
            version.bundle_format,
            version.agent_protocol
        )
    })
}
