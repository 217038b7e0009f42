//! Promises of lifeboat-hoststate.
