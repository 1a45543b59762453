//! A client that knows which certificates to trust, and says which it got.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::kit::PATIENCE;

/// Whom a client trusts; it never resumes a session.
#[derive(Clone)]
pub(crate) struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Trusts the certificates in these files.
    pub(crate) fn of<P: AsRef<Path>>(files: impl IntoIterator<Item = P>) -> Self {
        let mut roots = RootCertStore::empty();
        for file in files {
            roots.add(CertificateDer::from_pem_file(file).unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.resumption = Resumption::disabled();
        Self(Arc::new(config))
    }

    /// A session that has not begun.
    pub(crate) fn session(&self, name: &str) -> ClientConnection {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        ClientConnection::new(Arc::clone(&self.0), name).unwrap()
    }

    /// Connects and shakes hands.
    pub(crate) fn connect(&self, address: SocketAddr, name: &str) -> io::Result<Client> {
        let mut tcp = TcpStream::connect_timeout(&address, PATIENCE)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        let mut session = self.session(name);
        while session.is_handshaking() {
            session.complete_io(&mut tcp)?;
        }
        Ok(Client(StreamOwned::new(session, tcp)))
    }

    /// Asks for a path over a connection of its own; returns the whole answer.
    pub(crate) fn get(&self, address: SocketAddr, name: &str, path: &str) -> io::Result<String> {
        let mut client = self.connect(address, name)?;
        client.ask(path, "close")?;
        client.rest()
    }
}

/// A connection over which hands have been shaken.
pub(crate) struct Client(StreamOwned<ClientConnection, TcpStream>);

impl Client {
    pub(crate) fn ask(&mut self, path: &str, connection: &str) -> io::Result<()> {
        write!(self.0, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: {connection}\r\n\r\n")?;
        self.0.flush()
    }

    /// Asks and reads an answer that is small enough to come at once.
    pub(crate) fn get(&mut self, path: &str) -> io::Result<String> {
        self.ask(path, "keep-alive")?;
        let mut answer = [0; 4096];
        let length = self.0.read(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
    }

    /// Reads to the end; an end without `close_notify` is an error.
    pub(crate) fn rest(&mut self) -> io::Result<String> {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest)?;
        Ok(rest)
    }

    /// The server's own certificate.
    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.0.conn.peer_certificates().unwrap()[0].clone()
    }
}
