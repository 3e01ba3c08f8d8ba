//! Builds programs with Go, each once per content.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command, time::Instant};

use crate::{
    command::{finish, run},
    config::Size,
    debian,
    error::{At, Error},
    lock::Lock,
    paths::cache,
    progress::Progress,
    tools::{Catalog, Tool},
};

/// Built programs by name.
#[derive(Clone, Debug, Default)]
pub struct Toolbox {
    programs: BTreeMap<String, PathBuf>,
}

impl Toolbox {
    /// Builds what is missing of the programs for a size.
    pub fn for_size(catalog: &Catalog, size: Size, progress: &Progress) -> Result<Self, Error> {
        Self::build(catalog, &catalog.of_size(size), progress)
    }

    /// Builds what is missing of these programs.
    pub fn build(catalog: &Catalog, tools: &[&Tool], progress: &Progress) -> Result<Self, Error> {
        let go = check_go(catalog, tools)?;
        let mut programs = BTreeMap::new();
        // One after the other: a single `go build` already uses every core.
        for tool in tools {
            let path = catalog.binary(tool, &go)?;
            if !path.is_file() {
                build(catalog, tool, &path, progress)?;
            }
            programs.insert(tool.name.clone(), path);
        }
        Ok(Self { programs })
    }

    /// The file of a program.
    pub fn path(&self, name: &str) -> Result<PathBuf, Error> {
        self.programs
            .get(name)
            .cloned()
            .ok_or_else(|| Error::Unknown {
                kind: "tool",
                name: name.to_owned(),
                known: self.programs.keys().cloned().collect::<Vec<_>>().join(", "),
            })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &PathBuf)> {
        self.programs.iter()
    }
}

fn build(catalog: &Catalog, tool: &Tool, path: &PathBuf, progress: &Progress) -> Result<(), Error> {
    let _lock = Lock::acquire(
        cache()
            .join("locks")
            .join(path.file_name().unwrap_or_default()),
    )?;
    if path.is_file() {
        return Ok(()); // Somebody else has built it while we waited.
    }
    if tool.cgo {
        debian::ensure(debian::CGO, progress)?;
    }
    progress.doing(format!(
        "building {} (once; the first program of a module takes minutes)",
        tool.name
    ));
    let started = Instant::now();
    let part = path.with_file_name(format!(
        ".{}.part",
        path.file_name().unwrap_or_default().display()
    ));
    fs::create_dir_all(cache().join("bin")).at("make the folder", cache().join("bin"))?;
    let mut go = Command::new("go");
    go.args(["build", "-buildvcs=false", "-trimpath"])
        .arg(format!("-tags={}", tool.tags.join(",")))
        .arg(format!("-ldflags={}", tool.ldflags))
        .arg("-o")
        .arg(&part)
        .arg(&tool.package)
        .current_dir(catalog.module(tool))
        .env("CGO_ENABLED", if tool.cgo { "1" } else { "0" })
        .env("GOTOOLCHAIN", "local")
        // A tenth of a compiler's work is collecting garbage, for which memory can be had instead.
        .env("GOGC", "400")
        .env("GOFLAGS", "")
        .env("GOWORK", "off");
    finish(&mut go)?;
    // Only a finished program gets the name that others look for.
    fs::rename(&part, path).at("rename to", path)?;
    progress.done(format!(
        "{} built in {:.1} s",
        tool.name,
        started.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// The version of Go, as in `go1.26.8`, if it is new enough for all of these programs.
fn check_go(catalog: &Catalog, tools: &[&Tool]) -> Result<String, Error> {
    let mut needed = String::from("1.0");
    for tool in tools {
        let version = catalog.go_version(tool)?;
        if numbers(&version) > numbers(&needed) {
            needed = version;
        }
    }
    // In the module's folder a newer toolchain could be chosen and downloaded; `local` asks the installed one.
    let mut go = Command::new("go");
    go.arg("version").env("GOTOOLCHAIN", "local");
    let Ok(text) = finish(&mut go) else {
        return Err(Error::Go {
            found: "there is no program `go` in PATH".into(),
            needed,
        });
    };
    let version = text
        .split_whitespace()
        .nth(2)
        .unwrap_or_default()
        .to_owned();
    if numbers(version.trim_start_matches("go")) < numbers(&needed) {
        return Err(Error::Go {
            found: format!("the one in PATH is {version}"),
            needed,
        });
    }
    Ok(version)
}

/// `1.26.8` as numbers; a release candidate counts as its release.
fn numbers(version: &str) -> Vec<u32> {
    let digits = |part: &str| {
        part.chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>()
    };
    let mut all: Vec<u32> = version
        .split('.')
        .filter_map(|part| digits(part).parse().ok())
        .collect();
    all.resize(3, 0);
    all
}

/// The path of `kubectl` to use outside of a lab: ours if it can be built, else the one in PATH.
pub fn kubectl(catalog: &Catalog, progress: &Progress) -> Result<PathBuf, Error> {
    if run("kubectl", &["version", "--client"]).is_ok() {
        return Ok(PathBuf::from("kubectl"));
    }
    let tool = catalog.named("kubectl")?;
    Toolbox::build(catalog, &[tool], progress)?.path("kubectl")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(numbers("1.26.8") > numbers("1.26"));
        assert!(numbers("1.9") < numbers("1.26.0"));
        assert_eq!(numbers("1.26"), numbers("1.26.0"));
        assert_eq!(numbers("1.27rc1"), numbers("1.27.0"));
    }
}
