//! Promises of lifeboat-libvirt.
