//! The units of these tests: `web.socket`, `web.service`.

use crate::kit::Machine;

/// Where the socket unit, and services that open their own address, listen: the network is private.
pub(crate) const ADDRESS: &str = "127.0.0.1:8080";

/// As many starts as a test likes.
const UNLIMITED: &str = "[Unit]\nStartLimitIntervalSec=0\n";

/// A service that runs the program with these arguments, with more lines of its section.
pub(crate) fn service(machine: &Machine, arguments: &str, lines: &str) {
    let program = env!("CARGO_BIN_EXE_bellwether");
    let start = format!("ExecStart=\"{program}\" {arguments}");
    // As the README says: the stop comes to the spawner alone.
    let unit = format!("{UNLIMITED}[Service]\n{start}\nKillMode=process\n{lines}\n");
    machine.unit("web.service", &unit);
}

/// A socket that starts the service at the first request.
pub(crate) fn socket(machine: &Machine, lines: &str) {
    machine.unit("web.socket", &format!("[Socket]\nListenStream={ADDRESS}\n{lines}\n"));
}
