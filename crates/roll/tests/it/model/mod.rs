//! Every state of small pools, searched with `stateright` over the very `decide` that runs in production.
//!
//! Owns: the model (a pool, a driver that may fail, controllers that may die or sleep, a person who interferes), the
//! promises as named properties, and faulty variants that each break one of them. Promises: nothing is decided here;
//! every record and every effect comes out of [`lifeboat_roll::decide`]. Does not: prove the store, the lease or a
//! driver; what is left out is said in `docs/design/proof.md`.

mod act;
mod driver;
mod fold;
mod interfere;
mod machine;
mod more;
mod mutants;
mod properties;
mod scene;
mod search;
mod seeded;
mod state;
mod watch;
