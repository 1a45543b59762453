//! The service manager, played by a datagram socket.

use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use tempfile::TempDir;

use super::*;

/// A manager's end of the line.
struct Ear {
    socket: UnixDatagram,
    name: String,
    _folder: TempDir,
}

impl Ear {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket, name: path.to_str().unwrap().into(), _folder: folder }
    }

    fn manager(&self, more: &[(&str, &str)]) -> Manager {
        let more = more.iter().copied();
        read(&more.chain([("NOTIFY_SOCKET", self.name.as_str())]).collect::<Vec<_>>()).unwrap()
    }

    /// The next message and how many descriptors came with it.
    fn hear(&self) -> Option<(String, Vec<OwnedFd>)> {
        let mut text = [0; 1024];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [std::io::IoSliceMut::new(&mut text)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let got = rustix::net::recvmsg(&self.socket, &mut parts, &mut control, flags).ok()?;
        let fds = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        });
        let fds = fds.flatten().collect();
        Some((String::from_utf8(text[..got.bytes].to_vec()).unwrap(), fds))
    }

    fn text(&self) -> String {
        self.hear().map(|(text, _)| text).unwrap_or_default()
    }
}

fn read(variables: &[(&str, &str)]) -> Result<Manager> {
    Manager::read("7", Duration::from_secs(100), |name| {
        variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn readiness_is_told_once_and_again_after_a_reload() {
    let ear = Ear::new();
    let mut manager = ear.manager(&[]);
    manager.reloading(); // nothing is reloaded that was not ready
    manager.ready("4 handlers");
    manager.ready("4 handlers");
    assert_eq!(ear.text(), "READY=1\nSTATUS=4 handlers\n");
    manager.reloading();
    let told = ear.text();
    let moment = told.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().trim_end();
    assert!(moment.parse::<u64>().unwrap() > 0);
    manager.ready("4 handlers");
    assert_eq!(ear.text(), "READY=1\nSTATUS=4 handlers\n");
    assert_eq!(ear.text(), "");
}

#[test]
fn a_stop_is_told_once_and_is_the_last_phase() {
    let ear = Ear::new();
    let mut manager = ear.manager(&[]);
    manager.stopping("1 connection left");
    assert_eq!(ear.text(), "STOPPING=1\nSTATUS=1 connection left\n");
    manager.stopping("nothing left");
    manager.reloading();
    manager.ready("nothing left");
    assert_eq!(ear.text(), "STATUS=nothing left\n");
    assert_eq!(ear.text(), "");
}

#[test]
fn a_status_is_one_line_and_sent_when_it_changes() {
    let ear = Ear::new();
    let mut manager = ear.manager(&[]);
    for _ in 0..2 {
        manager.status("fine\nMAINPID=1");
    }
    manager.extend(Duration::from_millis(1500));
    assert_eq!(ear.text(), "STATUS=fine MAINPID=1\n");
    assert_eq!(ear.text(), "EXTEND_TIMEOUT_USEC=1500000\n");
}

#[test]
fn descriptors_are_stored_by_a_name_and_given_up_by_it() {
    let ear = Ear::new();
    let mut manager = ear.manager(&[]);
    let file = File::open("/dev/null").unwrap();
    manager.store("bellwether-a:b-0", &[file.as_fd(), ear.socket.as_fd()]);
    let (text, fds) = ear.hear().unwrap();
    assert_eq!(text, "FDSTORE=1\nFDNAME=bellwether-a-b-0\nFDPOLL=0\n");
    let inode = |fd: &OwnedFd| rustix::fs::fstat(fd).unwrap().st_ino;
    assert_eq!(fds.len(), 2);
    assert_eq!(inode(&fds[0]), rustix::fs::fstat(&file).unwrap().st_ino);
    manager.unstore("bellwether-a:b-0");
    assert_eq!(ear.text(), "FDSTOREREMOVE=1\nFDNAME=bellwether-a-b-0\n");
}

#[test]
fn more_descriptors_than_one_message_takes_go_with_several() {
    let ear = Ear::new();
    let file = File::open("/dev/null").unwrap();
    ear.manager(&[]).store("x", &[file.as_fd(); MOST_DESCRIPTORS + 1]);
    let messages = std::iter::from_fn(|| ear.hear()).count();
    assert_eq!(messages, 2);
}

#[test]
fn the_watchdog_is_pinged_at_half_of_its_time() {
    let check = |variables: &[(&str, &str)], first: Option<u64>| {
        let manager = Ear::new().manager(variables);
        assert_eq!(manager.next_ping(), first.map(Duration::from_secs), "{variables:?}");
    };
    check(&[], None);
    check(&[("WATCHDOG_USEC", "30000000")], Some(115));
    check(&[("WATCHDOG_USEC", "30000000"), ("WATCHDOG_PID", "7")], Some(115));
    check(&[("WATCHDOG_USEC", "30000000"), ("WATCHDOG_PID", "8")], None);
    check(&[("WATCHDOG_USEC", "0")], None);
    check(&[("WATCHDOG_USEC", "soon")], None);

    let ear = Ear::new();
    let mut manager = ear.manager(&[("WATCHDOG_USEC", "30000000")]);
    manager.ping(Duration::from_secs(114));
    assert_eq!(ear.text(), "");
    manager.ping(Duration::from_secs(116));
    assert_eq!(ear.text(), "WATCHDOG=1\n");
    assert_eq!(manager.next_ping(), Some(Duration::from_secs(131)));
}

#[test]
fn a_manager_that_does_not_read_is_not_waited_for_and_misses_nothing_that_counts() {
    let ear = Ear::new();
    let mut manager = ear.manager(&[]);
    let file = File::open("/dev/null").unwrap();
    let full = |manager: &Manager| manager.line.as_ref().is_some_and(|it| it.retry.is_some());
    for length in 1..2_000_000 {
        manager.status(&length.to_string());
        if full(&manager) {
            break;
        }
    }
    assert!(full(&manager), "the queue of a socket is finite");
    manager.ready("");
    manager.store("x", &[file.as_fd()]);
    for number in 0..100 {
        manager.status(&format!("{number} more"));
    }
    let mut heard: Vec<_> = std::iter::from_fn(|| ear.hear()).collect();
    assert!(!heard.iter().any(|(text, _)| text.starts_with("READY")));
    manager.ping(manager.next_ping().unwrap());
    heard = std::iter::from_fn(|| ear.hear()).collect();
    let lines: Vec<_> = heard.iter().map(|(text, _)| text.lines().next().unwrap()).collect();
    assert_eq!(lines, ["READY=1", "FDSTORE=1", "STATUS=99 more"], "of states the last is enough");
    assert_eq!(heard[1].1.len(), 1);
    assert_eq!(manager.next_ping(), None);
}

#[test]
fn a_name_in_the_abstract_namespace_is_a_manager_too() {
    let name = format!("bellwether-manager-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    read(&[("NOTIFY_SOCKET", &format!("@{name}"))]).unwrap().ready("");
    let mut text = [0; 64];
    let length = socket.recv(&mut text).unwrap();
    assert_eq!(&text[..length], b"READY=1\nSTATUS=\n");
}

#[test]
fn nobody_who_listens_does_no_harm() {
    let mut nobody = read(&[]).unwrap();
    let mut gone = read(&[("NOTIFY_SOCKET", "/nowhere/at/all")]).unwrap();
    let file = File::open("/dev/null").unwrap();
    for manager in [&mut nobody, &mut gone] {
        manager.ready("fine");
        manager.store("x", &[file.as_fd()]);
        manager.ping(Duration::from_secs(200));
        assert_eq!(manager.next_ping(), None);
    }
    assert!(file.as_raw_fd() > 2);
}

#[test]
fn a_name_that_is_no_socket_is_refused_with_what_to_write() {
    for name in ["", "notify", "vsock:2:1234", &format!("/{}", "x".repeat(200))] {
        let error = read(&[("NOTIFY_SOCKET", name)]).unwrap_err().to_string();
        assert!(error.contains("absolute path or @NAME"), "{error}");
    }
}
