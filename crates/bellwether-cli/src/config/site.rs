//! How requests are answered: the flags of `serve` that are no flags of `run`.

use std::path::PathBuf;

use clap::Args;
use http::Uri;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::rules::Problem;
use super::settings::PoolSettings;
use super::written::{Switch, Value, Written};
use crate::access_log::Format;
use crate::files::CacheRule;

/// The keys of a pool about its files and answers, as flags.
#[derive(Clone, Debug, Args)]
pub(crate) struct SiteFlags {
    /// Answers a folder without index.html with a list of what is in it.
    ///
    /// A page for browsers, JSON for who asks for application/json, else a name a line. Hidden
    /// files are left out, and of very many only the first are shown.
    #[arg(long, help_heading = FILES)]
    listing: bool,

    /// Serves files whose names begin with a dot, and what lies in such folders.
    ///
    /// Without it they are not found, for they are seldom meant for everybody (.git, .env);
    /// /.well-known/ always is (RFC 8615). Lists leave them out either way.
    #[arg(long, help_heading = FILES)]
    hidden: bool,

    /// Answers paths that lead nowhere with one page, for applications that run in the browser
    /// [with --spa alone: index.html].
    ///
    /// Only where a page is asked for (Accept: text/html) and the path has no file extension.
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "index.html",
        help_heading = FILES
    )]
    spa: Option<Written<PageOfApp>>,

    /// For how long files may be kept, repeatable: max-age=3600, or for paths like a pattern
    /// '/assets/*=max-age=31536000,immutable' [default: no-cache].
    ///
    /// The words of Cache-Control; * stands for anything, a folder counts as its index.html, and
    /// the last RULE that fits counts. no-cache: kept, and asked each time whether it has changed.
    #[arg(long, value_name = "RULE", help_heading = FILES)]
    cache: Vec<Written<CacheRule>>,

    /// Whether text of 1 KiB or more is sent as zstd, gzip or br to clients that accept it, where
    /// no variant lies beside the file and no range is asked for [default: on].
    ///
    /// 76 KB of HTML become 22 KB for 0.17 ms of a processor.
    #[arg(long, value_name = "on|off", help_heading = FILES)]
    compress: Option<Written<Switch>>,

    /// Writes a line for every request to a file, or to standard output where FILE is -.
    ///
    /// The file is opened anew, within a second, when it has been moved. Lines that find no room
    /// are lost and counted: nobody waits for the disk.
    #[arg(long, value_name = "FILE", help_heading = REQUESTS)]
    access_log: Option<PathBuf>,

    /// How the lines are written: combined or json [default: combined].
    ///
    /// combined: as Apache does, and behind it duration=MS, wait=MS (in the buffer, of the first
    /// request of a connection) and slot=N.
    #[arg(long, value_name = "FORMAT", help_heading = REQUESTS)]
    access_log_format: Option<Written<Format>>,

    /// Whether the answer to the first request of a connection says how long that waited in the
    /// buffer: Server-Timing: buffer;dur=MS [default: off].
    #[arg(long, value_name = "on|off", help_heading = REQUESTS)]
    server_timing: Option<Written<Switch>>,
}

const FILES: &str = "Files";
const REQUESTS: &str = "Requests";

impl SiteFlags {
    /// The settings that a file with the same settings would give.
    pub(crate) fn added_to(&self, pool: PoolSettings) -> PoolSettings {
        let flags = self.clone();
        PoolSettings {
            listing: flags.listing.then_some(Written(Switch(true))),
            hidden: flags.hidden.then_some(Written(Switch(true))),
            spa: flags.spa,
            cache: flags.cache,
            compress: flags.compress,
            access_log: flags.access_log,
            access_log_format: flags.access_log_format,
            server_timing: flags.server_timing,
            ..pool
        }
    }
}

/// What is said about files where there are none.
pub(super) fn about_files(pool: &PoolSettings) -> Option<Problem> {
    let given = [
        ("listing", pool.listing.is_some_and(|it| it.0.0)),
        ("hidden", pool.hidden.is_some_and(|it| it.0.0)),
        ("spa", pool.spa.is_some()),
        ("cache", !pool.cache.is_empty()),
        ("compress", pool.compress.is_some()),
    ];
    let (key, _) = given.into_iter().find(|(_, given)| *given && pool.serve.is_none())?;
    Some(Problem {
        keys: vec![(key, "of which files?".into())],
        message: format!("{key}: there are no files that it could be about"),
        hint: "name the directory to serve".into(),
    })
}

/// What is said about requests that are not seen here, or about lines that nobody writes.
pub(super) fn about_requests(pool: &PoolSettings) -> Option<Problem> {
    let given = [
        ("access-log", pool.access_log.is_some()),
        ("access-log-format", pool.access_log_format.is_some()),
        ("server-timing", pool.server_timing.is_some_and(|it| it.0.0)),
    ];
    if let Some((key, _)) = given.into_iter().find(|(_, given)| *given)
        && !pool.command.is_empty()
    {
        return Some(Problem {
            keys: vec![(key, "seen by the program alone".into())],
            message: format!("{key}: the requests to a program are seen by it alone"),
            hint: "leave it out, and let the program do it".into(),
        });
    }
    (pool.access_log_format.is_some() && pool.access_log.is_none()).then(|| Problem {
        keys: vec![("access-log-format", "of which log?".into())],
        message: "access-log-format: there is no log that it could be about".into(),
        hint: "add access-log, a file or -".into(),
    })
}

/// A file in the folder that is served, as a relative path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageOfApp(String);

impl PageOfApp {
    /// Where a client would ask for it.
    pub(crate) fn uri(&self) -> Uri {
        let parts = self.0.split('/').map(|part| utf8_percent_encode(part, NON_ALPHANUMERIC));
        let path = parts.fold(String::new(), |path, part| format!("{path}/{part}"));
        // Nothing is left in it that a path cannot have.
        path.parse().unwrap_or_default()
    }
}

impl Value for PageOfApp {
    const FORM: &'static str = "a file of the directory such as \"index.html\"";
    const PATTERN: &'static str = "^[^/]";

    fn read(text: &str) -> Result<Self, String> {
        let is_name = |part: &str| !["", ".", ".."].contains(&part) && !part.contains('\0');
        if text.split('/').all(is_name) {
            return Ok(Self(text.into()));
        }
        Err(format!("`{text}` is not below the directory; write {}", Self::FORM))
    }
}

impl Value for CacheRule {
    const FORM: &'static str =
        "a rule such as \"max-age=3600\" or \"/assets/*=max-age=31536000,immutable\"";
    const PATTERN: &'static str = ".";

    fn read(text: &str) -> Result<Self, String> {
        Self::read(text)
            .map_err(|why| format!("`{text}` is not possible: {why}; write {}", Self::FORM))
    }
}

impl Value for Format {
    const FORM: &'static str = "\"combined\" or \"json\"";
    const PATTERN: &'static str = "^(combined|json)$";

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "combined" => Ok(Self::Combined),
            "json" => Ok(Self::Json),
            _ => Err(format!("`{text}` is not possible; write {}", Self::FORM)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_an_app_is_a_file_of_the_directory() {
        let check = |text: &str, expected: Option<&str>| {
            let uri = PageOfApp::read(text).ok().map(|page| page.uri().to_string());
            assert_eq!(uri.as_deref(), expected, "{text}");
        };
        check("index.html", Some("/index%2Ehtml"));
        check("app/my page.html", Some("/app/my%20page%2Ehtml"));
        for wrong in ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/"] {
            check(wrong, None);
        }
    }
}
