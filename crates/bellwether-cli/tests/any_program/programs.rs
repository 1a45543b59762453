//! The programs that are tried: what they are, and how their users would start them.

use std::fs;
use std::path::Path;

use crate::installed::{self, has};

/// A server program that nobody has changed.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// How its version is asked.
    pub(crate) version: &'static [&'static str],
    /// What must be installed.
    needs: &'static str,
    /// Whether it says in its answers which process it is.
    pub(crate) tells: bool,
    /// Whether it speaks FastCGI, to a web server in front of it.
    pub(crate) behind_nginx: bool,
    /// How it is given its address, where not as its recipe says.
    pub(crate) pass: Option<&'static str>,
    /// The command for a port, in a folder of the test's own; `None` where it cannot be installed.
    command: fn(&Path, u16) -> Option<Vec<String>>,
}

impl Program {
    /// Returns why it cannot be tried here, if it cannot.
    pub(crate) fn missing(&self) -> Option<String> {
        (!has(self.needs)).then(|| format!("{} is not installed", self.needs))
    }

    pub(crate) fn command(&self, folder: &Path, port: u16) -> Option<Vec<String>> {
        (self.command)(folder, port)
    }

    /// Those that are told their port by a variable, whatever it is.
    pub(crate) fn with_a_port() -> Vec<Self> {
        let program = |name, needs, command| {
            let (behind_nginx, pass) = (false, Some("port"));
            Self { name, version: &[], needs, tells: true, behind_nginx, pass, command }
        };
        vec![
            program("node by PORT", "node", |at, _| {
                let script = NODE.replace("PORT", "process.env.PORT");
                Some(vec!["node".into(), file(at, "app.js", &script)])
            }),
            program("Python by PORT", "python3", |at, _| {
                let script = PYTHON.replace("PORT", "int(os.environ['PO' 'RT'])");
                Some(vec!["python3".into(), file(at, "app.py", &script)])
            }),
        ]
    }

    #[allow(clippy::too_many_lines, reason = "a list")]
    pub(crate) fn all() -> Vec<Self> {
        let program = |name, needs, version, tells, command| {
            let (behind_nginx, pass) = (false, None);
            Self { name, version, needs, tells, behind_nginx, pass, command }
        };
        let programs = vec![
            program(
                "python -m http.server",
                "python3",
                &["python3", "--version"],
                false,
                |_, port| Some(words(&format!("python3 -m http.server {port} --bind 127.0.0.1"))),
            ),
            program(
                "Python ThreadingHTTPServer",
                "python3",
                &["python3", "--version"],
                true,
                |at, port| {
                    Some(vec![
                        "python3".into(),
                        file(at, "app.py", &PYTHON.replace("PORT", &port.to_string())),
                    ])
                },
            ),
            program(
                "uvicorn",
                "python3",
                &["python3", "-m", "uvicorn", "--version"],
                true,
                |at, port| {
                    file(at, "app.py", ASGI);
                    let bin = installed::python()?.join("bin/uvicorn");
                    Some(words(&format!("{} app:app --no-access-log --port {port}", bin.display())))
                },
            ),
            program(
                "gunicorn",
                "python3",
                &["python3", "-m", "gunicorn", "--version"],
                true,
                |at, port| {
                    file(at, "app.py", WSGI);
                    let bin = installed::python()?.join("bin/gunicorn");
                    Some(words(&format!("{} -b 127.0.0.1:{port} app:app", bin.display())))
                },
            ),
            program(
                "granian",
                "python3",
                &["python3", "-m", "granian", "--version"],
                true,
                |at, port| {
                    file(at, "app.py", ASGI);
                    let bin = installed::python()?.join("bin/granian");
                    let bin = bin.display();
                    Some(words(&format!(
                        "{bin} --interface asgi --host 127.0.0.1 --port {port} app:app"
                    )))
                },
            ),
            program("node http", "node", &["node", "--version"], true, |at, port| {
                Some(vec!["node".into(), file(at, "app.js", &node(port))])
            }),
            program("node behind `sh -c`", "node", &["node", "--version"], true, |at, port| {
                let script = format!("node {}; true", file(at, "app.js", &node(port)));
                Some(vec!["sh".into(), "-c".into(), script])
            }),
            program(
                "express behind `npm start`",
                "npm",
                &["node", "--version"],
                true,
                |at, port| {
                    let folder = installed::express()?;
                    file(at, "app.js", &EXPRESS.replace("PORT", &port.to_string()));
                    fs::copy(folder.join("package.json"), at.join("package.json")).ok()?;
                    std::os::unix::fs::symlink(
                        folder.join("node_modules"),
                        at.join("node_modules"),
                    )
                    .ok()?;
                    Some(words("npm start"))
                },
            ),
            program("php -S", "php", &["php", "--version"], true, |at, port| {
                file(at, "index.php", "<?php echo getmypid();");
                Some(words(&format!("php -S 127.0.0.1:{port}")))
            }),
            Self {
                behind_nginx: has("nginx"),
                ..program(
                    "php-cgi behind nginx",
                    "php-cgi",
                    &["php-cgi", "--version"],
                    true,
                    |at, _| {
                        has("nginx").then(|| file(at, "index.php", "<?php echo getmypid();"))?;
                        Some(words("php-cgi"))
                    },
                )
            },
            program("ruby WEBrick", "ruby", &["ruby", "--version"], true, |at, port| {
                Some(vec![
                    "ruby".into(),
                    file(at, "app.rb", &RUBY.replace("PORT", &port.to_string())),
                ])
            }),
            program("puma", "puma", &["puma", "--version"], true, |at, port| {
                file(at, "config.ru", PUMA);
                Some(words(&format!("puma -b tcp://127.0.0.1:{port} config.ru")))
            }),
            program("Go, static", "go", &["go", "version"], true, |_, port| {
                Some(vec![go("go-static", "0")?, port.to_string()])
            }),
            program("Go, dynamic", "go", &["go", "version"], true, |_, port| {
                Some(vec![go("go-dynamic", "1")?, port.to_string()])
            }),
            program("Java HttpServer", "java", &["java", "--version"], true, |at, port| {
                let source = file(at, "Shop.java", &JAVA.replace("PORT", &port.to_string()));
                Some(vec!["java".into(), source])
            }),
            program("nginx", "nginx", &["nginx", "-v"], true, |at, port| {
                let text = NGINX.replace("PORT", &port.to_string());
                let (configuration, at) = (file(at, "nginx.conf", &text), at.display());
                let daemon = ["-g".into(), "daemon off;".into()];
                Some(
                    words(&format!("nginx -p {at} -c {configuration}"))
                        .into_iter()
                        .chain(daemon)
                        .collect(),
                )
            }),
        ];
        // Those that have a better way can be adopted, too.
        let adopted = programs.iter().filter_map(|it| {
            let (name, _) =
                ADOPTED.into_iter().zip(RECIPES).find(|(_, recipe)| *recipe == it.name)?;
            Some(Self { name, pass: Some("adopt"), ..*it })
        });
        let adopted: Vec<_> = adopted.collect();
        programs.into_iter().chain(adopted).collect()
    }
}

/// Programs whose recipes pass them the address, and how they are called without.
const RECIPES: [&str; 3] = ["uvicorn", "gunicorn", "puma"];
const ADOPTED: [&str; 3] = ["uvicorn, adopted", "gunicorn, adopted", "puma, adopted"];

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(Into::into).collect()
}

/// Writes a file and returns its path.
fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().into()
}

fn node(port: u16) -> String {
    NODE.replace("PORT", &port.to_string())
}

fn go(name: &str, c: &str) -> Option<String> {
    let folder = installed::go(name, GO, c)?;
    Some(folder.join("server").to_str()?.into())
}

const PYTHON: &str = r#"
import http.server, os
class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = str(os.getpid()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Shop).serve_forever()
"#;

const ASGI: &str = r#"
import os
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"#;

const WSGI: &str = r#"
import os
def app(environ, start):
    start("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"#;

const NODE: &str = r"
require('http').createServer((_, answer) => answer.end(String(process.pid))).listen(PORT, '127.0.0.1');
";

const EXPRESS: &str = r"
const app = require('express')();
app.get('/', (_, answer) => answer.send(String(process.pid)));
app.listen(PORT, '127.0.0.1');
";

const RUBY: &str = r#"
require 'webrick'
server = WEBrick::HTTPServer.new(BindAddress: '127.0.0.1', Port: PORT, AccessLog: [])
server.mount_proc('/') { |_, answer| answer.body = Process.pid.to_s }
trap('INT') { server.shutdown }
server.start
"#;

const PUMA: &str =
    r#"run lambda { |_| [200, { "content-type" => "text/plain" }, [Process.pid.to_s]] }"#;

const GO: &str = r#"
package main

import (
	"fmt"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, os.Getpid()) })
	panic(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
"#;

const JAVA: &str = r#"
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
class Shop {
    public static void main(String[] arguments) throws Exception {
        var server = HttpServer.create(new InetSocketAddress("127.0.0.1", PORT), 0);
        server.createContext("/", exchange -> {
            byte[] body = String.valueOf(ProcessHandle.current().pid()).getBytes();
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
    }
}
"#;

const NGINX: &str = r#"
pid nginx.pid; error_log stderr; worker_processes 1;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
    server { listen 127.0.0.1:PORT; location / { return 200 $pid; } }
}
"#;
