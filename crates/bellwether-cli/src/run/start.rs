//! What is started, and where: flags that `run`, `dev` and `doctor` have in common.

use std::path::PathBuf;

use clap::Args;

use crate::config::settings::PoolSettings;

/// By which recipe a program is started, where, and with which variables.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Start {
    /// The recipe by which the program is run [default: the one for its name].
    ///
    /// A recipe says how a program is given its addresses and how it likes to be stopped;
    /// docs/recipes.md lists them and tells how to write one.
    #[arg(long, value_name = "NAME", help_heading = PROGRAM)]
    recipe: Option<String>,

    /// A file of recipes that come before those built in.
    #[arg(long, value_name = "FILE", help_heading = PROGRAM)]
    recipes: Option<PathBuf>,

    /// The folder in which the program runs [default: this one].
    #[arg(short = 'C', long, value_name = "DIR", help_heading = PROGRAM)]
    directory: Option<PathBuf>,

    /// A variable for the program, repeatable: NAME=VALUE.
    #[arg(short, long = "env", value_name = "NAME=VALUE", value_parser = assignment, help_heading = PROGRAM)]
    environment: Vec<(String, String)>,
}

/// What all flags about a program stand below in the help.
pub(crate) const PROGRAM: &str = "Program";

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err(format!("`{text}` sets no variable; write NAME=VALUE")),
    }
}

impl Start {
    /// Enters it into the settings of a pool.
    pub(crate) fn entered(self, pool: PoolSettings) -> PoolSettings {
        let Self { recipe, recipes, directory, environment } = self;
        PoolSettings {
            recipe,
            recipes,
            directory,
            environment: environment.into_iter().collect(),
            ..pool
        }
    }

    /// The same flags as they can be typed again.
    pub(crate) fn words(&self) -> Vec<String> {
        let path = |path: &PathBuf| path.display().to_string();
        let recipe = self.recipe.iter().map(|it| ("--recipe", it.clone()));
        let recipes = self.recipes.iter().map(|it| ("--recipes", path(it)));
        let directory = self.directory.iter().map(|it| ("--directory", path(it)));
        let variable = |(name, value): &(String, String)| ("--env", format!("{name}={value}"));
        let all = recipe.chain(recipes).chain(directory);
        let all = all.chain(self.environment.iter().map(variable));
        all.flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches};

    use super::*;

    fn typed(line: &str) -> Result<Start, clap::Error> {
        let command = Start::augment_args(Command::new("x").no_binary_name(true));
        let matches = command.try_get_matches_from(line.split_whitespace())?;
        Start::from_arg_matches(&matches)
    }

    #[test]
    fn what_was_typed_can_be_typed_again() {
        let line = "--recipe node --recipes own.toml --directory site --env A=1 --env B==";
        assert_eq!(typed(line).unwrap().words().join(" "), line);
        assert!(typed("").unwrap().words().is_empty());
        assert!(typed("--env =1").is_err());
    }
}
