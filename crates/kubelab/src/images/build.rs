//! Builds images once per content.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{archive, reference};
use crate::{
    build::Toolbox,
    command::tail,
    debian,
    error::{At, Ended, Error},
    hex::short,
    lock::Lock,
    paths::{cache, checkout},
    progress::Progress,
    tools::Catalog,
};

/// The variable that says which profile of cargo the servers in images are built with: `release`, or `dev` in tests (images/lib/common.sh).
const PROFILE: &str = "DEVSERVER_IMAGE_PROFILE";

/// A built image.
#[derive(Clone, Debug)]
pub struct Archive {
    /// Its short name.
    pub name: String,
    /// The docker-archive.
    pub path: PathBuf,
    /// The image's id (`sha256:…`).
    pub id: String,
}

/// The names of all images of the checkout.
pub fn known() -> Result<Vec<String>, Error> {
    let folder = checkout()?.join("images");
    let entries = fs::read_dir(&folder).at("list", &folder)?.flatten();
    let images = entries.filter(|entry| entry.path().join("build.sh").is_file());
    let mut names: Vec<String> = images
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}

/// Builds what is missing of these images.
pub fn build(
    catalog: &Catalog,
    names: &[String],
    progress: &Progress,
) -> Result<Vec<Archive>, Error> {
    names
        .iter()
        .map(|name| build_one(catalog, name, progress))
        .collect()
}

fn build_one(catalog: &Catalog, name: &str, progress: &Progress) -> Result<Archive, Error> {
    let known = known()?;
    if !known.iter().any(|known| known == name) {
        return Err(Error::Unknown {
            kind: "image",
            name: name.to_owned(),
            known: known.join(", "),
        });
    }
    let root = checkout()?;
    let folder = root.join("images").join(name);
    // Programs from `tools/` that go into the image must be in the cache, where its build.sh looks for them.
    let needed = lines(&folder.join("tools"));
    let tools: Vec<_> = needed
        .iter()
        .map(|tool| catalog.named(tool))
        .collect::<Result<_, _>>()?;
    let tools = if tools.is_empty() {
        Toolbox::default()
    } else {
        Toolbox::build(catalog, &tools, progress)?
    };
    let profile = env::var(PROFILE).unwrap_or_default();
    let key = key(&root, &folder, name, &tools, &profile)?;
    let path = cache().join("images").join(format!("{name}-{key}.tar"));
    let id_path = path.with_extension("id");
    if !path.is_file() || !id_path.is_file() {
        let _lock = Lock::acquire(cache().join("locks").join(format!("image-{name}-{key}")))?;
        if !path.is_file() || !id_path.is_file() {
            let packages = lines(&root.join("images/packages"));
            let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
            debian::ensure(&packages, progress)?;
            make(&folder, name, &path, &id_path, &tools, progress)?;
        }
    }
    let id = fs::read_to_string(&id_path)
        .at("read", &id_path)?
        .trim()
        .to_owned();
    Ok(Archive {
        name: name.to_owned(),
        path,
        id,
    })
}

fn make(
    folder: &Path,
    name: &str,
    path: &Path,
    id_path: &Path,
    tools: &Toolbox,
    progress: &Progress,
) -> Result<(), Error> {
    let started = Instant::now();
    progress.doing(format!("building image {name}"));
    let work = path.with_extension("part");
    let _ = fs::remove_dir_all(&work); // of a build that was interrupted
    fs::create_dir_all(&work).at("make the folder", &work)?;
    let result = run_script(folder, name, &work, tools).and_then(|()| {
        let config_path = folder.join("image.json");
        let text = fs::read(&config_path).at("read", &config_path)?;
        let config: Value = serde_json::from_slice(&text).map_err(|error| Error::Content {
            path: config_path,
            why: error.to_string(),
        })?;
        let part = work.join("image.tar");
        let mut out = File::create(&part).at("write", &part)?;
        let id = archive::write(
            &mut out,
            &work.join("rootfs.tar"),
            &config,
            &reference(name),
        )
        .at("write", &part)?;
        let id_part = work.join("id");
        fs::write(&id_part, id).at("write", &id_part)?;
        fs::rename(&part, path).at("rename to", path)?;
        fs::rename(&id_part, id_path).at("rename to", id_path)
    });
    let _ = fs::remove_dir_all(&work);
    result?;
    progress.done(format!(
        "image {name} built in {:.1} s",
        started.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// Runs build.sh. Its words go to a log beside the result, and into the error if it fails.
fn run_script(folder: &Path, name: &str, work: &Path, tools: &Toolbox) -> Result<(), Error> {
    let log_path = cache().join("images").join(format!("{name}.log"));
    let log = File::create(&log_path).at("write", &log_path)?;
    let copy = log.try_clone().at("write", &log_path)?;
    let script = folder.join("build.sh");
    let mut command = Command::new(&script);
    command
        .arg(work)
        .env("DEVSERVER_CACHE", cache())
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(copy);
    for (tool, path) in tools.iter() {
        command.env(variable(tool), path);
    }
    let failed = |status, output| Error::Command {
        command: script.display().to_string(),
        status,
        output,
    };
    let status = command
        .status()
        .map_err(|error| failed(Ended::NotStarted(error), String::new()))?;
    if status.success() {
        return Ok(());
    }
    let words = fs::read(&log_path).unwrap_or_default();
    Err(failed(
        Ended::With(status),
        tail(&String::from_utf8_lossy(&words), 20),
    ))
}

/// `KUBELAB_TOOL_COREDNS` tells build.sh where the built program is.
fn variable(tool: &str) -> String {
    format!("KUBELAB_TOOL_{}", tool.to_uppercase().replace('-', "_"))
}

/// Sixteen digits that change with every input: the files that `inputs` lists, the image's folder, the programs, and for what cargo builds
/// the profile, where it is not `release`.
fn key(
    root: &Path,
    folder: &Path,
    name: &str,
    tools: &Toolbox,
    profile: &str,
) -> Result<String, Error> {
    let mut hash = Sha256::new();
    let own = format!("images/{name}");
    let inputs = lines(&folder.join("inputs"));
    for input in std::iter::once(&own).chain(&inputs) {
        let mut files = Vec::new();
        collect(&root.join(input), &mut files)?;
        files.sort();
        for file in files {
            hash.update(
                file.strip_prefix(root)
                    .unwrap_or(&file)
                    .to_string_lossy()
                    .as_bytes(),
            );
            hash.update([0]);
            hash.update(Sha256::digest(fs::read(&file).at("read", &file)?));
        }
    }
    let compiled = inputs.iter().any(|input| input == "Cargo.toml");
    if compiled && !matches!(profile, "" | "release") {
        hash.update(profile);
    }
    for (_, path) in tools.iter() {
        // The name in the cache holds the hash of what the program was built from.
        hash.update(
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .as_bytes(),
        );
    }
    Ok(short(&hash.finalize()))
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    if !path.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    for entry in fs::read_dir(path).at("list", path)? {
        let entry = entry.at("list", path)?;
        // Neither build output nor a page for people is an input of an image.
        let page = entry
            .path()
            .extension()
            .is_some_and(|extension| extension == "md");
        if entry.file_name() != "target" && !page {
            collect(&entry.path(), files)?;
        }
    }
    Ok(())
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(String::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_of_cargo_names_other_images_of_programs_and_the_same_of_packages() {
        let root = tempfile::tempdir().unwrap();
        let folder = |image: &str, inputs: &str| {
            let folder = root.path().join("images").join(image);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("inputs"), inputs).unwrap();
            folder
        };
        fs::write(root.path().join("Cargo.toml"), "[workspace]").unwrap();
        let (server, packages) = (folder("server", "Cargo.toml\n"), folder("packages", ""));
        let of = |folder: &Path, profile: &str| {
            let name = folder.file_name().unwrap().to_str().unwrap();
            key(root.path(), folder, name, &Toolbox::default(), profile).unwrap()
        };
        assert_ne!(of(&server, "dev"), of(&server, "release"));
        assert_eq!(of(&server, ""), of(&server, "release"));
        assert_eq!(of(&packages, "dev"), of(&packages, ""));
    }
}
