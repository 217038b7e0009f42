//! The agent's configuration for a new host, checked before anything is written.

use std::path::Path;

use serde_json::Value;

use crate::error::{CliError, Kind};
use crate::files::read_text;

/// Form of `agent.json` that is written.
const SCHEMA: u64 = 1;

/// The text of `agent.json`: the file that was given, with the host's name put in.
pub(super) fn agent_json(
    file: Option<&Path>,
    name: Option<&str>,
) -> Result<Option<(String, String)>, CliError> {
    let Some(path) = file else {
        return match name {
            None => Ok(None),
            Some(_) => {
                Err(CliError::usage("--name is put into the agent's configuration, and none was given")
                    .remedy("give --agent-config FILE"))
            }
        };
    };
    let text = read_text(path, "the agent's configuration", 1 << 16)?;
    complete(&text, name).map(Some).map_err(|why| {
        CliError::new(Kind::Failed, format!("{} is no configuration of an agent: {why}", path.display()))
            .remedy("docs/formats/agent.md tells its members")
    })
}

/// Checks the members that an agent cannot do without; the host's name and the text.
fn complete(text: &str, name: Option<&str>) -> Result<(String, String), String> {
    let mut value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let object = value.as_object_mut().ok_or("it is no JSON object")?;
    if object.get("schema").and_then(Value::as_u64) != Some(SCHEMA) {
        return Err(format!("its member \"schema\" is not {SCHEMA}"));
    }
    if let Some(name) = name {
        object.insert("host".to_owned(), Value::from(name));
    }
    for member in ["host", "controller", "token"] {
        let there = object.get(member).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
        if !there {
            return Err(format!("its member {member:?} is missing or no text"));
        }
    }
    let host = object.get("host").and_then(Value::as_str).unwrap_or_default().to_owned();
    if host.len() > 64 || !host.bytes().all(|c| c.is_ascii_alphanumeric() || b".-_".contains(&c)) {
        return Err(format!("the name {host:?} of the host is not 1 to 64 letters, digits, dots and dashes"));
    }
    Ok((host, format!("{value}\n")))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_configuration_needs_what_the_agent_needs_and_the_name_may_be_given_beside() {
        let text = r#"{"schema":1,"host":"a","controller":"10.0.0.1:7","token":"t"}"#;
        assert_eq!(complete(text, None).unwrap().0, "a");
        let (host, text) = complete(text, Some("host-7")).unwrap();
        assert!(host == "host-7" && text.contains(r#""host":"host-7""#), "{text}");
        assert!(complete(&text, Some("a b")).is_err());
        for wrong in ["", "[]", r#"{"schema":2}"#, r#"{"schema":1,"host":"a","controller":"x"}"#] {
            assert!(complete(wrong, None).is_err(), "{wrong}");
        }
        assert!(agent_json(None, Some("a")).is_err() && agent_json(None, None).unwrap().is_none());
    }
}
