//! What is to be started for a pool of programs, by its settings and a recipe.

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use bellwether::{Address, Defer, Error, Listener, Output, Pass, Program, Result, Serves};

use super::identity::{Identity, limits_are_allowed};
use super::recipe::{Book, Found, Kind, Passed, Recipe, Way};
use crate::config::program::{KindOf, PassWay, ReadyWay};
use crate::config::settings::PoolSettings;
use crate::config::written::{Switch, Value, Written};

/// The address of a program of which none is known.
const ADDRESS: &str = "127.0.0.1:8000";

/// How long it may take until a program opens its address, where nothing is said: as to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// The first descriptor that a program is given, unless the user says another.
const FIRST: i32 = 3;

/// When a connection arrives at the addresses of a pool, unless they say it themselves.
pub(crate) fn defer(pool: &PoolSettings) -> Result<Defer> {
    // In HTTP, which we serve ourselves, the client speaks first; of other programs nobody knows.
    let client_first =
        pool.command.is_empty() || Plan::unchecked(pool)?.found()?.recipe.client_first;
    Ok(if client_first { Defer::ON } else { Defer::Off })
}

/// The settings of a program and the recipes that may apply to it.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pool: PoolSettings,
    command: Vec<OsString>,
    book: Cow<'static, Book>,
    /// As whom the program runs, if not as we do.
    identity: Option<Identity>,
}

impl Plan {
    /// Looks at what is to be started, and whether it can be.
    pub(crate) fn of(pool: &PoolSettings) -> Result<Self> {
        let mut plan = Self::unchecked(pool)?;
        plan.identity = Identity::of(pool)?.map(Identity::assumable).transpose()?.flatten();
        limits_are_allowed(pool)?;
        plan.look()?;
        Ok(plan)
    }

    /// Looks whether the program can be started, as far as that does not depend on who starts it.
    pub(crate) fn look_at(pool: &PoolSettings) -> Result<()> {
        Self::unchecked(pool)?.look()
    }

    /// What cannot be started at all is told before an address is opened.
    fn look(&self) -> Result<()> {
        if let Some(objection) = self.found()?.objection() {
            return Err(wrong(objection));
        }
        if let Some(folder) = self.pool.directory.as_ref().filter(|folder| !folder.is_dir()) {
            let problem = format!("`{}` is no folder; name one that is there", folder.display());
            return Err(wrong_in("directory", problem));
        }
        self.check_file()
    }

    /// Reads the user's own recipes, if there are any.
    fn unchecked(pool: &PoolSettings) -> Result<Self> {
        let own = pool.recipes.as_deref().map(|file| {
            let origin = file.display().to_string();
            let text = std::fs::read_to_string(file).map_err(|error| {
                let problem = format!("`{origin}` cannot be read: {error}; is that its path?");
                wrong_in("recipes", problem)
            })?;
            Recipe::book().with(&text, &origin).map_err(|problem| wrong_in("recipes", problem))
        });
        let book = own.transpose()?.map_or_else(|| Cow::Borrowed(Recipe::book()), Cow::Owned);
        let command = pool.command.iter().map(OsString::from).collect();
        Ok(Self { pool: pool.clone(), command, book, identity: None })
    }

    /// Looks whether the program is there and may be executed, as far as that can be told now.
    fn check_file(&self) -> Result<()> {
        let Some(file) = self.command.first().map(Path::new) else { return Ok(()) };
        let name = file.display();
        let is_there = |path: &Path| path.is_file();
        let may_run = |path: &Path| {
            is_there(path) && path.metadata().is_ok_and(|it| it.permissions().mode() & 0o111 != 0)
        };
        if file.components().count() > 1 {
            // A relative path begins where the program will run.
            let folder = self.pool.directory.as_deref().unwrap_or_else(|| Path::new(""));
            let path = folder.join(file);
            return match (is_there(&path), may_run(&path)) {
                (true, true) => Ok(()),
                (true, false) => {
                    Err(wrong(format!("cannot run `{name}`: it may not be executed; try chmod +x")))
                }
                _ if path.is_dir() => {
                    Err(wrong(format!("cannot run `{name}`: it is a folder; name a program in it")))
                }
                _ => Err(wrong(format!(
                    "cannot run `{name}`: there is no such file; is it installed?"
                ))),
            };
        }
        let path = match self.pool.environment.get("PATH") {
            Some(path) => OsString::from(path),
            None => std::env::var_os("PATH").unwrap_or_default(),
        };
        let found = std::env::split_paths(&path).any(|folder| may_run(&folder.join(file)));
        let missing = format!(
            "cannot run `{name}`: it is in no folder of PATH; is it installed? A path needs a `/`"
        );
        if found { Ok(()) } else { Err(wrong(missing)) }
    }

    /// Finds the recipe.
    pub(crate) fn found(&self) -> Result<Found<'_>> {
        match &self.pool.recipe {
            Some(name) => {
                let chosen = self.book.choose(name, &self.command);
                chosen.map_err(|problem| wrong_in("recipe", problem))
            }
            None => Ok(self.book.find(&self.command)),
        }
    }

    /// How the program is given its addresses, and the first descriptor if it is given any.
    ///
    /// Whoever insists on adopting is told why that cannot be; who leaves it to us is helped.
    fn way(&self, found: &Found<'_>) -> Result<(Way, i32)> {
        Ok(match self.pool.pass {
            Some(Written(PassWay::Only(Pass::ListenFds))) => (Way::ListenFds, FIRST),
            Some(Written(PassWay::Only(Pass::Descriptors(first)))) => (Way::Fd, first),
            Some(Written(PassWay::Only(Pass::StandardInput))) => (Way::Stdin, FIRST),
            Some(Written(PassWay::Only(Pass::Port))) => (Way::Port, FIRST),
            Some(Written(PassWay::Only(_))) => {
                let adopted = self.check_adoption().map(|()| (Way::Adopt, FIRST));
                adopted.map_err(|error| match error {
                    Error::Configure { what, problem } => {
                        let other = "leave --pass out, or say --pass port";
                        Error::Configure { what, problem: format!("{problem}; {other}") }
                    }
                    other => other,
                })?
            }
            Some(Written(PassWay::Auto)) | None => (self.possible(found.way()), FIRST),
        })
    }

    /// The way that is taken when nothing is said, as `--pass` takes it.
    pub(crate) fn way_by_itself(&self) -> Result<Way> {
        Ok(self.possible(self.found()?.way()))
    }

    /// Where the program listens: as its arguments say, by its own default, or where it is seen to
    /// open addresses when it is started to try.
    pub(crate) fn addresses(&self) -> Result<Vec<String>> {
        let found = self.found()?;
        let known = found.addresses();
        let asked = known.is_empty() && self.way(&found)?.0 == Way::Adopt;
        let all = if asked { self.opened(&found)? } else { known };
        Ok(if all.is_empty() { vec![ADDRESS.into()] } else { all })
    }

    /// The addresses that it opens when it is started to try; why it ends instead its real start shows.
    fn opened(&self, found: &Found<'_>) -> Result<Vec<String>> {
        let (program, _) = self.prepared(found, (Way::Adopt, FIRST), &[])?;
        let name = program.name();
        tracing::info!("`{name}` is started once to see where it listens; --listen says it");
        let patience = self.pool.boot_timeout.map_or(PATIENCE, |Written(time)| time);
        let until = Instant::now() + patience;
        let opened = program.addresses_it_opens(patience)?;
        opened.iter().for_each(|address| tracing::info!("`{name}` opens {address}"));
        if opened.is_empty() && Instant::now() >= until {
            let patience = humantime::format_duration(patience);
            let problem = format!(
                "`{name}` has opened no address within {patience}; say where: --listen ADDRESS"
            );
            return Err(wrong(problem));
        }
        Ok(opened)
    }

    /// Makes the program that is to be started with these addresses in hand.
    pub(crate) fn program(&self, listeners: &[Listener]) -> Result<Program> {
        let found = self.found()?;
        let way = self.way(&found)?;
        let addresses = listeners.iter().map(|it| it.address().parse::<Address>());
        let (program, notes) =
            self.prepared(&found, way, &addresses.collect::<Result<Vec<_>>>()?)?;
        tracing::info!("{}, {}", found.why, how(way.0));
        notes.iter().for_each(|note| tracing::info!("{note}"));
        Ok(program)
    }

    /// The program as its recipe and its settings make it, and what is to be said of it.
    fn prepared(
        &self,
        found: &Found<'_>,
        (way, first): (Way, i32),
        addresses: &[Address],
    ) -> Result<(Program, Vec<String>)> {
        let pass = match way {
            Way::ListenFds => Pass::ListenFds,
            Way::Fd | Way::Env => Pass::Descriptors(first),
            Way::Stdin => Pass::StandardInput,
            Way::Adopt => Pass::Adopt,
            Way::Port => Pass::Port,
        };
        let sockets: Vec<_> = (first..).zip(addresses.iter().cloned()).collect();
        let prepared = found.command(&Passed { way, sockets: &sockets }).map_err(wrong)?;
        let (file, arguments) =
            prepared.arguments.split_first().ok_or_else(|| wrong("it is empty"))?;
        let stop = self.pool.stop_signal.map_or(found.recipe.stop.0.as_raw(), |it| it.0.0);
        let program = Program::new(file).arguments(arguments).pass(pass).stop_signal(stop);
        let program = self.with_rights(program);
        let own = self.pool.environment.iter().map(|(name, value)| (name.clone(), value.clone()));
        let environment = prepared.environment.into_iter().chain(own);
        let program = environment.fold(program, |it, (name, value)| it.variable(name, value));
        let program = self.pool.directory.iter().fold(program, |it, folder| it.folder(folder));
        let ready = match &self.pool.ready {
            Some(Written(ready)) => ready.clone(),
            None => ReadyWay::read(&found.recipe.ready).map_err(wrong)?,
        };
        let program = self.pool.watchdog.iter().fold(program, |it, limit| it.watchdog(limit.0));
        let known = match found.recipe.kind {
            Kind::Serial => Serves::Serial,
            Kind::Concurrent => Serves::Concurrent,
            Kind::Auto => Serves::Auto,
        };
        let serves = self.pool.kind.map_or(known, |Written(KindOf(serves))| serves);
        let program = program.ready(ready.0).serves(serves);
        let program = program.output(self.pool.log.map_or(Output::Through, |it| it.0.0));
        Ok((program.accepts_late(found.recipe.accepts_late), prepared.notes))
    }
}

impl Plan {
    /// Adds what the program may.
    fn with_rights(&self, program: Program) -> Program {
        let limits = self.pool.limits.iter().map(|(limited, range)| (limited.0.0, range.0));
        let limited = limits
            .fold(program, |it, (resource, range)| it.limit(resource, range.soft, range.hard));
        let tied = match self.pool.no_new_privileges {
            Some(Written(Switch(true))) => limited.no_new_privileges(),
            _ => limited,
        };
        let Some(identity) = &self.identity else { return tied };
        let Identity { user, group, groups, variables } = identity.clone();
        let program = tied.user(user, group).groups(groups);
        variables.into_iter().fold(program, |it, (name, value)| it.variable(name, value))
    }

    /// The way, or the last resort where there can be none such here.
    fn possible(&self, way: Way) -> Way {
        let is_possible = if way == Way::Adopt { self.check_adoption() } else { Ok(()) };
        let Err(problem) = is_possible else { return way };
        tracing::warn!("the program cannot be adopted, so it gets a port of its own; {problem}");
        Way::Port
    }

    /// Looks whether the calls of the program can be answered.
    fn check_adoption(&self) -> Result<()> {
        Pass::Adopt.check()?;
        Ok(self.identity.as_ref().map_or(Ok(()), Identity::check_adoption)?)
    }
}

/// Says how a program is given its addresses.
const fn how(way: Way) -> &'static str {
    match way {
        Way::ListenFds => "which is told its addresses by LISTEN_FDS",
        Way::Fd | Way::Env => "which finds its addresses as descriptors",
        Way::Stdin => "which finds its address as standard input",
        Way::Port => {
            "which has a port of its own: the last resort, as a relay in between costs time and \
             hides from it where its clients are"
        }
        Way::Adopt => "which is adopted: our address takes the place of the one that it binds",
    }
}

fn wrong(problem: impl Into<String>) -> Error {
    wrong_in("command", problem)
}

fn wrong_in(what: &str, problem: impl Into<String>) -> Error {
    Error::Configure { what: what.into(), problem: problem.into() }
}
