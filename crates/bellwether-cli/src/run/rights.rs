//! What the program may: as whom it runs, within which limits.

use clap::Args;

use crate::config::rights::{Account, Limited, Range};
use crate::config::settings::PoolSettings;
use crate::config::written::{Switch, Written};

/// The rights of the program.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Rights of the program")]
pub(super) struct Rights {
    /// The user as which the program runs, with all its groups, by name or number [default: ours].
    ///
    /// Only root may choose. The address is opened before, with our rights; HOME, USER and LOGNAME
    /// are the user's.
    #[arg(long, value_name = "USER")]
    user: Option<Written<Account>>,

    /// The program's first group, by name or number [default: that of its user].
    #[arg(long, value_name = "GROUP")]
    group: Option<Written<Account>>,

    /// What each process of the program may use, repeatable: nofile=4096, core=0:unlimited.
    ///
    /// NAME is as, core, cpu, data, fsize, memlock, msgqueue, nice, nofile, nproc, rtprio, rttime,
    /// sigpending or stack (setrlimit(2)); VALUE a number, SOFT:HARD or unlimited, of bytes also
    /// as in 512MiB. Only root may raise a hard limit.
    #[arg(long = "limit", value_name = "NAME=VALUE", value_parser = limit)]
    limits: Vec<(Written<Limited>, Written<Range>)>,

    /// Keeps the program from getting more privileges than it starts with (set-user-id programs).
    #[arg(long)]
    no_new_privileges: bool,
}

impl Rights {
    /// The settings with these rights.
    pub(super) fn entered(self, pool: PoolSettings) -> PoolSettings {
        let Self { user, group, limits, no_new_privileges } = self;
        PoolSettings {
            user,
            group,
            limits: limits.into_iter().collect(),
            no_new_privileges: no_new_privileges.then_some(Written(Switch(true))),
            ..pool
        }
    }
}

fn limit(text: &str) -> Result<(Written<Limited>, Written<Range>), String> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.parse()?, value.parse()?)),
        None => Err(format!("`{text}` limits nothing; write NAME=VALUE, as in nofile=4096")),
    }
}
