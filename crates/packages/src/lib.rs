//! Package databases of Linux hosts: who holds them, guarded transactions, what is incomplete.
