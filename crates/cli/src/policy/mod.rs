//! Policy files: TOML that a person wrote, as a [`Policy`](lifeboat_model::Policy).
//!
//! Owns: the names of all keys, their shapes, defaults and meanings; reading a file with the place of every value; the
//! origin of every value; showing a policy. Promises: every mistake of a file is told at once, each with file, line,
//! column, key, value, reason and remedy; hooks and gates name programs that can be run, and time zones exist. Does
//! not: run anything, or know what a value does to a roll.

mod duration;
mod example;
mod keys;
mod load;
mod origin;
mod problem;
mod read;
mod sense;
mod values;

pub(crate) use example::EXAMPLE;
pub(crate) use load::{load, problems_of};
pub(crate) use origin::{Origin, Origins, PolicySource};
pub(crate) use problem::Problem;
pub(crate) use values::{Line, lines_of, to_toml};
