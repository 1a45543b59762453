//! The real systemd as PID 1 of a machine of its own, with the units that a test writes.
//!
//! Processes, mounts, network, host name, IPC and control groups are private to the machine; files
//! are those out here, but for `/run` (empty) and `/etc` (not to be written).

use std::fs::{self, File};
use std::io;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

use rustix::process::{Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::cgroup::Cgroup;
use super::launch::Launch;
use super::processes::{self, Pid, Process};
use super::quiescent::assert_quiescent;
use super::run::Run;
use super::wait::{PATIENCE, eventually};

/// Goes into the control group ($1) and then into the machine: everything in it ends with its
/// PID 1, PID 1 with the one who waits for it, and that one with the test.
const ENTER: &str = r#"echo $$ >"$1/cgroup.procs" && shift && exec setpriv --pdeathsig KILL \
    unshare --pid --mount --uts --ipc --net --cgroup --fork --kill-child --mount-proc "$@""#;

/// Makes the machine's own places and becomes its PID 1 ($1), whose log goes to a file ($2). The
/// log's reader holds the pipe open for writing too, so that nobody ever waits for a reader.
const BOOT: &str = r#"set -e
    mount -t tmpfs none /run
    for place in /etc /proc/sys; do
        mount --bind $place $place
        mount -o remount,bind,ro $place
    done
    mount -t cgroup2 none /sys/fs/cgroup
    if [ -e /dev/kmsg ]; then
        mkfifo /run/log
        mount --bind /run/log /dev/kmsg
        cat <>/run/log >>"$2" &
    fi
    exec "$1" --system --show-status=no --log-target=kmsg"#;

/// What systemd cannot do without, or what units refer to unasked.
const TARGETS: [&str; 6] = ["sysinit", "basic", "sockets", "shutdown", "umount", "default"];

/// Where systemd looks for programs; its environment is empty otherwise.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const PROGRAMS: [&str; 2] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];

/// A machine that runs. Dropping it switches it off, whatever it is doing.
#[derive(Debug)]
pub struct Machine {
    run: Run,
    /// Its PID 1, as it is called out here.
    init: Pid,
    network: File,
    cgroup: Cgroup,
}

impl Machine {
    /// Boots a machine; `None`, and a line that says why, where that is not possible.
    #[track_caller]
    pub fn boot() -> Option<Self> {
        let started = obstacle().map_or_else(start, Err);
        started.map_err(|why| println!("SKIPPED: a machine with systemd: {why}")).ok()
    }

    /// The processes, files and runtime directory of the machine. The spawner in it is not the
    /// spawner of the run.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Writes a unit (`web.service`). Its services find their runtime directory where [`Run`]
    /// looks, and write to the file that [`Machine::log`] reads.
    #[track_caller]
    pub fn unit(&self, name: &str, text: &str) {
        fs::write(units(&self.run).join(name), text).unwrap();
        self.systemctl(&["daemon-reload"]);
    }

    /// Runs systemctl in the machine to its end and returns what it said.
    #[track_caller]
    pub fn systemctl(&self, arguments: &[&str]) -> String {
        let output = self.try_systemctl(arguments);
        let said = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap()).concat();
        assert!(output.status.success(), "systemctl {arguments:?}: {said}{}", self.journal());
        said
    }

    /// The same where it may fail.
    #[track_caller]
    pub fn try_systemctl(&self, arguments: &[&str]) -> Output {
        systemctl(self.init, arguments)
    }

    /// A property of a unit, as systemd(1) calls it: `ActiveState`, `StatusText`, `NFileDescriptorStore`…
    #[track_caller]
    pub fn property(&self, unit: &str, name: &str) -> String {
        self.systemctl(&["show", "--value", "--property", name, unit]).trim_end().to_owned()
    }

    /// Waits until a property of a unit has this value.
    #[track_caller]
    pub fn wait_property(&self, unit: &str, name: &str, value: &str) {
        eventually(PATIENCE, &format!("{name}={value} of {unit}"), || {
            (self.property(unit, name) == value).then_some(())
        });
    }

    /// The main process of a service, as it is called out here.
    #[track_caller]
    pub fn main_pid(&self, unit: &str) -> Pid {
        self.outside(unit, self.property(unit, "MainPID").parse().unwrap())
    }

    /// A process of a service, as it is called out here and not, as in its status, in the machine.
    #[track_caller]
    pub fn outside(&self, unit: &str, inside: Pid) -> Pid {
        let members = self.processes(unit);
        let found = members.iter().find(|it| pid_inside(it.pid) == Some(inside));
        found.unwrap_or_else(|| panic!("no process {inside} of {unit} among {members:?}")).pid
    }

    /// All processes of a service, as they are called out here.
    pub fn processes(&self, unit: &str) -> Vec<Process> {
        self.cgroup.processes(&format!("system.slice/{unit}"))
    }

    /// What the services `NAME.service` wrote to standard output and standard error.
    pub fn log(&self, name: &str) -> String {
        fs::read_to_string(self.run.path(&format!("{name}.log"))).unwrap_or_default()
    }

    /// What systemd itself wrote.
    pub fn journal(&self) -> String {
        fs::read_to_string(self.run.path("journal")).unwrap_or_default()
    }

    fn service_logs(&self) -> String {
        let files = fs::read_dir(self.run.directory()).unwrap().flatten().map(|it| it.path());
        let logs = files.filter(|it| it.extension().is_some_and(|it| it == "log"));
        let text = |it: PathBuf| {
            let text = fs::read_to_string(&it).unwrap_or_default();
            format!("--- {}\n{text}", it.display())
        };
        logs.map(text).collect()
    }

    /// Runs a client in the machine's network: threads and programs that it starts are there too.
    #[track_caller]
    pub fn inside<T: Send>(&self, client: impl FnOnce() -> T + Send) -> T {
        let enter = || {
            use std::os::fd::AsFd;
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(self.network.as_fd(), kind).unwrap();
            client()
        };
        let ended = thread::scope(|scope| scope.spawn(enter).join());
        ended.unwrap_or_else(|panicked| panic::resume_unwind(panicked))
    }

    /// Switches the machine off and asserts that nothing of it is left: what its services should
    /// have cleaned up must have been stopped before.
    #[track_caller]
    pub fn switch_off(mut self) {
        self.run.processes(); // from now on they are known, even as zombies
        kill_process(rustix::process::Pid::from_raw(self.init).unwrap(), Signal::KILL).unwrap();
        self.run.wait();
        assert_quiescent(self.run.baseline(), &self.run);
        let folder = self.cgroup.folder().to_owned();
        drop(self);
        assert!(!folder.exists(), "a control group is left: {}", folder.display());
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if thread::panicking() {
            let (journal, logs) = (self.journal(), self.service_logs());
            eprintln!("--- systemd\n{journal}{logs}");
        }
    }
}

/// What keeps a machine from being booted here, as far as it can be told beforehand.
fn obstacle() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("it needs root".into());
    }
    let needed = ["unshare", "nsenter", "setpriv", "systemctl"];
    let missing = needed.into_iter().find(|tool| !is_installed(tool));
    let missing = missing.or_else(|| program().is_none().then_some("systemd"));
    missing.map(|it| format!("{it} is not installed"))
}

fn is_installed(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}

fn program() -> Option<&'static str> {
    PROGRAMS.into_iter().find(|path| Path::new(path).exists())
}

fn start() -> Result<Machine, String> {
    let cgroup = Cgroup::create()?;
    let launch = Launch::of("/bin/sh").args(["-c", ENTER, "enter"]).arg(cgroup.folder());
    write_units(&launch).map_err(|error| format!("no units can be written: {error}"))?;
    let path = format!("SYSTEMD_UNIT_PATH={}", launch.path("units").display());
    // Generators would turn what is installed out here into units.
    let environment = ["container=bellwether", PATH, "SYSTEMD_GENERATOR_PATH=/run/none", &path];
    let log = launch.path("journal");
    let launch = launch.args(["env", "-i"]).args(environment);
    let launch = launch.args(["/bin/sh", "-c", BOOT, "boot"]).args(program()).arg(log);
    let run = launch.start();
    let init = wait_running(&run)?;
    let network = File::open(format!("/proc/{init}/ns/net")).map_err(|error| error.to_string())?;
    Ok(Machine { run, init, network, cgroup })
}

fn write_units(launch: &Launch) -> io::Result<()> {
    let units = launch.path("units");
    fs::create_dir_all(units.join("service.d"))?;
    for name in TARGETS {
        let text = format!("[Unit]\nDescription={name}\nDefaultDependencies=no\n");
        fs::write(units.join(format!("{name}.target")), text)?;
    }
    let for_all = format!(
        "[Service]\nEnvironment=BELLWETHER_RUNTIME_DIR={}\n\
         StandardOutput=append:{}/%N.log\n",
        launch.path("run").display(),
        launch.path("").display(),
    );
    fs::write(units.join("service.d/kit.conf"), for_all)
}

fn units(run: &Run) -> PathBuf {
    run.path("units")
}

/// Waits until systemd has nothing to start any more; its PID, or why it ended.
fn wait_running(run: &Run) -> Result<Pid, String> {
    eventually(PATIENCE, "systemd to be up", || {
        if !run.is_alive() {
            let log = fs::read_to_string(run.path("journal")).unwrap_or_default();
            let said = format!("{}{log}", run.logs());
            return Some(Err(format!("it does not start: {}", said.trim().replace('\n', "; "))));
        }
        let init = processes::children(run.pid()).first()?.pid;
        let state = systemctl(init, &["is-system-running"]).stdout;
        (state == b"running\n").then_some(Ok(init))
    })
}

fn systemctl(init: Pid, arguments: &[&str]) -> Output {
    let mut command = Command::new("nsenter");
    command.args([
        "--target",
        &init.to_string(),
        "--all",
        "systemctl",
        "--no-pager",
        "--no-ask-password",
    ]);
    command.args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// How a process calls itself in the innermost of its PID namespaces.
fn pid_inside(pid: Pid) -> Option<Pid> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().next_back()?.parse().ok()
}
