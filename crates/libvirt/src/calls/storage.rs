//! Storage pools and their volumes.

use super::LIST_LIMIT;
use crate::connection::Connection;
use crate::error::Error;
use crate::flags::{PoolFilter, VolumeCreateFlags};
use crate::procedure::Procedure;
use crate::values::{PoolInfo, StoragePool, StorageVolume, Travels, VolumeInfo};
use crate::xdr::Encoder;

fn plain<T: Travels>(of: &T) -> impl FnOnce(&mut Encoder) {
    move |to| {
        of.encode(to);
        to.unsigned(0);
    }
}

impl Connection {
    /// Storage pools of this host.
    pub fn storage_pools(&self, filter: PoolFilter) -> Result<Vec<StoragePool>, Error> {
        self.list(Procedure::CONNECT_LIST_ALL_STORAGE_POOLS, LIST_LIMIT, |to| {
            to.int(1);
            to.unsigned(filter.bits());
        })
    }

    /// The pool of this name.
    pub fn storage_pool_by_name(&self, name: &str) -> Result<StoragePool, Error> {
        self.value(Procedure::STORAGE_POOL_LOOKUP_BY_NAME, |to| to.string(name))
    }

    /// The active pool that is mounted here. A migration that makes images on the target needs one.
    pub fn storage_pool_by_target_path(&self, path: &str) -> Result<StoragePool, Error> {
        self.value(Procedure::STORAGE_POOL_LOOKUP_BY_TARGET_PATH, |to| to.string(path))
    }

    /// State and sizes of a pool.
    pub fn storage_pool_info(&self, pool: &StoragePool) -> Result<PoolInfo, Error> {
        self.call(Procedure::STORAGE_POOL_GET_INFO, |to| pool.encode(to), PoolInfo::decode)
    }

    /// A pool as XML.
    pub fn storage_pool_xml(&self, pool: &StoragePool) -> Result<String, Error> {
        self.text(Procedure::STORAGE_POOL_GET_XML_DESC, plain(pool))
    }

    /// Looks anew what is in a pool.
    pub fn refresh_storage_pool(&self, pool: &StoragePool) -> Result<(), Error> {
        self.order(Procedure::STORAGE_POOL_REFRESH, plain(pool))
    }

    /// Whether it is started.
    pub fn storage_pool_is_active(&self, pool: &StoragePool) -> Result<bool, Error> {
        self.truth(Procedure::STORAGE_POOL_IS_ACTIVE, |to| pool.encode(to))
    }

    /// Whether it is started with the daemon.
    pub fn storage_pool_autostart(&self, pool: &StoragePool) -> Result<bool, Error> {
        self.truth(Procedure::STORAGE_POOL_GET_AUTOSTART, |to| pool.encode(to))
    }

    /// Volumes of a pool.
    pub fn volumes(&self, pool: &StoragePool) -> Result<Vec<StorageVolume>, Error> {
        self.list(Procedure::STORAGE_POOL_LIST_ALL_VOLUMES, LIST_LIMIT, |to| {
            pool.encode(to);
            to.int(1);
            to.unsigned(0);
        })
    }

    /// The volume of this name in a pool.
    pub fn volume_by_name(&self, pool: &StoragePool, name: &str) -> Result<StorageVolume, Error> {
        self.value(Procedure::STORAGE_VOL_LOOKUP_BY_NAME, |to| {
            pool.encode(to);
            to.string(name);
        })
    }

    /// The volume at this path, in whatever pool.
    pub fn volume_by_path(&self, path: &str) -> Result<StorageVolume, Error> {
        self.value(Procedure::STORAGE_VOL_LOOKUP_BY_PATH, |to| to.string(path))
    }

    /// Kind and sizes of a volume.
    pub fn volume_info(&self, volume: &StorageVolume) -> Result<VolumeInfo, Error> {
        self.call(Procedure::STORAGE_VOL_GET_INFO, |to| volume.encode(to), VolumeInfo::decode)
    }

    /// A volume as XML.
    pub fn volume_xml(&self, volume: &StorageVolume) -> Result<String, Error> {
        self.text(Procedure::STORAGE_VOL_GET_XML_DESC, plain(volume))
    }

    /// Path of a volume on the host.
    pub fn volume_path(&self, volume: &StorageVolume) -> Result<String, Error> {
        self.text(Procedure::STORAGE_VOL_GET_PATH, |to| volume.encode(to))
    }

    /// Makes a volume.
    pub fn create_volume(
        &self,
        pool: &StoragePool,
        xml: &str,
        flags: VolumeCreateFlags,
    ) -> Result<StorageVolume, Error> {
        self.value(Procedure::STORAGE_VOL_CREATE_XML, |to| {
            pool.encode(to);
            to.string(xml);
            to.unsigned(flags.bits());
        })
    }

    /// Deletes a volume and what is in it.
    pub fn delete_volume(&self, volume: &StorageVolume) -> Result<(), Error> {
        self.order(Procedure::STORAGE_VOL_DELETE, plain(volume))
    }
}
