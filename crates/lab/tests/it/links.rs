//! The documents name files and commands that exist.

use std::path::Path;

use crate::workspace::{files, root};

/// The targets of `[text](target)` in a document; what stands in code blocks is not a link.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let mut rest = line;
        while let Some((_, after)) = rest.split_once("](") {
            let Some((target, after)) = after.split_once(')') else { break };
            found.push((index + 1, target.to_owned()));
            rest = after;
        }
    }
    found
}

#[test]
fn every_relative_link_in_the_documents_leads_to_a_file() {
    let mut wrong = Vec::new();
    let documents = files(&root(), ".md");
    assert!(documents.iter().any(|path| path.ends_with("README.md")), "no README.md");
    for document in documents {
        let text = std::fs::read_to_string(&document).unwrap();
        for (line, target) in links(&text) {
            let file = target.split('#').next().unwrap();
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            if !document.parent().unwrap().join(file).exists() {
                wrong.push(format!("{}:{line}: {target}", document.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whether the definitions of the command line, one file of `args` per noun, know this noun and this verb of it.
fn known(noun: &str, verb: Option<&str>) -> bool {
    let args = root().join("crates/cli/src/args");
    let says = |file: &Path, word: &str| {
        let variant = camel(word);
        std::fs::read_to_string(file).is_ok_and(|text| {
            text.lines().map(str::trim_start).any(|line| {
                line.strip_prefix(&variant).is_some_and(|rest| rest.starts_with([',', '(', ' ', '{']))
            })
        })
    };
    // The verbs of `release` stand in release.rs and release_repo.rs.
    let own = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name == format!("{noun}.rs") || name.starts_with(&format!("{noun}_"))
    };
    let own: Vec<_> = files(&args, ".rs").into_iter().filter(own).collect();
    let good = |verb: &str| own.is_empty() || own.iter().any(|path| says(path, verb));
    says(&args.join("mod.rs"), noun) && verb.is_none_or(good)
}

/// `in-use` is the variant `InUse`.
fn camel(word: &str) -> String {
    let upper = |part: &str| part[..1].to_uppercase() + &part[1..];
    word.split('-').filter(|part| !part.is_empty()).map(upper).collect()
}

#[test]
fn every_command_in_the_documents_is_a_command_of_the_program() {
    let is_word = |word: &str| {
        word.len() > 1 && word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-')
    };
    let mut wrong = Vec::new();
    let mut seen = 0;
    for document in files(&root(), ".md") {
        let text = std::fs::read_to_string(&document).unwrap();
        for (index, line) in text.lines().enumerate() {
            // Commands stand in code: after a prompt, at the start of an indented line, or behind a back quote.
            for before in ["`lifeboat ", "$ lifeboat ", "    lifeboat "] {
                for part in line.split(before).skip(1) {
                    let part = part.split('`').next().unwrap();
                    let mut words = part.split_whitespace();
                    let (noun, verb) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                    if !is_word(noun) {
                        continue;
                    }
                    seen += 1;
                    let verbs: Vec<&str> = verb.split('|').filter(|verb| is_word(verb)).collect();
                    let good = known(noun, None) && verbs.iter().all(|verb| known(noun, Some(verb)));
                    if !good {
                        wrong.push(format!(
                            "{}:{}: lifeboat {noun} {verb}",
                            document.strip_prefix(root()).unwrap().display(),
                            index + 1
                        ));
                    }
                }
            }
        }
    }
    assert!(seen > 10, "only {seen} commands were found in the documents");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
