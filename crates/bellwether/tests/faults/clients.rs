//! Clients of a pool that say one line and read the answer when it suits them.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use crate::kit::{PATIENCE, Run};

/// Where a pool listens.
#[derive(Clone, Debug)]
pub(crate) enum Door {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Door {
    /// The first address of a pool.
    #[track_caller]
    pub(crate) fn of(run: &Run) -> Self {
        let pool = run.pool();
        let address = pool["addresses"][0]["address"].as_str().expect("an address");
        match address.strip_prefix("unix:") {
            Some(path) => Self::Unix(path.into()),
            None => Self::Tcp(run.socket_addr()),
        }
    }

    /// Connects and says a word.
    #[track_caller]
    pub(crate) fn say(&self, word: &str) -> Client {
        let mut client = Client(BufReader::new(File::from(self.connect())));
        client.say(word);
        client
    }

    /// Says a word and returns the answer.
    #[track_caller]
    pub(crate) fn ask(&self, word: &str) -> String {
        self.say(word).answer().unwrap_or_else(|| panic!("no answer to {word:?}"))
    }

    /// Says a word that its handler does not survive, or not this time.
    #[track_caller]
    pub(crate) fn strike(&self, word: &str) {
        assert_eq!(self.say(word).answer(), None, "{word:?} was answered");
    }

    /// Keeps a handler busy until the client is released.
    #[track_caller]
    pub(crate) fn hold(&self) -> Client {
        let mut client = self.say("hold");
        assert_eq!(client.answer().as_deref(), Some("held"));
        client
    }

    #[track_caller]
    fn connect(&self) -> OwnedFd {
        match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, PATIENCE).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.into()
            }
            Self::Unix(path) => {
                let stream = UnixStream::connect(path).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.into()
            }
        }
    }
}

/// A connection whose line is said.
#[derive(Debug)]
pub(crate) struct Client(BufReader<File>);

impl Client {
    /// The next line of the answer; `None` when the connection was cut off.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(_) => line.strip_suffix('\n').map(str::to_owned),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Err(error) => panic!("no answer within {PATIENCE:?}: {error}"),
        }
    }

    /// Tells the handler that holds this connection, or will, to let it go.
    #[track_caller]
    pub(crate) fn let_go(&mut self) {
        self.say("");
    }

    /// Lets a held handler go on, and asserts that it still had this connection.
    #[track_caller]
    pub(crate) fn release(mut self) {
        self.let_go();
        assert_eq!(self.answer().as_deref(), Some("released"));
    }

    #[track_caller]
    fn say(&mut self, word: &str) {
        self.0.get_mut().write_all(format!("{word}\n").as_bytes()).unwrap();
    }
}
