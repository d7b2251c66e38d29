//! The local bus on real PostgreSQL, held to the suite every bus is held to.

mod fencing;
mod local;
mod speed;
mod suspicion;

banyan_bus::conformance!(local::Local::new());
