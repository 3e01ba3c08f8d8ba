//! The programs of a lab as `tools/tools.toml` lists them, and the names they have in the cache.

use std::{
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{
    config::Size,
    error::{At, Error},
    hex::short,
    paths::cache,
};

/// One program.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// Its name, also of the file in the cache.
    pub name: String,
    /// The folder below `tools/` with the go.mod that pins it.
    pub module: String,
    /// What to build.
    pub package: String,
    /// Whether it needs a C compiler.
    pub cgo: bool,
    /// Build tags.
    pub tags: Vec<String>,
    /// Linker flags.
    pub ldflags: String,
    /// The sizes of labs that need it.
    pub sizes: Vec<Size>,
}

/// All programs, in the order that makes the best of Go's build cache.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// The folder `tools/`.
    folder: PathBuf,
    tools: Vec<Tool>,
}

impl Catalog {
    /// Reads the catalog of a checkout.
    pub fn read(checkout: &Path) -> Result<Self, Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Document {
            tool: Vec<Tool>,
        }
        let folder = checkout.join("tools");
        let path = folder.join("tools.toml");
        let text = fs::read_to_string(&path).at("read", &path)?;
        let document: Document = toml::from_str(&text).map_err(|error| Error::Content {
            path,
            why: error.to_string(),
        })?;
        Ok(Self {
            folder,
            tools: document.tool,
        })
    }

    /// The programs that a lab of this size needs.
    pub fn of_size(&self, size: Size) -> Vec<&Tool> {
        self.tools
            .iter()
            .filter(|tool| tool.sizes.contains(&size))
            .collect()
    }

    /// The programs of these names and sizes, in the order of the catalog; all when neither is given.
    pub fn wanted(&self, names: &[String], sizes: &[Size]) -> Result<Vec<&Tool>, Error> {
        for name in names {
            self.named(name)?;
        }
        let all = names.is_empty() && sizes.is_empty();
        let is_wanted = |tool: &&Tool| {
            all || names.contains(&tool.name) || sizes.iter().any(|size| tool.sizes.contains(size))
        };
        Ok(self.tools.iter().filter(is_wanted).collect())
    }

    /// The program of this name.
    pub fn named(&self, name: &str) -> Result<&Tool, Error> {
        self.tools
            .iter()
            .find(|tool| tool.name == name)
            .ok_or_else(|| Error::Unknown {
                kind: "tool",
                name: name.to_owned(),
                known: self
                    .tools
                    .iter()
                    .map(|tool| tool.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }

    /// The folder of a program's module.
    pub fn module(&self, tool: &Tool) -> PathBuf {
        self.folder.join(&tool.module)
    }

    /// The version of Go that a program's module asks for.
    pub fn go_version(&self, tool: &Tool) -> Result<String, Error> {
        let path = self.module(tool).join("go.mod");
        let text = fs::read_to_string(&path).at("read", &path)?;
        let version = text
            .lines()
            .find_map(|line| line.strip_prefix("go "))
            .map(|version| version.trim().to_owned());
        version.ok_or(Error::Content {
            path,
            why: "it has no line `go <version>`".into(),
        })
    }

    /// The sixteen digits that name exactly this program built by this Go: everything that can change its bytes.
    /// The recipe is written down in tools/README.md.
    pub fn hash(&self, tool: &Tool, go: &str) -> Result<String, Error> {
        let module = self.module(tool);
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update(bytes);
            hash.update(b"\n");
        };
        part(go.as_bytes());
        for file in ["go.mod", "go.sum"] {
            let path = module.join(file);
            part(&fs::read(&path).at("read", &path)?);
        }
        let mut sources = Vec::new();
        go_files(&module, &mut sources)?;
        // By bytes, not by path components, as the recipe says.
        sources.sort_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
        for path in sources {
            part(
                path.strip_prefix(&module)
                    .unwrap_or(&path)
                    .as_os_str()
                    .as_bytes(),
            );
            part(&fs::read(&path).at("read", &path)?);
        }
        part(tool.package.as_bytes());
        part(if tool.cgo { b"true" } else { b"false" });
        part(tool.tags.join(",").as_bytes());
        part(tool.ldflags.as_bytes());
        Ok(short(&hash.finalize()))
    }

    /// Where the program is in the cache, whether it has been built or not.
    pub fn binary(&self, tool: &Tool, go: &str) -> Result<PathBuf, Error> {
        Ok(cache()
            .join("bin")
            .join(format!("{}-{}", tool.name, self.hash(tool, go)?)))
    }
}

fn go_files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), Error> {
    for entry in fs::read_dir(folder).at("list", folder)? {
        let path = entry.at("list", folder)?.path();
        if path.is_dir() {
            go_files(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "go") {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> (tempfile::TempDir, Catalog) {
        let dir = tempfile::tempdir().unwrap();
        let module = dir.path().join("tools/m");
        fs::create_dir_all(module.join("own")).unwrap();
        fs::write(module.join("go.mod"), "module m\n\ngo 1.26.0\n").unwrap();
        fs::write(module.join("go.sum"), "sum\n").unwrap();
        fs::write(module.join("own/main.go"), "package main\n").unwrap();
        fs::write(
            dir.path().join("tools/tools.toml"),
            "[[tool]]\nname='t'\nmodule='m'\npackage='./own'\ncgo=true\ntags=['a','b']\nldflags='-s'\nsizes=['node']\n",
        )
        .unwrap();
        let catalog = Catalog::read(dir.path()).unwrap();
        (dir, catalog)
    }

    #[test]
    fn the_hash_is_the_one_of_the_recipe_in_the_readme() {
        let (_dir, catalog) = catalog();
        let parts = "go1.26.8\nmodule m\n\ngo 1.26.0\n\nsum\n\nown/main.go\npackage main\n\n./own\ntrue\na,b\n-s\n";
        let digits = short(&Sha256::digest(parts));
        assert_eq!(
            catalog
                .hash(catalog.named("t").unwrap(), "go1.26.8")
                .unwrap(),
            digits
        );
    }

    #[test]
    fn an_edited_source_file_gives_another_name() {
        let (dir, catalog) = catalog();
        let tool = catalog.named("t").unwrap();
        let before = catalog.hash(tool, "go1.26.8").unwrap();
        fs::write(
            dir.path().join("tools/m/own/main.go"),
            "package main // edited\n",
        )
        .unwrap();
        assert_ne!(catalog.hash(tool, "go1.26.8").unwrap(), before);
    }

    #[test]
    fn only_what_a_size_needs_is_listed_and_unknown_names_are_explained() {
        let (_dir, catalog) = catalog();
        assert_eq!(catalog.of_size(Size::Node).len(), 1);
        assert!(catalog.of_size(Size::ControlPlane).is_empty());
        assert_eq!(
            catalog.go_version(catalog.named("t").unwrap()).unwrap(),
            "1.26.0"
        );
        assert!(
            catalog
                .named("x")
                .unwrap_err()
                .to_string()
                .contains("there are: t")
        );
    }

    #[test]
    fn names_and_sizes_add_up_and_without_any_all_are_wanted() {
        let (_dir, catalog) = catalog();
        let count = |names: &[&str], sizes: &[Size]| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            catalog.wanted(&names, sizes).map(|wanted| wanted.len())
        };
        assert_eq!(count(&[], &[]).unwrap(), 1);
        assert_eq!(count(&["t"], &[Size::Node]).unwrap(), 1);
        assert_eq!(count(&[], &[Size::ControlPlane]).unwrap(), 0);
        assert!(count(&["x"], &[Size::Node]).is_err());
    }
}
