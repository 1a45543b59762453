//! The twelve loads of the simulator, with real traces in place of their stand-ins where there are some.

use std::ffi::OsString;
use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::{Context as _, Result};
use bellwether::simulation::synthetic::Kind;
use bellwether::simulation::{Workload, trace};
use flate2::read::GzDecoder;

/// Names the folder in which real traces are.
const FOLDER: &str = "BELLWETHER_TRACES";

/// A load, and whether it was recorded rather than made up.
pub(crate) struct Load {
    pub(crate) workload: Workload,
    pub(crate) real: bool,
}

/// Makes loads; those that stand in for a trace which is in the folder are read from it.
pub(crate) fn loads<'a>(kinds: impl Iterator<Item = &'a Kind>, seed: u64) -> Result<Vec<Load>> {
    let folder = std::env::var_os(FOLDER);
    kinds.map(|kind| load(kind, folder.as_ref(), seed)).collect()
}

fn load(kind: &Kind, folder: Option<&OsString>, seed: u64) -> Result<Load> {
    let read = folder.map(|folder| real(kind.name, Path::new(folder))).transpose()?.flatten();
    let real = read.is_some();
    Ok(Load { workload: read.unwrap_or_else(|| kind.make(seed)), real })
}

/// Reads the trace that a load stands in for; none if it has none, or that is not in the folder.
fn real(name: &str, folder: &Path) -> Result<Option<Workload>> {
    let Some((file, how)) = trace::real(name) else { return Ok(None) };
    let path = folder.join(file);
    let file = match std::fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot open {}", path.display())),
    };
    let mut text = String::new();
    GzDecoder::new(file)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let read = trace::read(name, &text, how).map_err(anyhow::Error::msg);
    read.with_context(|| format!("cannot use {}", path.display())).map(Some)
}

/// Says which loads were recorded, and which could have been, but were made up.
pub(crate) fn origin(loads: &[Load]) -> String {
    let named = |real: bool| {
        let those = loads.iter().filter(|load| load.real == real);
        let names = those.map(|load| load.workload.name()).filter(|it| trace::real(it).is_some());
        names.collect::<Vec<_>>().join(", ")
    };
    let (real, missing) = (named(true), named(false));
    let real = if real.is_empty() { "none" } else { &real };
    let also = if missing.is_empty() { String::new() } else { format!(", also {missing}") };
    format!("Real traces: {real}; all other loads are made up{also}.")
}

#[cfg(test)]
mod tests {
    use bellwether::simulation::synthetic;

    use super::*;

    fn made(name: &str, folder: Option<&Path>) -> Result<Load> {
        let folder = folder.map(|folder| folder.as_os_str().to_owned());
        load(synthetic::named(name).unwrap(), folder.as_ref(), 1)
    }

    #[test]
    fn a_trace_that_is_not_there_has_its_stand_in() {
        let empty = tempfile::tempdir().unwrap();
        let loads = ["flash", "nasa"].map(|name| made(name, Some(empty.path())).unwrap());
        assert!(loads.iter().all(|load| !load.real && load.workload.duration() > 60.0));
        assert_eq!(origin(&loads), "Real traces: none; all other loads are made up, also nasa.");
        assert_eq!(origin(&loads[..1]), "Real traces: none; all other loads are made up.");
    }

    #[test]
    fn a_trace_that_is_there_is_read_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let (file, _) = trace::real("llm-chat").unwrap();
        let text = b"t_s,context_tokens,generated_tokens\n0,100,5\n9,100,5\n";
        let file = std::fs::File::create(folder.path().join(file)).unwrap();
        let mut file = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        std::io::Write::write_all(&mut file, text).unwrap();
        file.finish().unwrap();
        let loads = ["llm-chat", "nasa"].map(|name| made(name, Some(folder.path())).unwrap());
        assert_eq!((loads[0].real, loads[0].workload.requests().len()), (true, 2));
        let words = "Real traces: llm-chat; all other loads are made up, also nasa.";
        assert_eq!(origin(&loads), words);
        assert_eq!(origin(&loads[..1]), "Real traces: llm-chat; all other loads are made up.");
    }

    #[test]
    fn a_trace_that_is_broken_is_an_error_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("wc98_permin.csv.gz"), b"rubbish").unwrap();
        let error = made("worldcup", Some(folder.path())).err().unwrap();
        assert!(format!("{error:#}").contains("wc98_permin.csv.gz"), "{error:#}");
    }
}
