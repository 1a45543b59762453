//! What is to be started: the user's command as a recipe changes it.

use std::ffi::OsString;

use bellwether::Address;

use super::find::Found;
use super::flag::{Flag, text, without};
use super::{Position, Way, no_such};
use crate::config::place::place;

/// What a recipe can have filled in.
const BLANKS: &[&str] = &["fd", "fds", "host", "port", "path", "address"];

/// Where a program listens that is sent its connections, on this machine alone.
const PRIVATE: &str = "127.0.0.1";

/// Its port, which is another for each handler: filled in when it is started ([`Pass::Port`]).
///
/// [`Pass::Port`]: bellwether::Pass::Port
const ITS_PORT: &str = "{port}";

/// How sockets reach a program.
#[derive(Debug)]
pub(crate) struct Passed<'a> {
    /// The way; [`Found::way`] unless the user has another one.
    pub(crate) way: Way,
    /// The descriptors that the program will find, and where clients reach them. With
    /// [`Way::Port`] it finds none, and none of these addresses.
    pub(crate) sockets: &'a [(i32, Address)],
}

/// What is to be started.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Prepared {
    /// The whole command.
    pub(crate) arguments: Vec<OsString>,
    /// Variables to set. `LISTEN_PID` is not among them: only the new process knows it.
    pub(crate) environment: Vec<(String, String)>,
    /// What the user should know.
    pub(crate) notes: Vec<String>,
}

/// A socket in the words that recipes have for it.
struct Socket {
    fd: String,
    host: String,
    port: String,
    path: String,
    address: String,
}

impl Found<'_> {
    /// What is to be started, or why that cannot be.
    pub(crate) fn command(&self, passed: &Passed<'_>) -> Result<Prepared, String> {
        if let Some(objection) = self.objection() {
            return Err(objection);
        }
        self.takes(passed)?;
        let sockets: Vec<Socket> = match passed.way {
            Way::Port => vec![Socket::private()],
            _ => passed.sockets.iter().map(Socket::of).collect(),
        };
        let (kept, mut notes) = self.kept(passed.way);
        notes.extend(self.recipe.note.clone().into_iter().chain(self.notes.iter().cloned()));
        let added = self.added(passed.way, &sockets);
        let place = match self.recipe.place {
            Position::Front => 0,
            Position::End => kept.iter().position(|it| it == "--").unwrap_or(kept.len()),
        };
        let mut arguments = self.command[..self.command.len().min(self.program_at + 1)].to_vec();
        arguments.extend(kept[..place].iter().cloned().chain(added));
        arguments.extend_from_slice(&kept[place..]);
        Ok(Prepared { arguments, environment: self.environment(passed.way, &sockets), notes })
    }

    /// Tells whether the program can take that many sockets this way.
    fn takes(&self, passed: &Passed<'_>) -> Result<(), String> {
        let one_alone = match passed.way {
            Way::Stdin => true,
            Way::Adopt | Way::ListenFds | Way::Port => false,
            Way::Fd | Way::Env => self.is_own(passed.way) && !self.recipe.several,
        };
        let count = passed.sockets.len();
        if count > 1 && one_alone {
            let (name, way) = (&self.recipe.name, passed.way);
            return Err(format!(
                "{name} takes one socket by `{way}`, and there are {count}; listen at one address, \
                 or let it open them itself (--pass adopt)"
            ));
        }
        Ok(())
    }

    fn is_own(&self, way: Way) -> bool {
        way == self.recipe.pass
    }

    /// Tells whether the user has written where its private port is to stand.
    fn names_its_port(&self) -> bool {
        self.arguments().iter().any(|it| it.to_string_lossy().contains(ITS_PORT))
    }

    /// The program's arguments without those that contradict, and what was left out.
    fn kept(&self, way: Way) -> (Vec<OsString>, Vec<String>) {
        let arguments = self.arguments();
        let end = arguments.iter().position(|it| it == "--").unwrap_or(arguments.len());
        let (own, behind) = arguments.split_at(end);
        let (mut kept, dropped) = without(self.recipe.drop.iter(), own);
        let mut notes = told(&dropped, "bellwether sees to that");
        let naming = &self.recipe.address;
        // Who is adopted must open its own address to be recognised by it, and whoever names the port
        // that it will have knows how it is told.
        if way != Way::Adopt && !(way == Way::Port && self.names_its_port()) {
            let flags = naming.flags().collect::<Vec<&Flag>>();
            let (rest, mut addresses) = without(flags.iter().copied(), &kept);
            kept = rest;
            if let Some(at) = naming.word_at(&kept) {
                addresses.push(text(&[kept.remove(at)]));
            }
            notes.extend(told(&addresses, "the socket is opened by bellwether"));
        }
        kept.extend_from_slice(behind);
        (kept, notes)
    }

    /// What is added to the arguments.
    fn added(&self, way: Way, sockets: &[Socket]) -> Vec<OsString> {
        let named = match way {
            // What a recipe says of a port it says to that end.
            _ if self.is_own(way) && !self.recipe.arguments.is_empty() => self.named(sockets),
            Way::Port if self.names_its_port() => Vec::new(),
            Way::Port => self.private_port(),
            _ if self.is_own(way) => self.named(sockets),
            _ => Vec::new(),
        };
        let always = self.recipe.always.iter().map(|it| filled(it, sockets, 0).into());
        always.chain(named).collect()
    }

    /// The arguments that name the sockets, repeated for each where the recipe says so.
    fn named(&self, sockets: &[Socket]) -> Vec<OsString> {
        let arguments = &self.recipe.arguments;
        let each = self.recipe.several && arguments.iter().any(|it| is_about_one(it));
        let times = if each { sockets.len() } else { 1 };
        let all = (0..times).flat_map(|nth| arguments.iter().map(move |it| (it, nth)));
        all.map(|(it, nth)| filled(it, sockets, nth).into()).collect()
    }

    /// The arguments that send a program to its private port, as far as it has any.
    fn private_port(&self) -> Vec<OsString> {
        let naming = &self.recipe.address;
        match (naming.port.first(), naming.bind.first()) {
            (Some(flag), _) => {
                let host = naming.host.first().map(|flag| flag.with(PRIVATE));
                host.into_iter().chain([flag.with(ITS_PORT)]).flatten().collect()
            }
            (None, Some(flag)) => flag.with(&format!("{PRIVATE}:{ITS_PORT}")).into(),
            (None, None) if naming.word => vec![ITS_PORT.into()],
            (None, None) => Vec::new(),
        }
    }

    fn environment(&self, way: Way, sockets: &[Socket]) -> Vec<(String, String)> {
        let mut variables: Vec<_> = match way {
            Way::ListenFds => vec![("LISTEN_FDS".into(), sockets.len().to_string())],
            _ => Vec::new(),
        };
        // Where variables pass the socket, they would be wrong if something else does.
        if self.recipe.pass != Way::Env || way == Way::Env {
            let ours = self.recipe.environment.iter();
            variables.extend(ours.map(|(name, value)| (name.clone(), self.value(value, sockets))));
        }
        variables
    }

    /// The value of a variable: what is about one socket is written for each.
    fn value(&self, template: &str, sockets: &[Socket]) -> String {
        let times = if is_about_one(template) { sockets.len() } else { 1 };
        let each: Vec<_> = (0..times).map(|nth| filled(template, sockets, nth)).collect();
        each.join(&self.recipe.join)
    }
}

fn told(dropped: &[String], why: &str) -> Vec<String> {
    dropped.iter().map(|it| format!("left out `{it}`: {why}")).collect()
}

impl Socket {
    /// That of a program with a port of its own.
    fn private() -> Self {
        Self {
            fd: String::new(),
            host: PRIVATE.into(),
            port: ITS_PORT.into(),
            path: String::new(),
            address: format!("{PRIVATE}:{ITS_PORT}"),
        }
    }

    fn of((descriptor, address): &(i32, Address)) -> Self {
        let whole = place(address);
        let path = whole.strip_prefix("unix:").unwrap_or_default();
        let tcp = whole.strip_prefix("tcp://").unwrap_or_default();
        let (host, port) = tcp.rsplit_once(':').unwrap_or_default();
        let host = if host == "*" { "0.0.0.0" } else { host };
        let both = if port.is_empty() { path.into() } else { format!("{host}:{port}") };
        Self {
            fd: descriptor.to_string(),
            host: host.trim_matches(['[', ']']).into(),
            port: port.into(),
            path: path.into(),
            address: both,
        }
    }
}

/// A template with its blanks filled in for one of the sockets.
fn filled(template: &str, sockets: &[Socket], nth: usize) -> String {
    let Some(one) = sockets.get(nth) else { return template.into() };
    let all = sockets.iter().map(|it| it.fd.as_str()).collect::<Vec<_>>().join(",");
    let words = [
        ("{fds}", &all),
        ("{fd}", &one.fd),
        ("{host}", &one.host),
        ("{port}", &one.port),
        ("{path}", &one.path),
        ("{address}", &one.address),
    ];
    words.iter().fold(template.to_owned(), |text, (blank, word)| text.replace(blank, word))
}

fn is_about_one(template: &str) -> bool {
    BLANKS.iter().any(|it| *it != "fds" && template.contains(&format!("{{{it}}}")))
}

/// What is wrong with a template, and what to try: a blank that nobody can fill in.
pub(crate) fn unknown(template: &str) -> Option<(String, String)> {
    let blanks = template.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0));
    let wrong = blanks.filter(|it| it.bytes().all(|byte| byte.is_ascii_alphabetic()));
    let wrong = wrong.into_iter().find(|it| !BLANKS.contains(it))?;
    let said =
        no_such("blank", wrong, BLANKS).replace(&format!("`{wrong}`"), &format!("`{{{wrong}}}`"));
    let (message, hint) = said.split_once("; ").map(|(a, b)| (a.to_owned(), b.to_owned()))?;
    let braced = BLANKS
        .iter()
        .fold(hint, |text, it| text.replace(&format!("`{it}`"), &format!("`{{{it}}}`")));
    Some((message, braced))
}
