//! The programs that are measured: what they are, and how their users would start them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use super::way::Way;
use crate::python;
use crate::site::packages::Package;

const NODE: Package = Package { program: "node", name: "nodejs" };
const GO: Package = Package { program: "go", name: "golang-go" };

/// All three answer with the same body, whose length is told, and write no log.
const NODE_SOURCE: &str = "
require('http').createServer((_, answer) => {
  answer.setHeader('Content-Type', 'text/plain');
  answer.end('hello, world\\n');
}).listen(Number(process.argv[2]), '127.0.0.1');
";

const GO_SOURCE: &str = r#"package main

import (
	"io"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(answer http.ResponseWriter, _ *http.Request) {
		answer.Header().Set("Content-Type", "text/plain")
		io.WriteString(answer, "hello, world\n")
	})
	panic(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
"#;

const ASGI_SOURCE: &str = r#"
HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"13")]

async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": b"hello, world\n"})
"#;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum App {
    /// The http server of Node
    Node,
    /// Go's net/http
    Go,
    /// uvicorn with uvloop and httptools
    Uvicorn,
}

impl App {
    /// Why it cannot be measured, if it cannot; else everything of it is there and built.
    pub(super) fn missing(self, install: bool) -> Option<String> {
        match self {
            Self::Node => NODE.missing(install),
            Self::Go => GO.missing(install).or_else(|| {
                let failure = compile().err()?;
                Some(format!("{failure:#}"))
            }),
            Self::Uvicorn => python::missing(install),
        }
    }

    /// Whether the way is the one that its recipe takes anyhow.
    pub(super) fn has_same_as_auto(self, way: Way) -> bool {
        way == Way::Adopt && self != Self::Uvicorn
    }

    /// Writes what it needs into a folder, and returns its command.
    pub(super) fn command(self, folder: &Path, port: &str) -> Result<Vec<String>> {
        match self {
            Self::Node => {
                let script = folder.join("app.js");
                fs::write(&script, NODE_SOURCE)?;
                Ok(vec!["node".into(), text(&script), port.into()])
            }
            Self::Go => Ok(vec![text(&go_folder()?.join("server")), port.into()]),
            Self::Uvicorn => {
                fs::write(folder.join("app.py"), ASGI_SOURCE)?;
                let (program, folder) = (python::program("uvicorn")?, text(folder));
                let flags = ["--app-dir", &folder, "--no-access-log", "--port", port, "app:app"];
                Ok([&[&*program], &flags[..]].concat().into_iter().map(Into::into).collect())
            }
        }
    }

    /// What it says of its version.
    pub(super) fn version(self) -> String {
        let uvicorn = python::program("uvicorn").unwrap_or_default();
        let command = match self {
            Self::Node => ["node", "--version"],
            Self::Go => ["go", "version"],
            Self::Uvicorn => [&*uvicorn, "--version"],
        };
        let output = Command::new(command[0]).args(&command[1..]).output();
        let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let said = said.unwrap_or_default();
        let is_number = |word: &&str| word.contains('.') && word.contains(char::is_numeric);
        said.split_whitespace().find(is_number).unwrap_or("of unknown version").into()
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Compiled anew in each run: the source may be another, and Go keeps what it made.
fn compile() -> Result<()> {
    let folder = go_folder()?;
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("main.go"), GO_SOURCE)?;
    let mut build = Command::new("go");
    build.args(["build", "-o", "server", "main.go"]).current_dir(&folder);
    let environment = [("CGO_ENABLED", "0"), ("GO111MODULE", "off"), ("GOFLAGS", "")];
    let built = build.envs(environment).stdin(Stdio::null()).output().context("cannot run go")?;
    anyhow::ensure!(
        built.status.success(),
        "go cannot compile it: {}",
        String::from_utf8_lossy(&built.stderr)
    );
    Ok(())
}

/// Beside this program.
fn go_folder() -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot find out where this program is")?;
    Ok(program.with_file_name("bellwether-bench-go"))
}

impl fmt::Display for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Node => "node http",
            Self::Go => "Go net/http",
            Self::Uvicorn => "uvicorn",
        })
    }
}
