//! Tables built from specs, without a network.

mod explain;
