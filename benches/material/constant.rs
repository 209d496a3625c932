//! A webhook that does nothing: it reads what it is sent and allows it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;
use bytes::Bytes;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, crypto::ring};

use crate::pki;

/// How every review of an API server begins, up to the name of the request.
const BEFORE_UID: &str = r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":""#;
/// How long that is.
const UID: usize = 36;

/// Serves as axum's `low-level-rustls` example does, on the runtime that this is called in. Gives the address, and the CA in PEM.
pub async fn serve() -> (SocketAddr, String) {
    let router = Router::new().route("/validate", post(allow));
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, ca) = (socket.local_addr().unwrap(), pki::Ca::new());
    let acceptor = acceptor(&ca.issue());
    tokio::spawn(async move {
        loop {
            let (stream, _) = socket.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (acceptor, router) = (acceptor.clone(), router.clone());
            tokio::spawn(async move {
                let stream = TokioIo::new(acceptor.accept(stream).await.unwrap());
                // A connection that its client drops is no error here.
                let _ =
                    http1::Builder::new().serve_connection(stream, TowerToHyperService::new(router)).await;
            });
        }
    });
    (address, ca.pem())
}

/// The answer is a constant but for the name of the request, without which the API server does not take it.
async fn allow(body: Bytes) -> impl IntoResponse {
    let uid = std::str::from_utf8(&body[BEFORE_UID.len()..][..UID]).unwrap();
    let answer = format!(
        r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{{"uid":"{uid}","allowed":true}}}}"#
    );
    ([(CONTENT_TYPE, "application/json")], answer)
}

fn acceptor(pair: &pki::Pair) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
