//! The book of all recipes: the built-in ones, and before them the user's.

use std::ops::Range;
use std::sync::LazyLock;

use serde::Deserialize;

use super::find::launch::{Interpreter, Launcher};
use super::{Recipe, Way, command};
use crate::config::document::Document;
use crate::config::finding::{Finding, line_and_column};

/// The built-in recipes as they are written.
pub(crate) const BUILT_IN: &str = include_str!("../recipes.toml");

static BOOK: LazyLock<Book> = LazyLock::new(|| {
    // A test proves that they can be read; without them every program is adopted.
    read(BUILT_IN, "recipes.toml").unwrap_or_default()
});

/// Recipes, and through what programs are seen; those that come first win.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Book {
    /// What is known about programs.
    #[serde(rename = "recipe")]
    pub(crate) recipes: Vec<Recipe>,
    /// Programs that start the program that is named behind them.
    #[serde(rename = "launcher")]
    pub(crate) launchers: Vec<Launcher>,
    /// Programs that run a script or a module.
    #[serde(rename = "interpreter")]
    pub(crate) interpreters: Vec<Interpreter>,
}

impl Book {
    /// This book with the user's pages before its own; or all that is wrong with those, a line each.
    ///
    /// A recipe with the name of an earlier one replaces it.
    pub(crate) fn with(&self, text: &str, origin: &str) -> Result<Self, String> {
        let mut book = read(text, origin)?;
        let names: Vec<String> = book.recipes.iter().map(|it| it.name.clone()).collect();
        let others = self.recipes.iter().filter(|it| !names.contains(&it.name));
        book.recipes.extend(others.cloned());
        book.launchers.extend_from_slice(&self.launchers);
        book.interpreters.extend_from_slice(&self.interpreters);
        Ok(book)
    }
}

impl Recipe {
    /// The built-in recipes.
    pub(crate) fn book() -> &'static Book {
        &BOOK
    }
}

fn read(text: &str, origin: &str) -> Result<Book, String> {
    let mut document = Document::read(text);
    let (book, mut findings) = document.make::<Book>();
    if let Some(book) = &book {
        findings.extend(judged(book, &document));
    }
    findings.sort_by_key(Finding::start);
    let lines: Vec<_> = findings.iter().map(|it| said(it, text, origin)).collect();
    match book {
        Some(book) if lines.is_empty() => Ok(book),
        _ => Err(lines.join("\n")),
    }
}

fn said(finding: &Finding, text: &str, origin: &str) -> String {
    let (line, column) = line_and_column(text, finding.start());
    format!("{origin}:{line}:{column}: {}; {}", finding.message, finding.hint)
}

/// What is wrong with recipes that could be read.
fn judged(book: &Book, document: &Document<'_>) -> Vec<Finding> {
    let each = book.recipes.iter().enumerate();
    each.flat_map(|(index, recipe)| {
        let place = document.element(&["recipe"], index);
        let twice = book.recipes[..index].iter().any(|it| it.name == recipe.name);
        let twice = twice.then(|| (format!("`{}` is there twice", recipe.name), NAME.into()));
        let found: Vec<_> = twice.into_iter().chain(problems(recipe)).collect();
        found.into_iter().map(move |problem| at(place.clone(), recipe, problem))
    })
    .collect()
}

const NAME: &str = "give each recipe a name of its own";

fn at(place: Range<usize>, recipe: &Recipe, (message, hint): (String, String)) -> Finding {
    Finding::at(place, format!("recipe `{}`: {message}", recipe.name), hint)
}

/// What is wrong, and what to try.
fn problems(recipe: &Recipe) -> Vec<(String, String)> {
    let texts = [&recipe.arguments, &recipe.always].into_iter().flatten();
    let mut found: Vec<_> =
        texts.chain(recipe.environment.values()).filter_map(|it| command::unknown(it)).collect();
    let mut say = |wrong: bool, message: &str, hint: &str| {
        if wrong {
            found.push((message.to_owned(), hint.to_owned()));
        }
    };
    let values = recipe.environment.values().cloned().collect::<Vec<_>>().concat();
    let names_descriptor = |text: &str| text.contains("{fd}") || text.contains("{fds}");
    say(recipe.name.trim().is_empty(), "the name is missing", NAME);
    say(recipe.programs.is_empty(), "there is no program", "write programs = [\"NAME\"]");
    say(
        recipe.programs.iter().any(|it| it.contains('/')),
        "a program is a file name, without its folder",
        "write programs = [\"NAME\"]",
    );
    say(
        recipe.pass == Way::Fd && !names_descriptor(&recipe.arguments.concat()),
        "no argument says which descriptor it is",
        "write for example arguments = [\"--fd\", \"{fd}\"]",
    );
    say(
        recipe.pass == Way::Env && !names_descriptor(&values),
        "no variable says which descriptor it is",
        "write for example environment = { MY_FD = \"{fd}\" }",
    );
    say(
        recipe.environment.keys().any(|it| it.is_empty() || it.contains(['=', '\0'])),
        "a variable has no name, or one with `=`",
        "write environment = { NAME = \"value\" }",
    );
    say(
        recipe.address.flags().chain(&recipe.address.values).any(|flag| !flag.has_value),
        "a flag of an address has a value",
        "write for example port = [\"--port=\"]",
    );
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_recipes_can_be_read() {
        let book = read(BUILT_IN, "recipes.toml").unwrap_or_else(|problem| panic!("{problem}"));
        assert_eq!(Recipe::book(), &book);
        assert!(book.recipes.len() > 30);
        let last = book.recipes.last().unwrap();
        assert_eq!(last.programs, ["*"], "the last recipe is for whatever has no other");
        let earlier = &book.recipes[..book.recipes.len() - 1];
        assert!(!earlier.iter().any(|it| it.programs.contains(&"*".into())));
    }

    #[test]
    fn every_built_in_recipe_is_explained() {
        let lines: Vec<_> = BUILT_IN.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let explained = at > 0 && lines[at - 1].starts_with("# ");
            assert!(!line.starts_with("[[") || explained, "line {}: {line}", at + 1);
        }
    }

    #[test]
    fn the_users_recipes_come_first_and_replace_those_of_the_same_name() {
        let text = "[[recipe]]\nname = 'uvicorn'\nprograms = ['uvicorn']\nstop = 'INT'\n\
                    [[recipe]]\nname = 'mine'\nprograms = ['shop']\n";
        let book = Recipe::book().with(text, "my.toml").unwrap();
        assert_eq!(book.recipes.len(), Recipe::book().recipes.len() + 1);
        let names: Vec<_> = book.recipes[..2].iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["uvicorn", "mine"]);
        assert_eq!(book.recipes.iter().filter(|it| it.name == "uvicorn").count(), 1);
        assert_eq!(book.launchers, Recipe::book().launchers);
    }

    /// Where the recipe stands in the tests: from line 1 on, with a name and a program.
    fn wrong(lines: &str, expected: &[&str]) {
        let text = format!("[[recipe]]\nname = 'x'\nprograms = ['x']\n{lines}\n");
        let problem = Recipe::book().with(&text, "my.toml").unwrap_err();
        for words in expected {
            assert!(problem.contains(words), "{lines}\n{problem}\nlacks: {words}");
        }
        assert_eq!(problem.lines().count(), 1, "{problem}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_what_to_write() {
        wrong("argument = ['a']", &["my.toml:4:1: ", "did you mean `arguments`?"]);
        wrong("pass = 'fds'", &["my.toml:4:8: ", "fds"]);
        wrong("stop = 'KILL'", &["my.toml:4:8: ", "TERM, INT"]);
        wrong("drop = ['port=']", &["my.toml:4:8: ", "--flag="]);
        wrong("several = 'yes'", &["my.toml:4:11: "]);
        wrong("address = { prot = ['-p='] }", &["my.toml:4:13: ", "did you mean `port`?"]);
        wrong("address = { port = ['-p'] }", &["my.toml:1:1: recipe `x`", "--port="]);
        wrong("pass = 'fd'\narguments = ['--fd']", &["my.toml:1:1: ", "{fd}"]);
        wrong("pass = 'env'\nenvironment = { A = '1' }", &["my.toml:1:1: ", "{fd}"]);
        wrong("always = ['{ports}']", &["`{ports}`", "did you mean `{port}`?"]);
        wrong("environment = { 'A=B' = '1' }", &["variable"]);
        wrong("[[recipe]]\nname = 'x'\nprograms = ['y']", &["my.toml:4:1: ", "there twice"]);
        wrong("[[recipes]]\nname = 'y'", &["my.toml:4:3: ", "did you mean `recipe`?"]);
        wrong("[[launcher]]\nprograms = ['z']\nfork = true", &["did you mean `forks`?"]);
    }

    #[test]
    fn rubbish_is_refused() {
        for rubbish in ["[[recipe", "recipe = 1", "= = =", "[[recipe]]", "\u{0}", "recipe = [1]"] {
            let problem = Recipe::book().with(rubbish, "my.toml").unwrap_err();
            assert!(problem.starts_with("my.toml:1:"), "{rubbish}: {problem}");
        }
        assert_eq!(Recipe::book().with("", "my.toml").as_ref(), Ok(Recipe::book()));
    }
}
