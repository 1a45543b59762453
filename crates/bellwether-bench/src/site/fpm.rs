//! PHP's FastCGI process manager, asked without a web server before it: its pool alone is measured.

use std::fs;
use std::net::SocketAddrV4;

use anyhow::{Context as _, Result};

use super::daemon::{Daemon, folder, free_address, user};
use super::packages::{Package, find};
use super::{Site, Spares};
use crate::open_loop::{Target, Wire};

/// Debian puts the version into the name.
const PROGRAM: &str = "/usr/sbin/php-fpm";
const PACKAGE: Package = Package { program: PROGRAM, name: "php-fpm" };

/// Sleeps as it is asked to.
pub(super) const SCRIPT: &str = r#"<?php
$start = hrtime(true);
usleep((int) $_GET["sleep_us"]);
printf("number=%s served_us=%d\n", $_GET["number"], (hrtime(true) - $start) / 1000);
"#;

pub(crate) struct Fpm {
    target: Target,
    daemon: Daemon,
}

/// Who decides about the number of processes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manager {
    Dynamic(Spares),
    /// None until a request comes; each leaves after ten idle seconds, the default.
    OnDemand {
        limit: usize,
    },
}

impl Fpm {
    /// As Debian configures it (pool.d/www.conf of PHP 8.2).
    pub(crate) const STOCK: Spares = Spares { start: 2, min: 1, max: 3, limit: 5 };

    pub(crate) fn missing(install: bool) -> Option<String> {
        PACKAGE.missing(install)
    }

    pub(crate) fn start(manager: Manager) -> Result<Self> {
        let folder = folder()?;
        let path = |name| folder.path().join(name).to_string_lossy().into_owned();
        let (script, configuration, log) = (path("work.php"), path("fpm.conf"), path("error.log"));
        let target = Target { address: free_address()?, wire: Wire::FastCgi(script.clone()) };
        fs::write(&script, SCRIPT)?;
        fs::write(&configuration, configure(&log, target.address, manager))?;
        let program = find(PROGRAM).context("php-fpm has gone")?;
        // -n: without the machine's php.ini.
        let command = [&*program.to_string_lossy(), "-n", "-F", "-y", &configuration];
        let mut daemon = Daemon::start(&command, folder)?;
        daemon.wait_until_it_serves(&target)?;
        Ok(Self { target, daemon })
    }
}

fn configure(log: &str, address: SocketAddrV4, manager: Manager) -> String {
    let user = user().map_or_else(String::new, |user| format!("user = {user}\ngroup = {user}\n"));
    let manager = match manager {
        Manager::Dynamic(Spares { start, min, max, limit }) => format!(
            "pm = dynamic\npm.max_children = {limit}\npm.start_servers = {start}\n\
             pm.min_spare_servers = {min}\npm.max_spare_servers = {max}\n"
        ),
        Manager::OnDemand { limit } => format!("pm = ondemand\npm.max_children = {limit}\n"),
    };
    format!("[global]\nerror_log = {log}\n[bench]\nlisten = {address}\n{user}{manager}")
}

impl Site for Fpm {
    fn target(&self) -> &Target {
        &self.target
    }

    fn root(&self) -> u32 {
        self.daemon.master()
    }
}
