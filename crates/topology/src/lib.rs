//! Storage of a Linux host: adapters, targets, LUNs, paths, and every name of a device.
