//! Guests of a lab.
//!
//! Owns: making their images, defining and starting them, reading their lives. Promises: an image that is there is
//! never overwritten. Does not: move guests; that is what the lab is there to test.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::time::{Duration, Instant};

use super::KvmLab;
use crate::folder::{make_folder, random_uuid};
use crate::guest::{
    GuestLife, GuestSpec, LifeWatch, boot_sector, check_disk, check_name, find_image, serial_log,
};
use crate::{LabError, tool};

/// Size of the disk of a guest.
const DISK_BYTES: u64 = 1 << 20;

/// Longest wait for the first count of a guest.
const PATIENCE: Duration = Duration::from_secs(60);

impl KvmLab {
    /// Makes the disk of a guest and defines it on a host.
    pub fn define_guest(&self, host: &str, spec: &GuestSpec) -> Result<(), LabError> {
        spec.check()?;
        let own = self.folder.host(&self.settings.host(host)?.name);
        let image = spec.image(&self.folder, &own);
        let made = OpenOptions::new().write(true).create_new(true).open(&image);
        let mut file = made.map_err(LabError::file("create", &image))?;
        file.write_all(&boot_sector(spec.kind)).map_err(LabError::file("write", &image))?;
        file.set_len(DISK_BYTES).map_err(LabError::file("size", &image))?;
        if spec.local_cdrom {
            let path = spec.cdrom(&own);
            let iso = File::create(&path).map_err(LabError::file("create", &path))?;
            iso.set_len(DISK_BYTES).map_err(LabError::file("size", path))?;
        }
        let xml = own.path().join(format!("{}.xml", spec.name));
        fs::write(&xml, spec.xml(&random_uuid()?)).map_err(LabError::file("write", &xml))?;
        let mut command = self.virsh_command(host)?;
        tool::run(command.arg("define").arg(&xml), &format!("define {} on {host}", spec.name))?;
        fs::remove_file(&xml).map_err(LabError::file("remove", xml))?;
        if spec.autostart {
            self.virsh(host, &["autostart", &spec.name])?;
        }
        Ok(())
    }

    /// Makes, defines and starts a guest, and waits for its first count.
    pub fn start_guest(&self, host: &str, spec: &GuestSpec) -> Result<(), LabError> {
        self.define_guest(host, spec)?;
        self.virsh(host, &["start", &spec.name])?;
        self.await_life(&spec.name, PATIENCE, "the first count", |life| life.counter.is_some()).map(drop)
    }

    /// Forgets a guest everywhere and removes its files.
    pub fn remove_guest(&self, guest: &str) -> Result<(), LabError> {
        check_name(guest)?;
        for host in &self.settings.hosts {
            let found =
                self.guests_on(&host.name).unwrap_or_default().into_iter().find(|one| one.name == guest);
            let Some(found) = found else { continue };
            if found.state != "shut off" {
                self.virsh(&host.name, &["destroy", guest])?;
            }
            // A guest that was never defined is gone with its end.
            let _ = self.virsh(&host.name, &["undefine", guest, "--managed-save", "--snapshots-metadata"]);
        }
        let hosts = self.host_names();
        while let Some(image) = find_image(&self.folder, &hosts, guest) {
            fs::remove_file(&image).map_err(LabError::file("remove", image))?;
        }
        match fs::remove_file(serial_log(&self.folder, guest)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(LabError::file("remove", serial_log(&self.folder, guest))(error))
            }
            _ => Ok(()),
        }
    }

    /// What a guest proved so far. The disk is looked at after the serial line, so a count that comes in between is
    /// no loss.
    pub fn guest_life(&self, guest: &str) -> Result<GuestLife, LabError> {
        check_name(guest)?;
        let path = serial_log(&self.folder, guest);
        let bytes = fs::read(&path).map_err(LabError::file("read", path))?;
        let mut life = GuestLife::default();
        life.feed(&bytes);
        // A disk that was copied with its guest is left behind on the old host: the one of the host where it runs counts.
        let mut hosts = self.host_names();
        let image = format!("{guest}.img");
        if hosts.iter().filter(|host| self.folder.host(host).images().join(&image).is_file()).count() > 1 {
            let runs_on = self.where_runs(guest)?;
            hosts.sort_by_key(|host| !runs_on.contains(host));
        }
        if let Some(image) = find_image(&self.folder, &hosts, guest) {
            life.disk_behind = check_disk(&life, &image)?;
        }
        Ok(life)
    }

    /// Waits until the life of a guest is as `done` looks for; the life then.
    pub fn await_life(
        &self,
        guest: &str,
        patience: Duration,
        what: &str,
        done: impl Fn(&GuestLife) -> bool,
    ) -> Result<GuestLife, LabError> {
        let begin = Instant::now();
        loop {
            // The serial line comes with the guest.
            if let Ok(life) = self.guest_life(guest)
                && done(&life)
            {
                return Ok(life);
            }
            if begin.elapsed() > patience {
                return Err(LabError::Deadline {
                    what: format!("{what} of {guest}"),
                    secs: patience.as_secs(),
                    look: format!("look at {}", serial_log(&self.folder, guest).display()),
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Watches guests until the watch is dropped. None given: all that ever ran.
    pub fn watch(&self, guests: &[String]) -> Result<LifeWatch, LabError> {
        let guests = if guests.is_empty() { self.guests_with_lives()? } else { guests.to_vec() };
        for guest in &guests {
            check_name(guest)?;
        }
        let one = |guest: String| {
            let path = serial_log(&self.folder, &guest);
            (guest, path)
        };
        Ok(LifeWatch::start(guests.into_iter().map(one).collect()))
    }

    /// Names of all guests that ever ran, in order.
    pub fn guests_with_lives(&self) -> Result<Vec<String>, LabError> {
        let folder = self.folder.shared().join("serial");
        make_folder(&folder)?;
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder).map_err(LabError::file("read", &folder))? {
            let name = entry.map_err(LabError::file("read", &folder))?.file_name();
            names.extend(name.to_string_lossy().strip_suffix(".log").map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// Names of the hosts, in order.
    pub fn host_names(&self) -> Vec<String> {
        self.settings.hosts.iter().map(|host| host.name.clone()).collect()
    }
}
