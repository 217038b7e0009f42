//! Banks of hosts, and releases for them.
//!
//! Owns: the disks as tests look at them, building releases, an upgrade by the library. Promises: nothing here goes
//! around the bank record. Does not: speak to agents.

use std::fs;
use std::path::PathBuf;

use lifeboat_model::{Bank, ReleaseRef};

use super::KvmLab;
use crate::bank::{HostDisk, ReleaseSpec, bundle_path, list_bundles, make_bundle, read_trust, token_of};
use crate::settings::HostKind;
use crate::{LabError, fabric::Phase};

impl KvmLab {
    /// The disk of a host that boots from banks: the device while it has power, else the image.
    pub fn disk(&self, host: &str) -> Result<HostDisk, LabError> {
        let settings = self.settings.host(host)?;
        if settings.kind != HostKind::Banks {
            let what = format!("looking at the banks of {host}");
            return Err(LabError::Refused { what, why: "it is a host with packages".to_owned() });
        }
        let folder = self.folder.host(host);
        let path = self.power(host)?.device.map_or_else(|| folder.disk(), PathBuf::from);
        Ok(HostDisk::new(host, path, folder.variables()))
    }

    /// Builds and signs a release; with the agent that the lab was made with.
    pub fn build_release(&self, spec: &ReleaseSpec) -> Result<(ReleaseRef, PathBuf), LabError> {
        let agent = self.folder.agent();
        make_bundle(&self.folder, spec, agent.exists().then_some(agent.as_path()))
    }

    /// The releases of the lab and their bundles, oldest first: 1, 2, 3-panics, 3-hangs, 3-sick, and what was built.
    pub fn releases(&self) -> Result<Vec<(ReleaseRef, PathBuf)>, LabError> {
        list_bundles(&self.folder)
    }

    /// The keys that its hosts trust.
    pub fn trusted_keys(&self) -> PathBuf {
        self.folder.keys().join("trusted-keys")
    }

    /// Installs a release into the bank of a running host that does not run, and orders its trial, as the agent does.
    /// The host is to be rebooted then. The bank that will be tried.
    pub fn install_release(&self, host: &str, version: &str) -> Result<Bank, LabError> {
        let state = self.power(host)?;
        let (Phase::Running, Some(running)) = (state.phase, state.bank) else {
            return Err(LabError::HostOff { host: host.to_owned(), why: "it runs from no bank".to_owned() });
        };
        let (_, trust) = read_trust(&self.folder)?;
        self.disk(host)?.install_and_activate(running, &bundle_path(&self.folder, version), &trust)
    }

    /// The secret by which a controller of the lab knows a host that was not enrolled.
    pub fn agent_token(&self, host: &str) -> Result<String, LabError> {
        self.settings.host(host).map(token_of)
    }

    /// The end of what the agent of a host said.
    pub fn agent_log(&self, host: &str) -> Result<String, LabError> {
        let path = self.folder.host(host).log().join("lifeboat-agent.log");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(LabError::file("read", path)(error)),
        };
        let tail = text.get(text.len().saturating_sub(64 << 10)..).unwrap_or_default();
        Ok(String::from_utf8_lossy(tail).into_owned())
    }
}
