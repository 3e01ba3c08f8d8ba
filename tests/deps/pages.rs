//! Every page is in the book, and every link between pages leads somewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};

/// The checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Pages of the project by their paths, committed or about to be.
fn pages() -> anyhow::Result<BTreeMap<PathBuf, String>> {
    let listed = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "--",
            "*.md",
        ])
        .current_dir(root())
        .output()
        .context("failed to run git")?;
    let mut pages = BTreeMap::new();
    for name in String::from_utf8(listed.stdout)?.lines() {
        // One that was removed and not yet committed is listed as well.
        if let Ok(text) = std::fs::read_to_string(root().join(name)) {
            pages.insert(PathBuf::from(name), text);
        }
    }
    ensure!(pages.len() > 30, "only {} pages were found", pages.len());
    Ok(pages)
}

/// Lines that are no code, without what stands in backticks.
fn prose(text: &str) -> Vec<String> {
    let mut code = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            code = !code;
        } else if !code {
            lines.push(line.split('`').step_by(2).collect::<Vec<_>>().join("`"));
        }
    }
    lines
}

/// Targets of links and pictures.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(text) {
        for rest in line.split("](").skip(1) {
            if let Some(target) = rest.split(')').next() {
                found.push(target.split(" \"").next().unwrap_or(target).to_owned());
            }
        }
    }
    found
}

/// Names by which headings are reached, as GitHub and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut code = false;
    for line in text.lines() {
        if line.starts_with("```") {
            code = !code;
        }
        let heading = line.trim_start_matches('#');
        if code || heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let slug: String = heading
            .trim()
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let mut name = slug.clone();
        let mut again = 0;
        while !found.insert(name.clone()) {
            again += 1;
            name = format!("{slug}-{again}");
        }
    }
    found
}

/// `a/../b` as `b`; nothing when it leads out of the checkout.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name),
            Component::ParentDir if !parts.pop() => return None,
            _ => {}
        }
    }
    Some(parts)
}

/// What is wrong with a link, if anything.
fn fault(pages: &BTreeMap<PathBuf, String>, page: &Path, link: &str) -> Option<String> {
    if ["https://", "http://", "mailto:"]
        .iter()
        .any(|s| link.starts_with(s))
    {
        return None;
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if path.is_empty() {
        page.to_path_buf()
    } else {
        let folder = page.parent().unwrap_or(Path::new(""));
        match plain(&folder.join(path)) {
            Some(target) => target,
            None => return Some(format!("{link} leads out of the repository")),
        }
    };
    if !root().join(&target).exists() {
        return Some(format!("{link}: there is no {}", target.display()));
    }
    let is_there = anchor.is_empty()
        || pages
            .get(&target)
            .is_none_or(|text| anchors(text).contains(anchor));
    (!is_there).then(|| format!("{link}: {} has no such heading", target.display()))
}

#[test]
fn every_link_between_pages_leads_to_a_page_and_a_heading() -> anyhow::Result<()> {
    let pages = pages()?;
    let mut faults = Vec::new();
    let mut count = 0;
    for (page, text) in &pages {
        for link in links(text) {
            count += 1;
            if let Some(fault) = fault(&pages, page, &link) {
                faults.push(format!("{}: {fault}", page.display()));
            }
        }
    }
    ensure!(count > 100, "only {count} links were found");
    ensure!(
        faults.is_empty(),
        "links that lead nowhere:\n{}",
        faults.join("\n")
    );
    Ok(())
}

#[test]
fn every_page_of_docs_is_in_the_book_once() -> anyhow::Result<()> {
    let pages = pages()?;
    let summary = Path::new("docs/SUMMARY.md");
    let listed = links(pages.get(summary).context("there is no docs/SUMMARY.md")?);
    let mut left: BTreeSet<PathBuf> = pages
        .keys()
        .filter(|page| page.starts_with("docs") && *page != summary)
        .cloned()
        .collect();
    for link in &listed {
        let page = Path::new("docs").join(link);
        ensure!(
            left.remove(&page),
            "docs/SUMMARY.md lists {link}, which is listed twice or not there"
        );
    }
    ensure!(
        left.is_empty(),
        "docs/SUMMARY.md does not list {left:?}: nobody would find them in the book"
    );
    Ok(())
}

#[test]
fn commands_that_are_marked_as_run_are_on_pages_that_are_run() -> anyhow::Result<()> {
    let scripts = [("sh", "docs/start-cluster.md"), ("console", "README.md")];
    for (page, text) in &pages()? {
        for (mark, run) in scripts {
            let is_marked = text.lines().any(|line| line.trim() == format!("```{mark}"));
            ensure!(
                !is_marked || page == Path::new(run),
                "{}: nobody runs its blocks; mark them as bash, not {mark}",
                page.display()
            );
        }
    }
    Ok(())
}

#[test]
fn a_link_that_leads_nowhere_is_noticed() {
    let text = "# One `two`, three!\n# Same\n# Same\n[a](b.md#one-two-three) `[not](this.md)`\n```\n[nor](this.md)\n```\n![c](d.png)\n";
    assert_eq!(links(text), ["b.md#one-two-three", "d.png"]);
    let names: Vec<String> = anchors(text).into_iter().collect();
    assert_eq!(names, ["one-two-three", "same", "same-1"]);
    let pages = BTreeMap::from([(PathBuf::from("README.md"), text.to_owned())]);
    let told = |link: &str| fault(&pages, Path::new("README.md"), link);
    assert_eq!(told("https://example.com/x"), None);
    assert_eq!(told("#same-1"), None);
    assert_eq!(told("docs/../README.md#same"), None);
    assert!(told("#other").is_some());
    assert!(told("docs/no-such-page.md").is_some());
    assert!(told("../elsewhere.md").is_some());
}
