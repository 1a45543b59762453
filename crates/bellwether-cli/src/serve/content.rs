//! What a pool serves.

use std::future::ready;

use bellwether::{Pool, Result, Server, http};
use tower::service_fn;

use crate::around::Around;
use crate::banner::{self, Crew};
use crate::config::settings::PoolSettings;
use crate::files::{Files, Folder, Manner};
use crate::run::plan::Plan;
use crate::welcome::Welcome;

pub(super) enum Content {
    Welcome(Around),
    Files(Site),
    Program(Box<Plan>),
}

/// The files of a directory, how they are served, and what is done around that.
pub(super) struct Site {
    folder: Folder,
    manner: Manner,
    around: Around,
}

impl Content {
    /// Looks at what these settings name, as far as that can be done before anything is opened.
    pub(super) fn of(pool: &PoolSettings) -> Result<Self> {
        match &pool.serve {
            _ if !pool.command.is_empty() => Plan::of(pool).map(Box::new).map(Self::Program),
            Some(folder) => Site::of(Folder::at(folder)?, pool).map(Self::Files),
            None => around(pool).map(Self::Welcome),
        }
    }

    /// Makes a pool that serves it.
    pub(super) fn pool(self, server: Server) -> Result<Pool> {
        match self {
            Self::Welcome(around) => Ok(welcome(server, around)),
            Self::Files(site) => Ok(site.pool(server)),
            Self::Program(plan) => {
                let program = plan.program(server.listeners())?;
                let (name, crew) = (program.name().into_owned(), Crew::of_programs(&server));
                let words = banner::of(&server, &name, &crew);
                let pool = server.with_program(program)?;
                banner::say(words);
                Ok(pool)
            }
        }
    }
}

/// What is done around answers, tried out.
fn around(pool: &PoolSettings) -> Result<Around> {
    let around = Around::of(pool);
    around.try_out().map(|()| around)
}

fn welcome(server: Server, around: Around) -> Pool {
    let crew = Crew::of(&server);
    banner::show(&server, "its welcome page", &crew);
    let name = server.name().to_owned();
    http::pool(server, move |shift| {
        let welcome = Welcome::by(shift.seat(), &name, &crew);
        let desk = around.at(shift.seat());
        ready(desk.map_err(Into::into).map(|desk| {
            service_fn(move |request| {
                let welcome = welcome.clone();
                desk.clone().attend(request, |request| welcome.answer(request))
            })
        }))
    })
}

impl Site {
    fn of(folder: Folder, pool: &PoolSettings) -> Result<Self> {
        let site = Self { folder, manner: Manner::of(pool), around: around(pool)? };
        site.manner.warn_of(&site.folder);
        Ok(site)
    }

    fn pool(self, server: Server) -> Pool {
        banner::show(&server, &self.folder.path().display().to_string(), &Crew::of(&server));
        let Self { folder, manner, around } = self;
        http::pool(server, move |shift| {
            let files = Files::of(&folder, &manner);
            let desk = around.at(shift.seat());
            ready(desk.map_err(Into::into).map(|desk| {
                service_fn(move |request| {
                    let files = files.clone();
                    desk.clone().attend(request, |request| files.answer(request))
                })
            }))
        })
    }
}
