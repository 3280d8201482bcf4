//! The mock under load.
