//! Real traffic, read from text: times of requests, or how many came in each second or minute.
//!
//! Three forms are told apart by their header, or by their first row where there is none:
//! times in seconds, one a line, with an optional second column of the service in seconds
//! (`t_s,service_s`) or columns of tokens (`t_s,context_tokens,generated_tokens`); and counts, one a
//! line (`count`), with an optional first column for the period (`period,count`), which is not read.

use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, LogNormal};

use super::synthetic::service_of_tokens;
use super::{Random, Request, Workload};

/// How to read what a trace does not say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Seconds that one row of counts stands for.
    pub period: f64,
    /// How many times faster than it was the traffic is replayed.
    pub speed: f64,
    /// One of how many requests of counts is kept: 20 for a twentieth of the rate.
    pub thinning: f64,
    /// Seconds of service on average, where the trace does not tell.
    pub service: f64,
    /// The coefficient of variation of services.
    pub variation: f64,
    /// Rows to leave out at the beginning.
    pub skip: usize,
    /// Rows to read at most.
    pub rows: usize,
    /// For where in its period each request falls, and its service.
    pub seed: u64,
}

impl Default for Reading {
    /// Counts per second, at their own speed, all of them; services of 100 ms with a variation of 2.
    fn default() -> Self {
        Self {
            period: 1.0,
            speed: 1.0,
            thinning: 1.0,
            service: 0.1,
            variation: 2.0,
            skip: 0,
            rows: usize::MAX,
            seed: 1,
        }
    }
}

/// Returns the file of the real trace that a made-up load stands in for, and how to read it.
///
/// The files are counts per second of NASA's web server in 1995 (13 July, at twenty times its speed),
/// counts per minute of the World Cup's in 1998 (7 July from 16 to 23 o'clock, a twentieth), and
/// requests to a language model (Azure, 2023). They are not part of the crate.
///
/// ```
/// use bellwether::simulation::trace::real;
/// let (file, how) = real("nasa").ok_or("no such trace")?;
/// assert_eq!((file, how.speed), ("nasa_http_1995_persec.csv.gz", 20.0));
/// assert_eq!(real("step"), None);
/// # Ok::<(), &str>(())
/// ```
#[must_use]
pub fn real(load: &str) -> Option<(&'static str, Reading)> {
    let plain = Reading::default();
    match load {
        "nasa" => Some((
            "nasa_http_1995_persec.csv.gz",
            Reading { skip: 12 * 86_400, rows: 86_400, speed: 20.0, ..plain },
        )),
        "worldcup" => Some((
            "wc98_permin.csv.gz",
            Reading { skip: 97_580, rows: 420, period: 60.0, thinning: 20.0, ..plain },
        )),
        "llm-chat" => Some(("azure_llm_2023_conv_perreq.csv.gz", plain)),
        _ => None,
    }
}

/// What a row means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Times,
    TimesAndServices,
    TimesAndTokens,
    Counts,
    PeriodsAndCounts,
}

/// Reads a trace.
///
/// ```
/// use bellwether::simulation::trace::{self, Reading};
/// let three = trace::read("three", "t_s,service_s\n0.5,0.1\n1.0,0.2\n1.5,0.1\n", Reading::default())?;
/// assert_eq!(three.requests().len(), 3);
/// let counts = trace::read("counts", "count\n2\n0\n3\n", Reading::default())?;
/// assert_eq!(counts.requests().len(), 5);
/// # Ok::<(), String>(())
/// ```
///
/// # Errors
/// A sentence that names the line and what was expected there.
pub fn read(name: &str, text: &str, how: Reading) -> Result<Workload, String> {
    // Spreadsheets put a mark of the byte order before the first line.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().enumerate().filter(|(_, line)| is_row(line)).peekable();
    let Some((_, first)) = lines.peek() else {
        return Err("there is nothing in it; write one time or count a line".into());
    };
    let (form, has_header) = Form::of(first)?;
    let rows = lines.skip(usize::from(has_header) + how.skip).take(how.rows);
    let rows = rows.map(|(number, line)| {
        form.values(line).map_err(|problem| format!("line {}: {problem}", number + 1))
    });
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    if rows.is_empty() {
        return Err("there is no row left to read after the header and what is skipped".into());
    }
    Ok(Workload::new(name, Making::new(how).requests(form, &rows)?))
}

fn is_row(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#')
}

impl Form {
    /// Tells the form by the first line; and whether that is a header.
    fn of(first: &str) -> Result<(Self, bool), String> {
        let names: Vec<_> = first.split(',').map(|name| name.trim().to_lowercase()).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        Ok(match names.as_slice() {
            ["count"] => (Self::Counts, true),
            [_, "count"] => (Self::PeriodsAndCounts, true),
            ["t_s" | "time" | "t"] => (Self::Times, true),
            ["t_s" | "time" | "t", "service_s" | "service"] => (Self::TimesAndServices, true),
            ["t_s", "context_tokens", "generated_tokens"] => (Self::TimesAndTokens, true),
            [one] if one.parse::<u64>().is_ok() => (Self::Counts, false),
            [one] if one.parse::<f64>().is_ok() => (Self::Times, false),
            [one, two] if one.parse::<f64>().is_ok() && two.parse::<f64>().is_ok() => {
                return Err(
                    "two columns need a header: write t_s,service_s or period,count above \
                            them"
                        .into(),
                );
            }
            _ => {
                return Err(format!(
                    "`{}` is no header that is known; write one of: count / period,count / t_s / \
                     t_s,service_s / t_s,context_tokens,generated_tokens",
                    first.chars().take(60).collect::<String>()
                ));
            }
        })
    }

    /// Reads the numbers of a row.
    fn values(self, line: &str) -> Result<[f64; 3], String> {
        let fields: Vec<_> = line.split(',').map(str::trim).collect();
        let (wanted, first) = match self {
            Self::Times | Self::Counts => (1, 0),
            Self::TimesAndServices => (2, 0),
            Self::PeriodsAndCounts => (2, 1),
            Self::TimesAndTokens => (3, 0),
        };
        if fields.len() != wanted {
            return Err(format!("{} columns, where {wanted} are expected", fields.len()));
        }
        let mut values = [0.0; 3];
        for (value, field) in values.iter_mut().zip(&fields[first..]) {
            let number = field.parse().ok().filter(|it: &f64| it.is_finite() && *it >= 0.0);
            *value = number.ok_or_else(|| format!("`{field}` is no number of 0 or more"))?;
        }
        Ok(values)
    }
}

/// From rows to requests.
struct Making {
    how: Reading,
    random: Random,
    service: Option<LogNormal<f64>>,
}

/// More requests than that are not read: the counts are in another unit than was thought.
const MOST: f64 = 5e7;

impl Making {
    fn new(how: Reading) -> Self {
        let service = LogNormal::from_mean_cv(how.service, how.variation).ok();
        Self { how, random: Random::seed_from_u64(how.seed), service }
    }

    fn requests(mut self, form: Form, rows: &[[f64; 3]]) -> Result<Vec<Request>, String> {
        match form {
            Form::Counts | Form::PeriodsAndCounts => self.of_counts(rows),
            _ => {
                // In whatever order they are.
                let start = rows.iter().map(|row| row[0]).fold(f64::INFINITY, f64::min);
                Ok(rows.iter().map(|row| self.of_time(form, row, start)).collect())
            }
        }
    }

    fn of_time(&mut self, form: Form, row: &[f64; 3], start: f64) -> Request {
        let service = match form {
            Form::TimesAndServices => row[1],
            Form::TimesAndTokens => service_of_tokens(row[1], row[2]),
            _ => self.service(),
        };
        Request { at: (row[0] - start) / self.how.speed, service }
    }

    fn of_counts(&mut self, rows: &[[f64; 3]]) -> Result<Vec<Request>, String> {
        let all: f64 = rows.iter().map(|row| row[0]).sum();
        if all / self.how.thinning > MOST {
            return Err(format!(
                "{all} requests are too many, {MOST} at most; keep one of several"
            ));
        }
        let mut requests = Vec::new();
        for (i, row) in rows.iter().enumerate() {
            for _ in 0..self.rounded(row[0] / self.how.thinning) {
                let period = i as f64 + self.random.random::<f64>();
                let at = period * self.how.period / self.how.speed;
                requests.push(Request { at, service: self.service() });
            }
        }
        Ok(requests)
    }

    /// Rounds up or down by chance, so that nothing is lost on average.
    fn rounded(&mut self, count: f64) -> u64 {
        let up = self.random.random::<f64>() < count.fract();
        // At most the bound above.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let whole = count as u64;
        whole + u64::from(up)
    }

    fn service(&mut self) -> f64 {
        self.service.map_or(self.how.service, |service| service.sample(&mut self.random))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(text: &str) -> Vec<(f64, f64)> {
        let read = read("t", text, Reading { variation: 0.0, ..Reading::default() }).unwrap();
        read.requests().iter().map(|it| (it.at, it.service)).collect()
    }

    #[test]
    fn times_are_read_with_their_services_or_tokens() {
        assert_eq!(times("t_s,service_s\n5,0.5\n6.5,1\n"), [(0.0, 0.5), (1.5, 1.0)]);
        assert_eq!(times("0.25\n1.25\n").len(), 2);
        let unsorted = "# a remark\n\ntime,service\n1.25,2\n0.25,1\n";
        assert_eq!(times(unsorted), [(0.0, 1.0), (1.0, 2.0)]);
        let tokens = times("t_s,context_tokens,generated_tokens\n3,1000,50\n");
        assert!((tokens[0].1 - 1.15).abs() < 1e-9, "{tokens:?}");
    }

    #[test]
    fn counts_are_spread_over_their_periods() {
        let how = Reading { period: 60.0, speed: 2.0, ..Reading::default() };
        let read = read("c", "minute,count\n1998-07-07 16:00,100\nx,0\ny,50\n", how).unwrap();
        let late = read.requests().iter().filter(|it| it.at >= 60.0).count();
        assert_eq!((read.requests().len(), late), (150, 50));
        assert!(read.duration() < 90.0);
    }

    #[test]
    fn rows_can_be_skipped_and_thinned() {
        let how = Reading { skip: 1, rows: 2, thinning: 10.0, ..Reading::default() };
        let read = read("c", "count\n9000\n1000\n1000\n9000\n", how).unwrap();
        assert_eq!(read.requests().len(), 200);
    }

    #[test]
    fn rubbish_is_refused_with_its_line_and_what_to_write() {
        let check = |text: &str, words: &str| {
            let problem = read("r", text, Reading::default()).unwrap_err();
            assert!(problem.contains(words), "{text:?}: {problem}");
        };
        check("", "nothing in it");
        check("# nothing\n", "nothing in it");
        check("count\n", "no row left");
        check("1,2\n3,4\n", "two columns need a header");
        check("hello,world\n1,2\n", "`hello,world` is no header");
        check("count\n1\nx\n", "line 3: `x` is no number");
        check("count\n1\n-1\n", "line 3: `-1` is no number");
        check("t_s\n1\nNaN\n", "line 3");
        check("t_s,service_s\n1\n", "line 2: 1 columns, where 2");
        check("count\n99999999999\n", "too many");
    }
}
