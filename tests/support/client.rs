//! HTTP/1.1 by hand.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, rustls::ClientConfig};

use super::within;

pub trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket for S {}

pub struct Client {
    socket: Box<dyn Socket>,
    buffer: Vec<u8>,
    pub alpn: Option<Vec<u8>>,
    pub certificate: Option<Vec<u8>>,
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Response {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (given, value) = line.split_once(':')?;
            given.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

impl Client {
    pub async fn plain(address: SocketAddr) -> Self {
        let socket = within("a connection", TcpStream::connect(address)).await.unwrap();
        Self { socket: Box::new(socket), buffer: Vec::new(), alpn: None, certificate: None }
    }

    pub async fn tls(address: SocketAddr, host: &'static str, config: ClientConfig) -> io::Result<Self> {
        let socket = within("a connection", TcpStream::connect(address)).await?;
        let connector = TlsConnector::from(Arc::new(config));
        let socket = within("a handshake", connector.connect(host.try_into().unwrap(), socket)).await?;
        let session = socket.get_ref().1;
        let alpn = session.alpn_protocol().map(<[u8]>::to_vec);
        let certificate = session.peer_certificates().map(|chain| chain[0].to_vec());
        Ok(Self { socket: Box::new(socket), buffer: Vec::new(), alpn, certificate })
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.unwrap();
    }

    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        within("a write", async {
            self.socket.write_all(bytes.as_ref()).await?;
            self.socket.flush().await
        })
        .await
    }

    pub async fn post(&mut self, body: &str) -> Response {
        self.send(request("/validate", "content-type: application/json\r\n", body)).await;
        self.response().await
    }

    pub async fn response(&mut self) -> Response {
        self.try_response().await.unwrap()
    }

    pub async fn try_response(&mut self) -> io::Result<Response> {
        within("a response", async {
            let end = loop {
                if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                    break at;
                }
                self.more().await?;
            };
            let head = String::from_utf8(self.buffer.drain(..end + 4).collect()).unwrap();
            let status = head.split(' ').nth(1).unwrap().parse().unwrap();
            let mut response = Response { status, head, body: Vec::new() };
            let length = response.header("content-length").map_or(0, |length| length.parse().unwrap());
            while self.buffer.len() < length {
                self.more().await?;
            }
            response.body = self.buffer.drain(..length).collect();
            Ok(response)
        })
        .await
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.socket.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Waits until the server closes; what it sent before, and whether it closed in good order.
    pub async fn rest(&mut self) -> (Vec<u8>, io::Result<()>) {
        let end = within("the server's close", async {
            loop {
                match self.more().await {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
        })
        .await;
        (std::mem::take(&mut self.buffer), end)
    }
}

pub fn request(path: &str, headers: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: guard\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}
