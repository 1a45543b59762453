//! Finding the recipe for a command: through launchers and interpreters to the real program.

pub(crate) mod launch;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::LazyLock;

use super::book::Book;
use super::{Recipe, Way, no_such, shebang, words};

/// The recipe for a command.
#[derive(Clone, Debug)]
pub(crate) struct Found<'b> {
    /// What is known about the program.
    pub(crate) recipe: &'b Recipe,
    /// The command.
    pub(crate) command: Vec<OsString>,
    /// Which of its words names the program; those behind it are the program's arguments.
    pub(crate) program_at: usize,
    /// Why it is this recipe.
    pub(crate) why: String,
    /// Whether the program is a child of what is started, so that `LISTEN_PID` would be wrong.
    pub(crate) wrapped: bool,
    /// Whether descriptors are closed on the way to the program.
    pub(crate) closed: bool,
    /// What launchers have to say.
    pub(crate) notes: Vec<String>,
}

/// A program that a command may be about: where it stands, its name, and how that is known.
struct Candidate {
    at: usize,
    name: String,
    how: String,
}

impl Book {
    /// Opens the book at the recipe for a command.
    pub(crate) fn find(&self, command: &[OsString]) -> Found<'_> {
        let (at, launchers) = self.behind_launchers(command);
        let candidates = self.candidates(command, at);
        let named = candidates.iter().find_map(|it| {
            let arguments = command.get(it.at + 1..).unwrap_or_default();
            Some((it, self.named_for(&it.name, arguments)?))
        });
        let (program_at, recipe, why) = match named {
            Some((it, recipe)) => (it.at, recipe, format!("`{}`{}", it.name, it.how)),
            None => (candidates.first().map_or(at, |it| it.at), self.for_any(), "no other".into()),
        };
        let behind: Vec<_> =
            launchers.iter().map(|(name, _)| format!(", behind `{name}`")).collect();
        Found {
            recipe,
            command: command.to_vec(),
            program_at,
            why: format!("recipe `{}` for {why}{}", recipe.name, behind.concat()),
            wrapped: recipe.wraps || launchers.iter().any(|(_, it)| it.forks),
            closed: launchers.iter().any(|(_, it)| it.closes),
            notes: launchers.iter().filter_map(|(_, it)| it.note.clone()).collect(),
        }
    }

    /// The recipe that the user has chosen by its name, whatever the program is called.
    pub(crate) fn choose(&self, name: &str, command: &[OsString]) -> Result<Found<'_>, String> {
        let known: Vec<_> = self.recipes.iter().map(|it| it.name.as_str()).collect();
        let chosen = self.recipes.iter().find(|it| it.name == name);
        let recipe = chosen.ok_or_else(|| no_such("recipe", name, &known))?;
        let found = self.find(command);
        let why = format!("recipe `{name}`, as you say");
        Ok(Found { recipe, why, wrapped: found.wrapped || recipe.wraps, ..found })
    }

    /// Where the program stands that is behind all launchers, and those with their names.
    fn behind_launchers(&self, command: &[OsString]) -> (usize, Vec<(String, &launch::Launcher)>) {
        let (mut at, mut launchers) = (0, Vec::new());
        while let Some(name) = command.get(at).map(|it| file_name(it)) {
            let Some(launcher) = self.launchers.iter().find(|it| is_among(&it.programs, &name))
            else {
                break;
            };
            let Some(next) = launcher.program(command, at) else { break };
            launchers.push((name, launcher));
            at = next;
        }
        (at, launchers)
    }

    /// What the program at this place may be known as, the best name first.
    fn candidates(&self, command: &[OsString], at: usize) -> Vec<Candidate> {
        let Some(program) = command.get(at) else { return Vec::new() };
        let name = file_name(program);
        let own = |how: &str| Candidate { at, name: name.clone(), how: how.into() };
        match self.interpreters.iter().find(|it| is_among(&it.programs, &name)) {
            Some(interpreter) => match interpreter.subject(command, at) {
                Some(subject) => {
                    let how = format!(", {} of `{name}`", subject.kind());
                    let what = format!(", which runs `{}`", subject.name);
                    vec![
                        Candidate { at: subject.at, name: subject.name, how },
                        Candidate { at: subject.at, ..own(&what) },
                    ]
                }
                None => vec![own("")],
            },
            // A script of pip or gem has an interpreter too, but its own name says more.
            None => [own("")].into_iter().chain(self.of_script(program, at)).collect(),
        }
    }

    fn of_script(&self, program: &OsStr, at: usize) -> Option<Candidate> {
        let line = shebang::command(Path::new(program))?;
        let (place, _) = self.behind_launchers(&line);
        let how = format!(", by the first line of `{}`", file_name(program));
        Some(Candidate { at, name: file_name(line.get(place)?), how })
    }

    fn named_for(&self, name: &str, arguments: &[OsString]) -> Option<&Recipe> {
        let mut recipes = self.recipes.iter();
        recipes.find(|it| is_among(&it.programs, name) && it.is_meant(arguments))
    }

    fn for_any(&self) -> &Recipe {
        let any = |it: &&Recipe| it.programs.iter().any(|program| program == "*");
        self.recipes.iter().find(any).unwrap_or(&ANY)
    }
}

/// The recipe of a book that has none for whatever has no other.
static ANY: LazyLock<Recipe> = LazyLock::new(Recipe::default);

impl Recipe {
    fn is_meant(&self, arguments: &[OsString]) -> bool {
        self.when.is_empty() || words::any(&self.when, arguments)
    }
}

impl Found<'_> {
    /// How the socket reaches the program: as the recipe says, unless what is between hinders it.
    pub(crate) fn way(&self) -> Way {
        match self.recipe.pass {
            Way::ListenFds if self.wrapped => Way::Adopt,
            Way::Fd | Way::ListenFds | Way::Env if self.closed => Way::Adopt,
            way => way,
        }
    }

    /// What stands in the way of running this, and what to do about it.
    pub(crate) fn objection(&self) -> Option<String> {
        let recipe = self.recipe;
        let arguments = self.arguments();
        let refused = recipe.refuse.as_ref().filter(|it| words::any(&it.words, arguments));
        let lacking = recipe.require.as_ref().filter(|it| !words::any(&it.words, arguments));
        refused.or(lacking).map(|demand| format!("{}: {}", recipe.name, demand.say))
    }

    /// The program's own arguments.
    pub(crate) fn arguments(&self) -> &[OsString] {
        self.command.get(self.program_at + 1..).unwrap_or_default()
    }
}

/// The name of a program without its folder.
fn file_name(program: &OsStr) -> String {
    Path::new(program).file_name().unwrap_or(program).to_string_lossy().into_owned()
}

/// Tells whether a program has one of these names, perhaps with a version: `php-fpm8.2`.
fn is_among(programs: &[String], name: &str) -> bool {
    let plain = name.trim_end_matches(|it: char| it.is_ascii_digit() || it == '.');
    let plain = plain.trim_end_matches('-');
    programs.iter().any(|it| it == name || !plain.is_empty() && it == plain)
}
