//! The control plane: reload, watch, admin API.
