//! The command line: one file per command. The only module that prints.
