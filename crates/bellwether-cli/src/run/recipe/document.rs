//! docs/recipes.md: its table of the built-in recipes is written from the book.

use std::path::Path;

use super::{Demand, Kind, Recipe};

const BEGIN: &str = "<!-- from crates/bellwether-cli/src/run/recipes.toml: -->\n";
const END: &str = "<!-- end -->";

/// The built-in recipes, a row for each.
fn table() -> String {
    let rows = Recipe::book().recipes.iter().map(row);
    let head = "| recipe | programs | pass | added | left out | stop | serves |\n\
                |---|---|---|---|---|---|---|\n";
    head.chars().chain(rows.flat_map(|it| it.chars().collect::<Vec<_>>())).collect()
}

fn row(recipe: &Recipe) -> String {
    let of = |demand: &Option<Demand>, what| {
        demand.as_ref().map(|it| format!("{what} {}", listed(&it.words)))
    };
    let always = of(&recipe.refuse, "").is_some_and(|it| it.contains('*'));
    let when = if recipe.when.is_empty() {
        String::new()
    } else {
        format!(" with {}", listed(&recipe.when))
    };
    let environment = recipe.environment.iter().map(|(name, value)| format!("{name}={value}"));
    let added = [&recipe.always[..], &recipe.arguments[..]].concat().join(" ");
    let added: Vec<_> = environment.chain([added]).filter(|it| !it.is_empty()).collect();
    let dropped: Vec<_> = recipe.drop.iter().map(|it| it.name.clone()).collect();
    let remarks = [of(&recipe.require, "needs"), of(&recipe.refuse, "not with")];
    let remarks = remarks.into_iter().flatten().map(|it| format!("; {it}")).collect::<String>();
    let kind = match recipe.kind {
        Kind::Serial => "one at a time",
        Kind::Concurrent => "many at once",
        Kind::Auto => "",
    };
    let pass = if always { "refused".into() } else { format!("{}{remarks}", recipe.pass) };
    format!(
        "| {} | {}{when} | {pass} | {} | {} | {} | {kind} |\n",
        recipe.name,
        listed(&recipe.programs),
        listed(&added),
        listed(&dropped),
        recipe.stop,
    )
}

fn listed(words: &[String]) -> String {
    words.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ")
}

#[test]
fn the_document_has_the_table_of_the_built_in_recipes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/recipes.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the mark before the table");
    let (_, after) = rest.split_once(END).expect("the mark after the table");
    let expected = format!("{before}{BEGIN}\n{}\n{END}{after}", table());
    if std::env::var_os("BELLWETHER_WRITE_DOCS").is_some_and(|it| it == "1") {
        std::fs::write(&path, &expected).unwrap();
        return;
    }
    assert!(text == expected, "docs/recipes.md is old; run the tests with BELLWETHER_WRITE_DOCS=1");
}

#[test]
fn the_example_of_the_document_is_a_recipe() {
    let text = include_str!("../../../../../docs/recipes.md");
    let examples: Vec<_> = text.split("```toml\n").skip(1).collect();
    assert!(!examples.is_empty());
    for example in examples {
        let (example, _) = example.split_once("```").unwrap();
        Recipe::book().with(example, "docs/recipes.md").unwrap_or_else(|it| panic!("{it}"));
    }
}

#[test]
fn the_document_names_every_field() {
    let text = include_str!("../../../../../docs/recipes.md");
    let problem = Recipe::book().with("[[recipe]]\nzzzzzzzz = 1", "x").unwrap_err();
    let (_, fields) = problem.split_once("there are ").unwrap();
    let fields = fields.lines().next().unwrap_or_default();
    for field in fields.split(", ") {
        assert!(text.contains(&format!("| `{field}` |")), "{field} is not in docs/recipes.md");
    }
}
