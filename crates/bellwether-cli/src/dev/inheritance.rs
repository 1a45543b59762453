//! The listeners on their way to whoever runs the program: through its standard input.
//!
//! `LISTEN_FDS` would need the number of a process that is not there yet, and descriptors that are
//! left open by number would stay open in the program.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use bellwether::{Address, Error, Listener, Result};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

/// The kernel takes at most so many descriptors in one message (SCM_MAX_FD in net/scm.h).
const MOST: usize = 253;
/// Room for what was typed behind the `?` of as many addresses.
const LONGEST: usize = 64 * 1024;

/// Listeners that another process has opened, and what is to be set of each.
#[derive(Debug)]
pub(super) struct Inheritance {
    sockets: Vec<OwnedFd>,
    options: Vec<String>,
}

/// Hands listeners over, each with what was typed behind its `?`.
pub(super) fn hand_over(heir: impl AsFd, listeners: &[(Listener, String)]) -> Result<()> {
    let options: Vec<_> = listeners.iter().map(|(_, options)| options.as_str()).collect();
    let sockets: Vec<_> = listeners.iter().map(|(listener, _)| listener.as_fd()).collect();
    let words = options.join("\n") + "\n";
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&sockets)) {
        let problem = format!("more than {MOST} addresses are not possible; leave some out");
        return Err(Error::Configure { what: "listen".into(), problem });
    }
    let parts = [IoSlice::new(words.as_bytes())];
    let sent = rustix::net::sendmsg(heir, &parts, &mut control, SendFlags::empty());
    sent.map(drop).map_err(|errno| Error::System {
        doing: "hand the addresses over".into(),
        source: errno.into(),
    })
}

impl Inheritance {
    /// Takes what is waiting in the socket that is our standard input, which is empty from then on.
    pub(super) fn take() -> std::io::Result<Self> {
        let inheritance = Self::receive(std::io::stdin())?;
        rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
        Ok(inheritance)
    }

    fn receive(from: impl AsFd) -> std::io::Result<Self> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut words = vec![0; LONGEST];
        let parts = &mut [IoSliceMut::new(&mut words)];
        let received = rustix::net::recvmsg(from, parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let sockets = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
            _ => None,
        });
        let sockets = sockets.flatten().collect();
        let words = String::from_utf8_lossy(words.get(..received.bytes).unwrap_or_default());
        Ok(Self { sockets, options: words.lines().map(Into::into).collect() })
    }

    /// The addresses by which they can be served, as long as this is kept.
    pub(super) fn addresses(&self) -> Result<Vec<Address>> {
        let each = self.sockets.iter().zip(&self.options);
        each.map(|(socket, options)| {
            let query = if options.is_empty() { "" } else { "?" };
            format!("fd:{}{query}{options}", socket.as_raw_fd()).parse()
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn listeners_arrive_as_they_were_sent() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let addresses = ["127.0.0.1:0", "127.0.0.1:0"].map(|it| it.parse().unwrap());
        let opened = Listener::open(&addresses).unwrap();
        let options = ["", "nodelay=off&backlog=7"].map(String::from);
        let listeners: Vec<_> = opened.into_iter().zip(options).collect();
        hand_over(&ours, &listeners).unwrap();
        let inheritance = Inheritance::receive(theirs).unwrap();
        let served = Listener::open(&inheritance.addresses().unwrap()).unwrap();
        let places = |all: &[Listener]| -> Vec<String> {
            all.iter().map(|it| it.address().to_owned()).collect()
        };
        let (opened, _): (Vec<_>, Vec<_>) = listeners.into_iter().unzip();
        assert_eq!(places(&served), places(&opened));
        assert_eq!(served[1].backlog(), Some(7));
    }
}
