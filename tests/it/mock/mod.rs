//! The mock upstream as a raw TCP client sees it: its answers, each of its faults byte by byte, and what it remembers.

mod answers;
mod dialects;
mod faults;
mod formats;
mod load;
mod recording;
mod support;
