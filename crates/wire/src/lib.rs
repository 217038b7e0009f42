//! Identities of a pool and the encrypted connection between agents and their controller.
