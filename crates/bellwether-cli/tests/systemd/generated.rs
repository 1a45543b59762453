//! The unit of `bellwether generate systemd`, as it is but for where this machine has things.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::clients::{all_answered, curl, stream};
use crate::custody::{kill_spawner, listening_inode};
use crate::kit::{Hold, Kill, Machine, PATIENCE, Pid, eventually};
use crate::units::ADDRESS;

const PROGRAM: &str = env!("CARGO_BIN_EXE_bellwether");

/// Orphans that do not leave by themselves while a test waits.
const POOL: &str = "handlers = 2\ncanary = '200ms'\norphan-grace = '10m'";

/// What the drop-in says: where this machine has things, which the service cannot see else.
const PLACES: &str = "Environment=BELLWETHER_RUNTIME_DIR=/run/bellwether";

/// A machine whose service is the one that is generated for this pool, with more lines of ours.
fn installed(pool: &str, lines: &str) -> Option<Machine> {
    let machine = Machine::boot()?;
    let (unit, file) = generated(&machine.run().path("bellwether.toml"), pool);
    install(&machine, &unit, &file, lines);
    Some(machine)
}

fn install(machine: &Machine, unit: &str, file: &str, lines: &str) {
    let drop_in = machine.run().path("units/web.service.d");
    fs::create_dir(&drop_in).unwrap();
    let bind = format!("BindReadOnlyPaths={PROGRAM}:/tmp/bellwether {file}:/tmp/bellwether.toml");
    fs::write(drop_in.join("here.conf"), format!("[Service]\n{PLACES}\n{bind}\n{lines}\n"))
        .unwrap();
    let unit = unit.replace(PROGRAM, "/tmp/bellwether").replace(file, "/tmp/bellwether.toml");
    machine.unit("web.service", &unit);
}

/// The unit for a file with this pool, and the path of the file.
fn generated(file: &Path, pool: &str) -> (String, String) {
    write(file, ADDRESS, pool);
    (generate(file, &[]), file.to_str().unwrap().to_owned())
}

fn write(file: &Path, address: &str, pool: &str) {
    let text = format!("name = 'web'\n[pool.web]\nlisten = ['{address}']\n{pool}\n");
    fs::write(file, text).unwrap();
}

fn generate(file: &Path, arguments: &[&str]) -> String {
    let mut generate = Command::new(PROGRAM);
    generate.args(["generate", "systemd", "-c"]).arg(file).args(arguments);
    let output = generate.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn started(pool: &str, lines: &str) -> Option<Machine> {
    let machine = installed(pool, lines)?;
    machine.systemctl(&["start", "web.service"]);
    Some(machine)
}

#[track_caller]
fn stop(machine: Machine) {
    machine.systemctl(&["stop", "web.service"]);
    assert_eq!(machine.property("web.service", "Result"), "success");
    nobody_is_left(&machine);
    machine.switch_off();
}

#[track_caller]
fn nobody_is_left(machine: &Machine) {
    eventually(PATIENCE, "an empty control group", || {
        machine.processes("web.service").is_empty().then_some(())
    });
}

/// Waits until `systemctl status` shows a line that begins so.
#[track_caller]
fn wait_status(machine: &Machine, beginning: &str) {
    eventually(PATIENCE, &format!("the status `{beginning}…`"), || {
        machine.property("web.service", "StatusText").starts_with(beginning).then_some(())
    });
}

fn handlers(machine: &Machine) -> BTreeSet<Pid> {
    let all = machine.processes("web.service").into_iter();
    all.filter(|it| it.name.starts_with("bw:handler")).map(|it| it.pid).collect()
}

#[test]
fn it_serves_and_stops() {
    let Some(machine) = started(POOL, "") else { return };
    let status = machine.property("web.service", "StatusText");
    assert_eq!(status, format!("serving: 2 handlers at tcp://{ADDRESS}; generation 1"));
    curl(&machine, "/").unwrap();
    stop(machine);
}

#[test]
fn a_reload_loses_no_request_and_ends_when_the_new_handlers_serve() {
    let Some(machine) = started(POOL, "") else { return };
    let ledger = stream(&machine, || {
        for generation in 2..=3 {
            machine.systemctl(&["reload", "web.service"]);
            machine.wait_property("web.service", "SubState", "running");
            let status = format!("serving: 2 handlers at tcp://{ADDRESS}; generation {generation}");
            wait_status(&machine, &status);
        }
    });
    assert!(all_answered(&ledger).len() > 2, "every generation has handlers of its own");
    stop(machine);
}

#[test]
fn a_reload_that_fails_says_why_and_changes_nothing() {
    let Some(machine) = started("handlers = 2\ncanary = '20s'", "") else { return };
    let old = handlers(&machine);
    machine.systemctl(&["reload", "--no-block", "web.service"]);
    machine.wait_property("web.service", "SubState", "reload");
    wait_status(
        &machine,
        "reload: the first handler of the new generation proves itself; 3 handlers",
    );
    let canary = *handlers(&machine).difference(&old).next().unwrap();
    Kill::of(canary).unwrap();
    machine.wait_property("web.service", "SubState", "running");
    wait_status(&machine, &format!("serving: 2 handlers at tcp://{ADDRESS}; generation 1"));
    assert_eq!(handlers(&machine), old);
    let log = machine.log("web");
    assert!(log.contains("a handler of the new generation ended"), "{log}");
    assert!(machine.journal().contains("Reload failed"), "{}", machine.journal());
    stop(machine);
}

#[test]
fn a_file_that_is_wrong_is_not_loaded() {
    let Some(machine) = started(POOL, "") else { return };
    fs::write(machine.run().path("bellwether.toml"), "[pool.web]\nlisten = 7\n").unwrap();
    let output = machine.try_systemctl(&["reload", "web.service"]);
    assert!(!output.status.success());
    assert!(machine.log("web").contains("bellwether.toml:2:10"), "{}", machine.log("web"));
    wait_status(&machine, &format!("serving: 2 handlers at tcp://{ADDRESS}; generation 1"));
    stop(machine);
}

#[test]
fn what_a_reload_leaves_out_is_not_kept_any_more() {
    let with = |listen: &str| format!("{POOL}\n[pool.also]\nlisten = {listen}\nhandlers = 1");
    let before = with("['127.0.0.1:8081', 'unix:/run/also']");
    let Some(machine) = started(&before, "") else { return };
    let file = machine.run().path("bellwether.toml");
    let kept = |number: &str| {
        machine.wait_property("web.service", "NFileDescriptorStore", number);
    };
    kept("3");
    write(&file, ADDRESS, &with("['127.0.0.1:8082']"));
    machine.systemctl(&["reload", "web.service"]);
    kept("2");
    write(&file, ADDRESS, POOL);
    machine.systemctl(&["reload", "web.service"]);
    kept("1");
    wait_status(&machine, &format!("serving: 2 handlers at tcp://{ADDRESS}; generation 3"));
    let inode = listening_inode(&machine);
    kill_spawner(&machine, 1);
    curl(&machine, "/").unwrap();
    assert_eq!(listening_inode(&machine), inode);
    kept("1");
    stop(machine);
}

#[test]
fn the_death_of_the_spawner_costs_no_request() {
    let Some(machine) = started(POOL, "") else { return };
    let inode = listening_inode(&machine);
    let ledger = stream(&machine, || {
        for kills in 1..=2 {
            kill_spawner(&machine, kills);
            curl(&machine, "/").unwrap();
        }
    });
    assert!(all_answered(&ledger).len() > 2, "every spawner has handlers of its own");
    assert_eq!(listening_inode(&machine), inode);
    // Those of the first two would still serve for the orphan grace.
    assert!(handlers(&machine).len() > 2, "the stop has nobody to end");
    stop(machine);
}

#[test]
fn a_spawner_that_stands_still_is_replaced_by_the_watchdog() {
    let Some(machine) = started(POOL, "WatchdogSec=1s") else { return };
    let inode = listening_inode(&machine);
    let ledger = stream(&machine, || {
        let _hold = Hold::stop(&[machine.main_pid("web.service")]);
        machine.wait_property("web.service", "NRestarts", "1");
        machine.wait_property("web.service", "SubState", "running");
        curl(&machine, "/").unwrap();
    });
    assert!(machine.journal().contains("Watchdog timeout"), "{}", machine.journal());
    all_answered(&ledger);
    assert_eq!(listening_inode(&machine), inode);
    stop(machine);
}

#[test]
fn one_that_never_starts_is_given_up() {
    let never = "ExecStart=\nExecStart=/bin/false\nRestartSec=0";
    let Some(machine) = installed(POOL, never) else { return };
    assert!(!machine.try_systemctl(&["start", "web.service"]).status.success());
    machine.wait_property("web.service", "ActiveState", "failed");
    assert_eq!(machine.property("web.service", "NRestarts"), "10");
    nobody_is_left(&machine);
    machine.switch_off();
}

#[test]
fn with_a_socket_of_systemd_neither_a_restart_nor_a_death_costs_a_request() {
    let Some(machine) = Machine::boot() else { return };
    let (file, units) = (machine.run().path("bellwether.toml"), machine.run().path("units"));
    write(&file, ADDRESS, POOL);
    generate(&file, &["--socket", "-o", units.to_str().unwrap()]);
    write(&file, "systemd:web", POOL);
    let unit = fs::read_to_string(units.join("web.service")).unwrap();
    install(&machine, &unit, file.to_str().unwrap(), "");
    machine.systemctl(&["start", "web-web.socket"]);
    let inode = listening_inode(&machine);
    let ledger = stream(&machine, || {
        curl(&machine, "/").unwrap();
        machine.systemctl(&["restart", "web.service"]);
        curl(&machine, "/").unwrap();
        kill_spawner(&machine, 1);
        curl(&machine, "/").unwrap();
    });
    assert!(all_answered(&ledger).len() > 2, "every spawner has handlers of its own");
    assert_eq!(listening_inode(&machine), inode);
    machine.systemctl(&["stop", "web-web.socket"]);
    stop(machine);
}
