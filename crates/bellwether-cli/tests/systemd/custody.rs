//! The listeners that the spawner gives into systemd's custody, and who gets them back.

use std::io::ErrorKind;
use std::net::TcpStream;

use crate::clients::{all_answered, curl, stream};
use crate::kit::{Kill, Machine};
use crate::units::{ADDRESS, service};

/// A spawner that is killed is followed by another, while the handlers finish what they have.
const FOLLOWED: &str = "FileDescriptorStoreMax=8\nRestart=always\nRestartSec=0";

/// A machine whose service has said that it is ready.
fn ready(listen: &str) -> Option<Machine> {
    let machine = Machine::boot()?;
    serve(&machine, listen, "");
    machine.systemctl(&["start", "web.service"]);
    Some(machine)
}

fn serve(machine: &Machine, listen: &str, lines: &str) {
    let arguments = format!("serve --handlers 2 --name web --orphan-grace 1s --listen {listen}");
    service(machine, &arguments, &format!("Type=notify\n{FOLLOWED}\n{lines}"));
}

/// Kills the spawner and waits for its successor.
#[track_caller]
pub(crate) fn kill_spawner(machine: &Machine, kills: usize) {
    let spawner = machine.main_pid("web.service");
    Kill::of(spawner).expect("a spawner that lives");
    machine.wait_property("web.service", "NRestarts", &kills.to_string());
    machine.wait_property("web.service", "SubState", "running");
}

/// The inode of the socket that listens at the address.
#[track_caller]
pub(crate) fn listening_inode(machine: &Machine) -> String {
    let table = machine.inside(|| std::fs::read_to_string("/proc/thread-self/net/tcp").unwrap());
    // 127.0.0.1:8080, and the state LISTEN (proc_net(5), tcp_states.h).
    let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = lines.find(|line| line[1] == "0100007F:1F90" && line[3] == "0A");
    line.unwrap_or_else(|| panic!("nobody listens:\n{table}"))[9].to_owned()
}

#[test]
fn a_spawner_that_is_killed_leaves_its_queue_to_its_successor() {
    let Some(machine) = ready(ADDRESS) else { return };
    let inode = listening_inode(&machine);
    let ledger = stream(&machine, || {
        for kills in 1..=5 {
            kill_spawner(&machine, kills);
            curl(&machine, "/").unwrap();
        }
    });
    assert!(all_answered(&ledger).len() > 2, "every spawner has handlers of its own");
    assert_eq!(listening_inode(&machine), inode);
    assert_eq!(machine.property("web.service", "NFileDescriptorStore"), "1");
    machine.systemctl(&["stop", "web.service"]);
    machine.switch_off();
}

#[test]
fn a_restart_keeps_the_queue_and_opens_the_door() {
    let Some(machine) = ready(ADDRESS) else { return };
    let inode = listening_inode(&machine);
    let ledger = stream(&machine, || {
        for _ in 0..2 {
            machine.systemctl(&["restart", "web.service"]);
            curl(&machine, "/").unwrap();
        }
    });
    all_answered(&ledger);
    assert_eq!(listening_inode(&machine), inode);
    machine.systemctl(&["stop", "web.service"]);
    machine.switch_off();
}

#[test]
fn after_a_stop_nobody_queues_at_an_address_that_is_dead() {
    let Some(machine) = ready(ADDRESS) else { return };
    machine.systemctl(&["stop", "web.service"]);
    assert_eq!(machine.property("web.service", "NFileDescriptorStore"), "0");
    let refusal = machine.inside(|| TcpStream::connect(ADDRESS)).unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::ConnectionRefused);
    machine.switch_off();
}

#[test]
fn unix_listeners_are_kept_too() {
    let listen = format!("{ADDRESS} --listen unix:/run/web.sock --listen @web");
    let Some(machine) = ready(&listen) else { return };
    kill_spawner(&machine, 1);
    curl(&machine, "/").unwrap();
    assert_eq!(machine.property("web.service", "NFileDescriptorStore"), "3");
    machine.systemctl(&["stop", "web.service"]);
    machine.switch_off();
}

#[test]
fn an_address_that_is_no_longer_served_is_closed() {
    let elsewhere = "127.0.0.1:8081";
    // Without its handlers, who would serve it for the orphan grace.
    let alone = "KillMode=mixed";
    let Some(machine) = Machine::boot() else { return };
    serve(&machine, elsewhere, alone);
    machine.systemctl(&["start", "web.service"]);
    serve(&machine, ADDRESS, alone);
    kill_spawner(&machine, 1);
    curl(&machine, "/").unwrap();
    assert_eq!(machine.property("web.service", "NFileDescriptorStore"), "1");
    let refusal = machine.inside(|| TcpStream::connect(elsewhere)).unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::ConnectionRefused);
    machine.systemctl(&["stop", "web.service"]);
    machine.switch_off();
}
