//! What was found out, as people read it.

use std::fmt;

use bytesize::ByteSize;

use super::facts::{ASKED, Facts};
use super::probe::Protocol;
use super::{Findings, Tried, advice};
use crate::words::{clean, shown};

/// A report within 80 columns, but for what others have said.
pub(super) struct Text<'a>(pub(super) &'a Findings);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Findings { command, recipe, address, ways, recommended, .. } = self.0;
        writeln!(f, "program     {}", clean(&command.join(" ")))?;
        writeln!(f, "recipe      {}", clean(recipe.strip_prefix("recipe ").unwrap_or(recipe)))?;
        writeln!(f, "address     {}\n", clean(address))?;
        writeln!(
            f,
            "WAY         READY     SEEN BY                                ANSWERED     MEMORY"
        )?;
        ways.iter().try_for_each(|it| way(f, it))?;
        writeln!(f, "(* is taken when --pass says nothing)\n")?;
        if let Some(facts) = advice::best(ways).and_then(|it| it.facts.as_ref()) {
            details(f, facts)?;
        }
        match recommended {
            Some(line) => writeln!(f, "\nrecommended\n  {}", shown(line)),
            None => writeln!(
                f,
                "no way works; see what the program writes: bellwether run --listen {} -- {}",
                clean(address.trim_start_matches("tcp://")),
                shown(command)
            ),
        }
    }
}

fn way(f: &mut fmt::Formatter<'_>, it: &Tried) -> fmt::Result {
    let mark = if it.by_itself { " *" } else { "" };
    write!(f, "{:<11} ", format!("{}{mark}", it.way))?;
    match (&it.facts, &it.problem) {
        (Some(facts), _) => {
            let Facts { ready_ms, ready_words, answered, memory, .. } = facts;
            let ready = format!("{:.2} s", ready_ms / 1000.0);
            let memory = ByteSize(*memory).display().iec().to_string();
            writeln!(f, "{ready:<9} {ready_words:<38} {answered:>2} of {ASKED} {memory:>10}")
        }
        (None, problem) => writeln!(f, "no        {}", problem.as_deref().unwrap_or("it ended")),
    }
}

fn details(f: &mut fmt::Formatter<'_>, facts: &Facts) -> fmt::Result {
    let serves = match &*facts.serves {
        "serial" => "one connection after the other",
        "concurrent" => "many connections at once",
        _ => "one connection or many: that was not seen; --kind says it",
    };
    writeln!(f, "serves      {serves}")?;
    let busy = match &*facts.serves {
        "serial" => "while it has a connection in hand",
        "concurrent" => "by the processor time that it wants, and by who waits for it",
        _ => "as one of both, whichever it is seen to be under load",
    };
    writeln!(f, "busy        {busy}")?;
    let speaks = facts.speaks.map_or("neither HTTP nor FastCGI", Protocol::name);
    writeln!(f, "speaks      {speaks}")?;
    writeln!(f, "processes   {} each", facts.processes)?;
    let backlog = if facts.sets_backlog { "sets its own, which is put right" } else { "stays" };
    writeln!(f, "backlog     {backlog}")?;
    if let Some(nodelay) = facts.nodelay {
        let stays =
            if nodelay { "stays set" } else { "is taken away: small answers may wait 40 ms" };
        writeln!(f, "nodelay     {stays}")?;
    }
    let blocks = if facts.nonblocking { "does not block" } else { "blocks" };
    writeln!(f, "socket      {blocks} (programs of another kind cannot share it)")?;
    let well = if facts.stops_well { "" } else { ", and not by itself" };
    writeln!(f, "stop        {:.2} s{well}", facts.stop_ms / 1000.0)?;
    if facts.speaks.is_some() && facts.answered < ASKED {
        writeln!(f, "note        not all requests were answered")?;
    }
    Ok(())
}
