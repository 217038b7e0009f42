//! Promises of lifeboat-wire.
