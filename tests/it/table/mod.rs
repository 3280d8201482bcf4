//! Tables built from specs, without a network.

mod explain;
mod explained_money;
mod order;
