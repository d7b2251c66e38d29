//! HTTP clients, all with the same TLS.

/// A client to be configured further: rustls over ring, the system's roots, no proxy from the environment, and no
/// redirect followed, since every callee here is one that was named.
///
/// Also makes ring the process's provider of cryptography, without which no client can be built.
pub fn client() -> reqwest::ClientBuilder {
    // Whoever came first chose the same, or knew better.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none())
}
