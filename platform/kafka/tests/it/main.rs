//! The bus on a real Kafka broker, held to the suite every bus is held to; and what is Kafka's alone.

mod bounds;
mod broker;
mod carried;
mod relay;
mod switch;

banyan_bus::conformance!({
    let Some(harness) = carried::Kafka::new().await else { return };
    std::future::ready(harness)
});
