//! The one integration-test binary: every area is a module, so that the crate links once.
