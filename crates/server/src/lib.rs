//! The controller as a service: the agents of a pool.
