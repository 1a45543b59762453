//! `bellwether generate`: texts that are made of what the program knows about itself.
//!
//! The command line gives man pages and completions, the types of the settings give the schema,
//! and a configuration file gives the units of [`systemd`].

mod systemd;

use std::path::{Path, PathBuf};

use bellwether::Error;
use clap::{Args, Command, CommandFactory, Subcommand};
use clap_complete::Shell;
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::Value;

use crate::config::{Config, SAMPLE};
use crate::ending::Ending;
use crate::output::{print, unprinted};

/// Print a sample configuration, its schema, man pages, completions, systemd units.
#[derive(Debug, Args)]
pub(crate) struct Generate {
    #[command(subcommand)]
    what: What,
}

/// What to print.
#[derive(Debug, Subcommand)]
enum What {
    /// A sample of bellwether.toml with all settings and their defaults.
    Config,
    /// The JSON Schema of bellwether.toml, for editors.
    Schema,
    /// The man page; with -o those of all commands.
    Man {
        /// Write the pages of all commands into this folder.
        #[arg(short, long, value_name = "DIR")]
        output: Option<PathBuf>,
    },
    /// Completions for a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// A hardened systemd service for a configuration file, and its sockets.
    Systemd(systemd::Units),
}

/// Prints what is asked for; `program` is the whole command line.
pub(crate) fn run<P: CommandFactory>(order: &Generate) -> Result<(), Ending> {
    match &order.what {
        What::Config => print(SAMPLE),
        What::Schema => print(&schema()?),
        What::Man { output: None } => {
            let mut page = Vec::new();
            let program = P::command().disable_help_subcommand(true);
            clap_mangen::Man::new(program).render(&mut page).map_err(unprinted)?;
            print(&String::from_utf8_lossy(&page))
        }
        What::Man { output: Some(folder) } => man_pages(P::command(), folder),
        What::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut P::command(), "bellwether", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
        What::Systemd(units) => systemd::run(units),
    }
}

fn schema() -> Result<String, Ending> {
    let settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(without_null));
    let schema = settings.into_generator().into_root_schema_for::<Config>();
    let text = serde_json::to_string_pretty(&schema).map_err(unprinted)?;
    Ok(format!("{text}\n"))
}

/// Forgets that JSON could say nothing with `null`; TOML has no such word.
fn without_null(schema: &mut Schema) {
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = &types[..] {
            let only = only.clone();
            schema.insert("type".into(), only);
        }
    }
}

/// Writes the pages of all commands into a folder, which is made where it is missing.
fn man_pages(program: Command, folder: &Path) -> Result<(), Ending> {
    let written =
        std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(program, folder));
    let doing = format!("write man pages into {}", folder.display());
    Ok(written.map_err(|source| Error::System { doing, source })?)
}
