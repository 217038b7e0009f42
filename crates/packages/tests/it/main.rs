//! Promises of lifeboat-packages.
