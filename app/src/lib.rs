//! The shop in one binary.
