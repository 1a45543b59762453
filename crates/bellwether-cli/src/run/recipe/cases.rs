//! Command lines in, command lines out: what the built-in recipes make of them.

use std::ffi::OsString;

use super::{Book, Found, Passed, Prepared, Recipe, Way};

fn split(text: &str) -> Vec<OsString> {
    text.split_whitespace().map(OsString::from).collect()
}

fn found(command: &str) -> Found<'static> {
    Recipe::book().find(&split(command))
}

fn prepared(found: &Found<'_>, way: Way, addresses: &[&str]) -> Result<Prepared, String> {
    let sockets = addresses.iter().zip(3..).map(|(it, fd)| (fd, it.parse().unwrap()));
    found.command(&Passed { way, sockets: &sockets.collect::<Vec<_>>() })
}

/// The recipe, its way, the variables and the command, in one line.
fn shown(found: &Found<'_>, way: Way, prepared: &Prepared) -> String {
    let variables = prepared.environment.iter().map(|(name, value)| format!("{name}={value} "));
    let arguments: Vec<_> = prepared.arguments.iter().map(|it| it.to_string_lossy()).collect();
    let variables = variables.collect::<String>();
    format!("{} {way}: {variables}{}", found.recipe.name, arguments.join(" "))
}

/// With one socket, descriptor 3 at 0.0.0.0:80.
fn check(command: &str, expected: &str) {
    with(command, &["0.0.0.0:80"], expected);
}

fn with(command: &str, addresses: &[&str], expected: &str) {
    let found = found(command);
    let prepared = prepared(&found, found.way(), addresses).unwrap();
    assert_eq!(shown(&found, found.way(), &prepared), expected, "{}", found.why);
}

/// As it was given.
fn adopted(name: &str, command: &str) {
    check(command, &format!("{name} adopt: {command}"));
}

fn refused(command: &str, words: &str) {
    let found = found(command);
    let problem = prepared(&found, found.way(), &["0.0.0.0:80"]).unwrap_err();
    assert!(problem.contains(words), "{command}: {problem}");
}

#[test]
fn servers_of_python_are_given_their_socket() {
    let uvicorn = "uvicorn fd: WEB_CONCURRENCY=1 ";
    check("uvicorn a:b", &format!("{uvicorn}uvicorn a:b --fd 3"));
    check(
        "/venv/bin/uvicorn --host 0 a:b --port=9 --workers 4 --reload --log-level info",
        &format!("{uvicorn}/venv/bin/uvicorn a:b --log-level info --fd 3"),
    );
    check("uvicorn --uds /x a:b --factory", &format!("{uvicorn}uvicorn a:b --factory --fd 3"));
    let gunicorn = "gunicorn fd: WEB_CONCURRENCY=1 ";
    let rest = "-w 1 -b fd://3";
    check("gunicorn -b :80 -w4 a:b", &format!("{gunicorn}gunicorn a:b {rest}"));
    check(
        "gunicorn --bind=:80 -D a:b -k gthread",
        &format!("{gunicorn}gunicorn a:b -k gthread {rest}"),
    );
    with("gunicorn a:b", &[":80", "/x"], &format!("{gunicorn}gunicorn a:b {rest} -b fd://4"));
    check("hypercorn a:b -b :80 -w 2", "hypercorn fd: hypercorn a:b -b fd://3");
    check("daphne -p 80 -b :: a:b", "daphne fd: daphne a:b --fd 3");
    check("granian --workers 8 a:b --port 80", "granian adopt: granian a:b --port 80 --workers 1");
    adopted("waitress", "waitress-serve --listen=*:80 a:b");
    check(
        "flask --app a run --debug --port 80 --reload",
        "flask env: WERKZEUG_RUN_MAIN=true WERKZEUG_SERVER_FD=3 flask --app a run --debug --no-reload",
    );
    adopted("any", "flask --app a shell");
    check("fastapi run a.py --workers 3", "fastapi adopt: WEB_CONCURRENCY=1 fastapi run a.py");
    check(
        "python manage.py runserver 80",
        "django adopt: python manage.py runserver 80 --noreload",
    );
    adopted("http.server", "python3.11 -u -m http.server 80");
    check("uwsgi --http :80 -w a", "uwsgi adopt: uwsgi --http :80 -w a --die-on-term");
    refused("uwsgi --http :80 --daemonize log", "remove --daemonize");
    adopted("python", "python -c pass");
    adopted("python", "python3 -X dev server.py --port 80");
}

#[test]
fn servers_of_ruby_are_given_their_socket() {
    let puma = "puma listen-fds: LISTEN_FDS=1 WEB_CONCURRENCY=0";
    let rest = "-w 0 --bind-to-activated-sockets only";
    check("puma -p 80 -w 4 -t 5:5", &format!("{puma} puma -t 5:5 {rest}"));
    check("bundle exec puma -b tcp://:80", &format!("{puma} bundle exec puma {rest}"));
    with(
        "puma",
        &[":80", "/x"],
        &format!("puma listen-fds: LISTEN_FDS=2 WEB_CONCURRENCY=0 puma {rest}"),
    );
    check("unicorn -l :80 config.ru", "unicorn listen-fds: LISTEN_FDS=1 unicorn config.ru");
    refused("unicorn -D", "remove -D");
    adopted("thin", "thin start -p 80");
    refused("thin start -d", "remove -d");
    adopted("rackup", "rackup -p 80");
    adopted("ruby", "ruby -run -e httpd . -p 80");
    adopted("ruby", "ruby3.1 server.rb");
    adopted("ruby", "pitchfork -l 80");
    refused("rails server", "bundle exec puma");
    refused("bundle exec rails s -p 80", "pid file");
    adopted("any", "rails console");
}

#[test]
fn servers_of_javascript_are_adopted() {
    adopted("node", "node server.js --port 80");
    adopted("node", "nodejs --require ./x.js server.js");
    adopted("npm", "npm start");
    adopted("npm", "yarn start");
    adopted("npm", "pnpm run start");
    adopted("deno", "deno serve --port 80 a.ts");
    adopted("bun", "bun run a.ts");
    check("pm2-runtime a.js -i max", "pm2-runtime adopt: pm2-runtime a.js");
    refused("pm2 start a.js", "node app.js");
}

#[test]
fn servers_of_php_and_fastcgi_are_given_their_socket() {
    let none = "PHP_FCGI_CHILDREN=0 PHP_FCGI_MAX_REQUESTS=0";
    check("php-cgi -b :80 -d a=b", &format!("php-cgi stdin: {none} php-cgi -d a=b"));
    check("php-cgi8.2", &format!("php-cgi stdin: {none} php-cgi8.2"));
    check("php-fpm8.2 -y x.conf", "php-fpm env: FPM_SOCKETS=0.0.0.0:80=3 php-fpm8.2 -y x.conf -F");
    with(
        "php-fpm -D",
        &["127.0.0.1:1", "unix:/x"],
        "php-fpm env: FPM_SOCKETS=127.0.0.1:1=3,/x=4 php-fpm -F",
    );
    adopted("php-S", "php -S localhost:80 -t public");
    adopted("php", "php artisan serve");
    check("fcgiwrap -s unix:/x", "fcgiwrap stdin: fcgiwrap -c 1");
    check("multiwatch -f 4 -- prog -f x", "multiwatch stdin: multiwatch -f 1 -- prog -f x");
    refused("spawn-fcgi -p 80 -- php-cgi", "--pass stdin");
}

#[test]
fn servers_of_perl_are_given_their_socket() {
    adopted("start_server", "start_server --port 80 -- plackup");
    check(
        "starman --workers 8 -l :80 app.psgi",
        "starman env: SERVER_STARTER_PORT=0.0.0.0:80=3 starman app.psgi --workers 1",
    );
    with(
        "plackup -s Starlet app.psgi",
        &["[::1]:80", "/x"],
        "starlet env: SERVER_STARTER_PORT=[::1]:80=3;/x=4 plackup -s Starlet app.psgi --max-workers 0",
    );
    adopted("plackup", "plackup -p 80 app.psgi");
    adopted("perl", "perl -Ilib server.pl");
    check(
        "perl /usr/bin/starman",
        "starman env: SERVER_STARTER_PORT=0.0.0.0:80=3 perl /usr/bin/starman --workers 1",
    );
}

#[test]
fn other_servers_are_adopted_if_they_stay() {
    adopted("java", "java -Xmx1g -jar server.jar");
    refused("nginx", "add -g 'daemon off;'");
    adopted("nginx", "nginx -c x.conf");
    let nginx = ["nginx", "-g", "worker_processes 1; daemon off;"].map(OsString::from);
    let found = Recipe::book().find(&nginx);
    assert_eq!(prepared(&found, Way::Adopt, &[":80"]).unwrap().arguments, nginx);
    check("lighttpd -f x.conf", "lighttpd adopt: lighttpd -f x.conf -D");
    check("lighttpd -D -f x.conf", "lighttpd adopt: lighttpd -f x.conf -D");
    check("apache2 -f x", "httpd adopt: apache2 -f x -DFOREGROUND");
    adopted("caddy", "caddy run --config x");
    refused("caddy start", "caddy run");
    adopted("traefik", "traefik --entryPoints.web.address=:80");
    refused("docker run nginx", "in there");
    adopted("shell", "sh -c node;true");
    adopted("any", "./server --listen :80");
    adopted("any", "");
}

#[test]
fn programs_end_by_the_signal_that_is_graceful_to_them() {
    let check = |command: &str, expected: &str| {
        assert_eq!(found(command).recipe.stop.to_string(), expected, "{command}");
    };
    check("uvicorn a:b", "TERM");
    check("gunicorn a:b", "TERM");
    check("unicorn", "QUIT");
    check("nginx", "QUIT");
    check("httpd", "WINCH");
    check("python -m http.server", "INT");
    check("node a.js", "TERM");
    check("./server", "TERM");
}

#[test]
fn launchers_and_interpreters_are_seen_through() {
    let check = |command: &str, name: &str, program: &str, wrapped: bool| {
        let found = found(command);
        let at = found.command[found.program_at].to_string_lossy();
        let seen = (found.recipe.name.as_str(), &*at, found.wrapped);
        assert_eq!(seen, (name, program, wrapped), "{command}: {}", found.why);
    };
    check("env -i A=b C= uvicorn x", "uvicorn", "uvicorn", false);
    check("env -u A -C /x python -m uvicorn x", "uvicorn", "uvicorn", false);
    check("nice -n 5 ionice -c2 -n 7 puma", "puma", "puma", false);
    check("nice -5 puma", "puma", "puma", false);
    check("setpriv --reuid 5 --clear-groups puma", "puma", "puma", false);
    check("sudo -u www -E A=b puma", "puma", "puma", true);
    check("timeout -k 5 60 puma", "puma", "puma", true);
    check("stdbuf -oL -e 0 puma", "puma", "puma", false);
    check("chrt -f 10 taskset -c 0,1 puma", "puma", "puma", false);
    check("poetry run gunicorn x", "gunicorn", "gunicorn", false);
    check("poetry install", "any", "poetry", false);
    check("pipenv run python -m flask run", "flask", "flask", false);
    check("uv run --with fastapi uvicorn x", "uvicorn", "uvicorn", true);
    check("uv run -m uvicorn x", "uvicorn", "uvicorn", true);
    check("uvx --from granian[all] granian x", "granian", "granian", true);
    check("bundle exec puma -t 1:1", "puma", "puma", false);
    check("npx -y tsx server.ts", "node", "tsx", true);
    check("tini -- node server.js", "node", "server.js", true);
    check("python3.12 -u -X dev -m gunicorn x", "gunicorn", "gunicorn", false);
    check("python -mhttp.server", "http.server", "-mhttp.server", false);
    check("python /venv/bin/daphne x", "daphne", "/venv/bin/daphne", false);
    check("ruby -Ilib bin/puma", "puma", "bin/puma", false);
    check("env", "any", "env", false);
    check("sh -c puma", "shell", "sh", true);
    check("npm start", "npm", "npm", true);
}

#[test]
fn what_hinders_the_recipes_way_makes_the_program_adopted() {
    let check = |command: &str, way| assert_eq!(found(command).way(), way, "{command}");
    check("timeout 60 puma", Way::Adopt);
    check("timeout 60 uvicorn x", Way::Fd);
    check("sudo uvicorn x", Way::Adopt);
    check("npx uvicorn x", Way::Adopt);
    check("sudo php-cgi", Way::Stdin);
    let sudo = found("sudo uvicorn x --port 80");
    let prepared = prepared(&sudo, sudo.way(), &[":80"]).unwrap();
    assert_eq!(prepared.arguments, split("sudo uvicorn x --port 80"), "it opens its own socket");
    assert!(prepared.notes.iter().any(|note| note.contains("--user")), "{:?}", prepared.notes);
}

#[test]
fn a_script_is_known_by_its_own_name_first_and_then_by_its_first_line() {
    let folder = tempfile::tempdir().unwrap();
    let check = |file: &str, text: &str, expected: &str| {
        let path = folder.path().join(file);
        std::fs::write(&path, text).unwrap();
        let found = found(path.to_str().unwrap());
        assert_eq!(found.recipe.name, expected, "{}", found.why);
        assert_eq!(found.program_at, 0);
    };
    check("uvicorn", "#!/venv/bin/python3\nimport uvicorn", "uvicorn");
    check("puma", "#!/bin/sh\n'''exec' \"/a b/python\" \"$0\" \"$@\"\n", "puma");
    check("shop", "#!/usr/bin/env python3\n", "python");
    check("shop.js", "#!/usr/bin/env -S node --x\n", "node");
    check("start", "#! /bin/bash -e\n", "shell");
    check("binary", "\x7fELF", "any");
    assert!(found(folder.path().join("start").to_str().unwrap()).wrapped);
    assert_eq!(found("/nowhere/shop").recipe.name, "any");
}

#[test]
fn the_address_is_read_from_the_programs_own_arguments() {
    let check = |command: &str, expected: &str| {
        let address = found(command).address();
        assert_eq!(address.as_deref().unwrap_or_default(), expected, "{command}");
        if let Some(text) = address {
            text.parse::<bellwether::Address>().unwrap_or_else(|problem| panic!("{problem}"));
        }
    };
    check("uvicorn a:b --port 9000 --host 0.0.0.0", "0.0.0.0:9000");
    check("uvicorn a:b --port=9000", "127.0.0.1:9000");
    check("uvicorn a:b --host ::", "[::]:8000");
    check("uvicorn a:b --uds /run/x", "unix:/run/x");
    check("uvicorn a:b", "127.0.0.1:8000");
    check("gunicorn -b 0.0.0.0:80 a:b", "0.0.0.0:80");
    check("gunicorn -b :80 a:b", ":80");
    check("gunicorn -b[::1]:80 a:b", "[::1]:80");
    check("gunicorn --bind unix:/run/x a:b", "unix:/run/x");
    check("gunicorn -b 0.0.0.0 a:b", "0.0.0.0:8000");
    check("hypercorn a:b -b localhost:80", "localhost:80");
    check("daphne -p 9 a:b", "127.0.0.1:9");
    check("waitress-serve --listen=*:80 a:b", ":80");
    check("waitress-serve a:b", ":8080");
    check("flask run -p 80", "127.0.0.1:80");
    check("php -S localhost:8080 -t x", "localhost:8080");
    check("python -m http.server 9000", ":9000");
    check("python -m http.server", ":8000");
    check("python -m http.server -d 80 -b ::1 9000", "[::1]:9000");
    check("python -m http.server -d 80", ":8000");
    check("python manage.py runserver 0.0.0.0:9", "0.0.0.0:9");
    check("python manage.py runserver", "127.0.0.1:8000");
    check("puma -p 3000", ":3000");
    check("puma -b tcp://0.0.0.0:80?low_latency=true", "0.0.0.0:80");
    check("puma -b unix:///run/x?umask=0111", "unix:/run/x");
    check("env A=b uv run uvicorn a:b --port 9", "127.0.0.1:9");
    check("start_server --port 80 -- plackup -p 81", ":80");
    check("traefik --entryPoints.web.address=:80", ":80");
    check("node server.js --port 80", "");
    check("uvicorn a:b --port", "127.0.0.1:8000");
    let several = found("gunicorn -b :80 -b unix:/x a:b").addresses();
    assert_eq!(several, [":80", "unix:/x"]);
}

#[test]
fn the_user_may_choose_another_way() {
    let check = |command: &str, way, expected: &str| {
        let found = found(command);
        let prepared = prepared(&found, way, &["127.0.0.1:4001"]).unwrap();
        assert_eq!(
            shown(&found, way, &prepared),
            format!("{} {way}: {expected}", found.recipe.name)
        );
    };
    check("gunicorn -b :80 -w 4 a:b", Way::Adopt, "WEB_CONCURRENCY=1 gunicorn -b :80 a:b -w 1");
    check("flask run -p 80", Way::Adopt, "flask run -p 80 --no-reload");
    check(
        "uvicorn a:b --port 80 --host ::",
        Way::Port,
        "WEB_CONCURRENCY=1 uvicorn a:b --host 127.0.0.1 --port {port}",
    );
    check("php -S :80", Way::Port, "php -S 127.0.0.1:{port}");
    check("python -m http.server 80", Way::Port, "python -m http.server {port}");
    check("node x.js", Way::Port, "node x.js");
    check("./server", Way::ListenFds, "LISTEN_FDS=1 ./server");
    check("./server", Way::Fd, "./server");
}

#[test]
fn what_is_left_out_is_told() {
    let found = found("uvicorn a:b --port 80 --workers 4");
    let notes = prepared(&found, Way::Fd, &[":80"]).unwrap().notes;
    let expected = ["`--workers 4`: bellwether sees", "`--port 80`: the socket is opened"];
    for (note, words) in notes.iter().zip(expected) {
        assert!(note.contains(words), "{note}");
    }
    assert_eq!(notes.len(), 2, "{notes:?}");
}

#[test]
fn a_program_that_takes_one_socket_is_not_given_two() {
    let found = found("uvicorn a:b");
    let problem = prepared(&found, Way::Fd, &[":80", ":81"]).unwrap_err();
    assert!(
        problem.contains("one socket by `fd`") && problem.contains("--pass adopt"),
        "{problem}"
    );
    assert!(prepared(&found, Way::Adopt, &[":80", ":81"]).is_ok());
}

#[test]
fn the_users_own_recipes_decide() {
    let text = "[[recipe]]\nname = 'mine'\nprograms = ['uvicorn', 'shop']\npass = 'env'\n\
                environment = { SHOP_FD = '{fd}', SHOP_AT = '{host} {port}' }\nplace = 'front'\n\
                always = ['-1']\ndrop = ['-n=']\nstop = 'SIGINT'\n\
                [[launcher]]\nprograms = ['with']\noperands = 1\nforks = true\n";
    let book: Book = Recipe::book().with(text, "my.toml").unwrap();
    let check = |command: &str, expected: &str| {
        let found = book.find(&split(command));
        let prepared = prepared(&found, found.way(), &["[::1]:80"]).unwrap();
        assert_eq!(shown(&found, found.way(), &prepared), expected);
    };
    let variables = "mine env: SHOP_AT=::1 80 SHOP_FD=3";
    check("shop -n 4 x", &format!("{variables} shop -1 x"));
    check("uvicorn x", &format!("{variables} uvicorn -1 x"));
    check("with secrets shop", &format!("{variables} with secrets shop -1"));
    assert!(book.find(&split("with secrets shop")).wrapped);
    let chosen = book.choose("gunicorn", &split("./serve x")).unwrap();
    assert_eq!((chosen.recipe.name.as_str(), chosen.program_at), ("gunicorn", 0));
    let problem = book.choose("gunicron", &split("x")).unwrap_err();
    assert!(problem.contains("did you mean `gunicorn`?"), "{problem}");
}

#[test]
fn a_recipe_may_name_the_private_port_in_its_own_words() {
    let text = "[[recipe]]\nname = 'mine'\nprograms = ['shop']\npass = 'port'\n\
                arguments = ['--at', '{address}']\nenvironment = { SHOP = '{host}-{port}' }\n\
                address = { port = ['-p='] }\n\
                [[recipe]]\nname = 'plain'\nprograms = ['plain']\npass = 'port'\n\
                address = { port = ['-p='] }\n";
    let book: Book = Recipe::book().with(text, "my.toml").unwrap();
    let check = |command: &str, expected: &str| {
        let found = book.find(&split(command));
        let prepared = prepared(&found, found.way(), &[":80", "unix:/x"]).unwrap();
        assert_eq!(shown(&found, found.way(), &prepared), expected);
    };
    check("shop -p 80 x", "mine port: SHOP=127.0.0.1-{port} shop x --at 127.0.0.1:{port}");
    check("plain -p 80 x", "plain port: plain x -p {port}");
}

#[test]
fn words_that_are_no_text_pass_through() {
    use std::os::unix::ffi::OsStringExt;
    let strange = OsString::from_vec(vec![b'-', 0xff]);
    let command = vec!["uvicorn".into(), strange.clone(), "--port".into(), "1".into()];
    let found = Recipe::book().find(&command);
    assert_eq!(prepared(&found, Way::Fd, &[":80"]).unwrap().arguments[1], strange);
    assert_eq!(Recipe::book().find(&[strange]).recipe.name, "any");
}
