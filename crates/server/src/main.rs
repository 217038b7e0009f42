//! `lifeboatd`: the controller as a service.

fn main() {}
