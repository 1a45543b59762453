//! Socket activation: systemd keeps the address, the program comes and goes.

use crate::clients::{all_answered, curl, stream};
use crate::kit::{Machine, PATIENCE, eventually};
use crate::units::{service, socket};

/// A machine whose socket is open and whose service has not been asked for.
fn activated(lines: &str) -> Option<Machine> {
    let machine = Machine::boot()?;
    service(&machine, "serve --handlers 2 --listen systemd:", lines);
    socket(&machine, "");
    machine.systemctl(&["start", "web.socket"]);
    Some(machine)
}

#[test]
fn the_first_request_starts_the_service_and_is_answered() {
    let Some(machine) = activated("") else { return };
    assert_eq!(machine.property("web.service", "ActiveState"), "inactive");
    let answer = curl(&machine, "/whoami").unwrap();
    assert!(answer.contains(r#""pid""#), "{answer}");
    assert_eq!(machine.property("web.service", "ActiveState"), "active");
    assert_eq!(machine.run().pool()["addresses"][0]["address"], "tcp://127.0.0.1:8080");
    machine.systemctl(&["stop", "web.socket", "web.service"]);
    machine.switch_off();
}

#[test]
fn a_restart_loses_no_request() {
    let Some(machine) = activated("") else { return };
    curl(&machine, "/").unwrap();
    let mut spawners = Vec::new();
    let ledger = stream(&machine, || {
        for _ in 0..5 {
            spawners.push(machine.main_pid("web.service"));
            machine.systemctl(&["restart", "web.service"]);
            curl(&machine, "/").unwrap();
        }
    });
    spawners.sort_unstable();
    spawners.dedup();
    assert_eq!(spawners.len(), 5, "each restart makes a new spawner");
    assert!(all_answered(&ledger).len() > 5, "every spawner has handlers of its own");
    machine.systemctl(&["stop", "web.socket", "web.service"]);
    machine.switch_off();
}

#[test]
fn a_stop_leaves_nothing() {
    let Some(machine) = activated("") else { return };
    curl(&machine, "/").unwrap();
    machine.run().wait_ready(2);
    assert!(machine.processes("web.service").len() >= 4, "spawner, template, two handlers");
    machine.systemctl(&["stop", "web.socket", "web.service"]);
    assert_eq!(machine.property("web.service", "Result"), "success");
    assert_eq!(machine.property("web.service", "ExecMainStatus"), "0");
    assert_eq!(machine.processes("web.service"), []);
    assert!(machine.log("web").contains("every connection was finished"), "{}", machine.log("web"));
    assert!(curl(&machine, "/").unwrap_err().contains("connect"));
    machine.switch_off();
}

#[test]
fn a_service_that_is_killed_is_started_again_by_the_next_request() {
    let Some(machine) = activated("KillMode=mixed") else { return };
    curl(&machine, "/").unwrap();
    machine.systemctl(&["kill", "--kill-whom=main", "--signal=KILL", "web.service"]);
    eventually(PATIENCE, "the service to be down", || {
        let state = machine.property("web.service", "ActiveState");
        (state != "active" && machine.processes("web.service").is_empty()).then_some(())
    });
    curl(&machine, "/").unwrap();
    machine.systemctl(&["stop", "web.socket", "web.service"]);
    machine.switch_off();
}
