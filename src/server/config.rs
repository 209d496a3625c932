//! The configuration of the server.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use super::{Callers, tls};

/// The addresses, the certificate and the limits.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// HTTPS, for the API server. Default `0.0.0.0:8443`; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Plain HTTP, for probes and metrics. Default `0.0.0.0:8080`; port 0 takes a free one.
    pub ops_bind: SocketAddr,
    /// The certificate. Default self-signed, its CA written to `certs/ca.crt`.
    pub tls: tls::CertificateSource,
    /// Clients must present a certificate from one of the CAs in this PEM file. Default none: anyone may ask.
    pub client_ca: Option<PathBuf>,
    /// Further proof that clients must give. Default none.
    pub callers: Callers,
    /// Whether Metacontroller's hooks are answered. Default no.
    pub metacontroller: bool,
    /// How often files of certificates are compared with what is in use. Default 5 s.
    pub reload_every: Duration,
    /// Default see [`Limits`].
    pub limits: Limits,
    /// Default see [`Drain`].
    pub drain: Drain,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8443)),
            ops_bind: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8080)),
            tls: tls::CertificateSource::default(),
            client_ca: None,
            callers: Callers::default(),
            metacontroller: false,
            reload_every: Duration::from_secs(5),
            limits: Limits::default(),
            drain: Drain::default(),
        }
    }
}

/// Limits on the cost of clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Default 10 s.
    pub handshake: Duration,
    /// From the first byte of a request to the end of its head. Default 10 s.
    pub head: Duration,
    /// From the end of the head to the end of the body. Default 10 s, as long as a webhook call takes by default.
    pub body: Duration,
    /// How long a connection may rest before its first request. Default 30 s.
    pub first: Duration,
    /// How long a connection may rest between requests. Default 5 minutes: the API server
    /// closes after 90 s, and a server that closes first races with the next review.
    pub idle: Duration,
    /// How long a connection that was closed here is read on, so that the client sees the answer and not a reset.
    /// Default 1 s.
    pub linger: Duration,
    /// Default 16 KiB, the request line included: the API server's is below 1 KiB.
    pub head_bytes: usize,
    /// Default 8 MiB: a review carries object and old object, each up to 1.5 MiB in etcd and more as JSON.
    pub body_bytes: usize,
    /// The bodies of all requests in flight together. Default 64 MiB.
    pub bodies_bytes: usize,
    /// Connections for reviews; for one more the one that rests longest gives way. Default 1024.
    pub connections: usize,
    /// Connections among them that have not finished their TLS handshake. Default 128.
    pub handshakes: usize,
    /// Connections for probes and metrics. Default 64.
    pub ops_connections: usize,
    /// How long one of those may rest, before its first request or after. Default 15 s.
    pub ops_idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            first: Duration::from_secs(30),
            idle: Duration::from_secs(300),
            linger: Duration::from_secs(1),
            head_bytes: 16 << 10,
            body_bytes: 8 << 20,
            bodies_bytes: 64 << 20,
            connections: 1024,
            handshakes: 128,
            ops_connections: 64,
            ops_idle: Duration::from_secs(15),
        }
    }
}

/// How the end goes.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// How long reviews are still accepted after readiness went off: until every API server has stopped sending
    /// them here. Default 10 s.
    pub serve_for: Duration,
    /// How long what is then in flight may take. Default 20 s.
    pub finish_within: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self { serve_for: Duration::from_secs(10), finish_within: Duration::from_secs(20) }
    }
}
