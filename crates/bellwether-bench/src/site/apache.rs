//! Apache httpd with the prefork MPM; mod_lua sleeps inside the child that accepted.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::daemon::{Daemon, folder, free_address, user};
use super::packages::{Package, find};
use super::{Site, Spares};
use crate::open_loop::{Target, Wire};

const PROGRAM: &str = "/usr/sbin/apache2";
const MODULES: &str = "/usr/lib/apache2/modules";

/// The server without Debian's configuration and without a service that would start.
const PACKAGE: Package = Package { program: PROGRAM, name: "apache2-bin" };

const HANDLER: &str = r#"
function handle(r)
  local query = r:parseargs()
  local start = r:clock()
  r.usleep(tonumber(query.sleep_us))
  r.content_type = "text/plain"
  r:puts(string.format("number=%s served_us=%d\n", query.number, r:clock() - start))
  return apache2.OK
end
"#;

pub(crate) struct Apache {
    target: Target,
    daemon: Daemon,
}

impl Apache {
    /// As Debian configures it (mpm_prefork.conf of apache2 2.4).
    pub(crate) const STOCK: Spares = Spares { start: 5, min: 5, max: 10, limit: 150 };

    pub(crate) fn missing(install: bool) -> Option<String> {
        PACKAGE.missing(install)
    }

    pub(crate) fn start(spares: Spares) -> Result<Self> {
        let folder = folder()?;
        let target = Target { address: free_address()?, wire: Wire::Http };
        let configuration = folder.path().join("apache.conf");
        fs::write(folder.path().join("work.lua"), HANDLER)?;
        fs::write(&configuration, configure(folder.path(), &target, spares))?;
        let program = find(PROGRAM).context("apache2 has gone")?;
        let command =
            [&*program.to_string_lossy(), "-DFOREGROUND", "-f", &configuration.to_string_lossy()];
        let mut daemon = Daemon::start(&command, folder)?;
        daemon.wait_until_it_serves(&target)?;
        Ok(Self { target, daemon })
    }
}

fn configure(folder: &Path, target: &Target, spares: Spares) -> String {
    let Spares { start, min, max, limit } = spares;
    let (folder, address) = (folder.display(), target.address);
    let user = user().map_or_else(String::new, |user| format!("User {user}\nGroup {user}\n"));
    format!(
        "ServerRoot {folder}\nServerName localhost\nListen {address}\nPidFile {folder}/pid\n\
         ErrorLog {folder}/error.log\nDefaultRuntimeDir {folder}\n{user}\
         LoadModule mpm_prefork_module {MODULES}/mod_mpm_prefork.so\n\
         LoadModule authz_core_module {MODULES}/mod_authz_core.so\n\
         LoadModule lua_module {MODULES}/mod_lua.so\n\
         LuaMapHandler ^/ {folder}/work.lua handle\n\
         StartServers {start}\nMinSpareServers {min}\nMaxSpareServers {max}\n\
         ServerLimit {limit}\nMaxRequestWorkers {limit}\n"
    )
}

impl Site for Apache {
    fn target(&self) -> &Target {
        &self.target
    }

    fn root(&self) -> u32 {
        self.daemon.master()
    }
}
