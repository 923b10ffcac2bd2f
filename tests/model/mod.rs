//! Models made of symbols, and layers one after the other.

mod functional;
mod keras;
mod plot;
mod sequential;
