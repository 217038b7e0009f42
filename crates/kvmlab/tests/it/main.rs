//! Promises of lifeboat-kvmlab.
