//! The settings of a server, from flags or from a file.
//!
//! Both fill one [`Config`]. A file is read in steps that each find all they can: [`document`]
//! reads the text as a tree that knows its places ([`syntax`]), and makes the [`Config`] of it
//! (unknown keys, types); [`judge`] asks [`rules`] about each pool (ranges, contradictions) and looks at
//! what pools have to do with one another. [`report`] shows the findings. How a value is written
//! is in [`written`]; what there is to set, in [`settings`].

pub(crate) mod check;
pub(crate) mod dashboard;
pub(crate) mod document;
mod file;
pub(crate) mod finding;
mod judge;
pub(crate) mod limits;
pub(crate) mod log;
pub(crate) mod nearest;
pub(crate) mod place;
pub(crate) mod program;
pub(crate) mod proxies;
mod report;
pub(crate) mod rights;
pub(crate) mod rules;
pub(crate) mod settings;
pub(crate) mod site;
mod syntax;
pub(crate) mod tls;
pub(crate) mod written;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bellwether::{Peer, Role};
use schemars::JsonSchema;
use serde::Deserialize;

use dashboard::Dashboard;
pub(crate) use file::{File, SYSTEM_WIDE};
use settings::PoolSettings;
use written::{Name, Value, Written};

use crate::log::Format;

/// A sample of the file, with all defaults.
pub(crate) const SAMPLE: &str = include_str!("sample.toml");

/// The settings of a server and its pools.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(extend("required" = ["pool"]), title = "bellwether.toml")]
pub(crate) struct Config {
    /// The server's name for `bellwether status` and its like; default: the file's name.
    pub(crate) name: Option<Written<Name>>,
    /// In which form the server logs: auto, pretty, json or journald; default: auto, by where its
    /// lines go.
    pub(crate) log_format: Option<Written<Format>>,
    /// The file to which the server logs; default: standard error.
    pub(crate) log_file: Option<PathBuf>,
    /// Where a dashboard, metrics and probes are served: HOST:PORT or unix:/PATH; default: nowhere.
    pub(crate) dashboard: Option<Written<Dashboard>>,
    /// Who may command the server, beside root and its own user.
    pub(crate) allow: Allow,
    /// The pools by their names, at least one.
    #[schemars(extend("minProperties" = 1))]
    pub(crate) pool: BTreeMap<Written<Name>, PoolSettings>,
}

/// Which users and groups have which role at the control socket.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Allow {
    /// Who may see how the server is: `status`, `events`, `why`.
    pub(crate) read: Vec<Written<Peer>>,
    /// Who may also change how many serve, and for how long: `scale`, `reload`, `drain`, `stop`.
    pub(crate) operate: Vec<Written<Peer>>,
    /// Who may also change what serves: `upgrade`.
    pub(crate) admin: Vec<Written<Peer>>,
}

impl Config {
    /// Takes relative paths as ones from this folder.
    fn resolve(&mut self, folder: &Path) {
        self.log_file = self.log_file.take().map(|path| folder.join(path));
        self.pool.values_mut().for_each(|pool| pool.resolve(folder));
    }
}

impl Allow {
    /// Everybody who is allowed something, with the role.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Role, Peer)> {
        let lists =
            [(Role::Read, &self.read), (Role::Operate, &self.operate), (Role::Admin, &self.admin)];
        lists.into_iter().flat_map(|(role, peers)| peers.iter().map(move |peer| (role, peer.0)))
    }
}

impl FromIterator<Grant> for Allow {
    fn from_iter<I: IntoIterator<Item = Grant>>(grants: I) -> Self {
        let mut allow = Self::default();
        for Grant(role, peer) in grants {
            match role {
                Role::Read => allow.read.push(Written(peer)),
                Role::Operate => allow.operate.push(Written(peer)),
                _ => allow.admin.push(Written(peer)),
            }
        }
        allow
    }
}

/// One user or group with its role, as a flag says it: `read=gid:33`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grant(Role, Peer);

impl FromStr for Grant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (role, peer) = text.split_once('=').unwrap_or((text, ""));
        let role = match role {
            "read" => Role::Read,
            "operate" => Role::Operate,
            "admin" => Role::Admin,
            _ => {
                return Err(format!(
                    "`{role}` is no role; write read=uid:N, operate=gid:N or admin=uid:N"
                ));
            }
        };
        Ok(Self(role, Peer::read(peer)?))
    }
}
