//! From the words that were typed to loads: files, or made-up ones.

use std::io::Read;
use std::path::Path;

use bellwether::Error;
use bellwether::simulation::Workload;
use bellwether::simulation::synthetic::{self, KINDS};
use bellwether::simulation::trace::{self, Reading};
use flate2::read::MultiGzDecoder;

use super::order::Setting;

/// A load, and when it jumps, if it is known to.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) workload: Workload,
    /// Seconds from its beginning.
    pub(crate) jump: Option<f64>,
}

/// The most bytes of a trace that are read.
const LARGEST: u64 = 1 << 30;

/// The longest service, in seconds: a day.
const LONGEST: f64 = 86_400.0;

/// Makes or reads all loads, unless the rest of what was typed is impossible.
pub(crate) fn all(order: &Setting) -> Result<Vec<Load>, Error> {
    if let Some((what, problem)) = order.problem() {
        return Err(Error::Configure { what: what.into(), problem: problem.into() });
    }
    order.traces.iter().map(|name| one(name, order)).collect()
}

fn one(name: &str, order: &Setting) -> Result<Load, Error> {
    if let Some(kind) = synthetic::named(name).filter(|_| !Path::new(name).exists()) {
        return Ok(Load { workload: kind.make(order.seed), jump: kind.jump });
    }
    let text = text_of(name).map_err(|problem| wrong(name, problem))?;
    let workload = trace::read(&short(name), &text, how(order));
    let workload = workload.map_err(|problem| wrong(name, problem))?;
    if workload.requests().iter().any(|request| request.service > LONGEST) {
        return Err(wrong(name, "a service lasts longer than a day; times count in seconds"));
    }
    if workload.duration() <= 0.0 {
        return Err(wrong(name, "it has no duration; two requests at different times are needed"));
    }
    Ok(Load { workload, jump: None })
}

fn wrong(name: &str, problem: impl Into<String>) -> Error {
    Error::Configure { what: format!("trace {name}"), problem: problem.into() }
}

fn how(order: &Setting) -> Reading {
    Reading {
        period: order.period.0.as_secs_f64().max(1e-6),
        speed: order.speed.0.max(1) as f64,
        thinning: order.one_of.0.max(1) as f64,
        service: order.service.0.as_secs_f64(),
        skip: order.skip.0,
        rows: order.lines.map_or(usize::MAX, |lines| lines.0),
        seed: order.seed,
        ..Reading::default()
    }
}

/// The last part of a path, without what says how it is packed.
fn short(path: &str) -> String {
    let name = Path::new(path).file_name();
    let name = name.map_or_else(|| path.into(), |name| name.to_string_lossy());
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.strip_suffix(".csv").unwrap_or(name).into()
}

fn text_of(name: &str) -> Result<String, String> {
    let bytes = if name == "-" {
        bytes_of(std::io::stdin().lock())
    } else {
        let names = || KINDS.map(|kind| kind.name).join(", ");
        let file = std::fs::File::open(name).map_err(|error| {
            format!("no made-up load, and no file that can be read ({error}); loads: {}", names())
        })?;
        bytes_of(file)
    }?;
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        bytes_of(MultiGzDecoder::new(bytes.as_slice()))?
    } else {
        bytes
    };
    String::from_utf8(bytes).map_err(|_| "it is not text; write one time or count a line".into())
}

fn bytes_of(source: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    source.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("it is larger than {LARGEST} bytes"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_called_by_the_last_part_of_its_path() {
        let check = |path: &str, expected: &str| assert_eq!(short(path), expected);
        check("/var/log/web.csv.gz", "web");
        check("counts.csv", "counts");
        check("-", "-");
    }

    #[test]
    fn what_is_neither_a_load_nor_a_file_is_told_with_the_names_of_loads() {
        let problem = text_of("stepp").unwrap_err();
        assert!(problem.contains("step, sine"), "{problem}");
    }
}
