//! Results, for people and for programs.

use lifeboat_wire::{HostStanding, HubAnswer, HubHost};
use serde::Serialize;

use super::args::Format;
use crate::time::date;

/// JSON with its schema as the first field. An answer is a word with its members, which follow.
pub(crate) fn json(name: &str, value: &impl Serialize) -> Result<String, serde_json::Error> {
    let value = serde_json::to_value(value)?;
    let word = value.as_object().and_then(|word| word.values().next());
    let members = serde_json::to_string_pretty(word.unwrap_or(&value))?;
    let rest = members.strip_prefix('{').unwrap_or("\n}");
    let comma = if rest.trim_start() == "}" { "" } else { "," };
    Ok(format!("{{\n  \"schema\": \"lifeboat.{name}/1\"{comma}{rest}\n"))
}

/// What is printed for an answer.
pub(crate) fn text(format: Format, name: &str, answer: &HubAnswer) -> Result<String, serde_json::Error> {
    if format == Format::Json {
        return json(name, answer);
    }
    Ok(match answer {
        HubAnswer::Token { host, token: _, until, command } => format!(
            "Host {host} may enrol until {}. On that host, as root:\n\n  {command}\n  systemctl enable --now \
             lifeboat-agent\n\nThe token is shown once and good for one host; nobody else should see it.\n",
            date(*until)
        ),
        HubAnswer::Hosts { hosts } => table(hosts),
        HubAnswer::Revoked { serials, closed } => {
            let connection = if *closed { "; its connection was closed" } else { "" };
            format!("{} certificates are refused from now on{connection}\n", serials.len())
        }
        HubAnswer::Authority { certificate, fingerprint, pool, until, revocation_number, .. } => format!(
            "pool         {pool}\nfingerprint  {fingerprint}\nends         {}\nrevocations  list number \
             {revocation_number}\n\n{certificate}",
            date(*until)
        ),
        HubAnswer::Issued { files, until } => {
            let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
            format!("{}; they end {}\n", names.join(", "), date(*until))
        }
        HubAnswer::Done {} => "done\n".to_owned(),
        other => json(name, other)?,
    })
}

fn table(hosts: &[HubHost]) -> String {
    let mut rows = vec![
        ["HOST", "STANDING", "CONNECTED", "SYSTEM", "AGENT", "OPEN", "CERTIFICATE UNTIL"].map(str::to_owned),
    ];
    rows.extend(hosts.iter().map(|host| {
        let standing = match host.standing {
            HostStanding::Invited => "invited",
            HostStanding::Enrolled => "enrolled",
            HostStanding::Expired => "expired",
            HostStanding::Revoked => "revoked",
        };
        let connected = host.connected_since.map_or_else(|| "no".to_owned(), |since| date(since / 1000));
        let of_status = |of: fn(&lifeboat_model::agent::AgentStatus) -> &str| {
            host.status.as_deref().map_or("-", of).to_owned()
        };
        [
            host.host.clone(),
            standing.to_owned(),
            connected,
            of_status(|status| &status.version),
            of_status(|status| &status.agent),
            host.open_orders.to_string(),
            host.certificate_until.map_or_else(|| "-".to_owned(), date),
        ]
    }));
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..7).map(width).collect();
    let line = |row: &[String; 7]| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    let mut text: String = rows.iter().map(line).collect();
    for host in hosts {
        if let Some(reason) = &host.refused {
            text.push_str(&format_refusal(&host.host, reason));
        }
    }
    text
}

fn format_refusal(host: &str, reason: &str) -> String {
    format!("{host} was refused: {reason}\n")
}
