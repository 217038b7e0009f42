//! Promises of repositories, one module per theme.

mod attacks;
mod cuts;
mod fixture;
mod owner;
mod proxy;
mod servers;
mod state;
mod wire;
