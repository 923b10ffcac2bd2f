//! What modulor promises, as its users see it.

mod module;
