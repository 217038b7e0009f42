//! Promises of lifeboat-server.
