//! A client of libvirt's RPC protocol.
