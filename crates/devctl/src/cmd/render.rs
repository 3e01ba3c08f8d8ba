//! `devctl render`: the objects a DevServer becomes, decided by the same code as in the operator, without a cluster.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use devserver_api::{DevServer, DevServerFlavor, group};
use devserver_core::{Platform, References, desired, resolve};
use kube::ResourceExt as _;
use serde_json::Value;

use crate::{
    args::Render,
    exit::Exit,
    failure::{Failure, Outcome},
    output::{self, Format},
};

/// Stands where the API server would put a UID.
const NO_UID: &str = "00000000-0000-0000-0000-000000000000";

/// Prints the objects of every DevServer in the files.
pub fn run(args: &Render) -> Outcome<Exit> {
    let mut input = Input::default();
    for file in args.files.iter().chain(&args.flavor_file) {
        input.read(file)?;
    }
    if input.servers.is_empty() {
        return Err(Failure::usage("the files hold no DevServer").because(names(&args.files)));
    }
    let references = References {
        flavors: input.flavors,
        ..References::default()
    };
    let platform = match &args.platform_file {
        Some(file) => platform(file)?,
        None => Platform::default(),
    };
    let mut objects = Vec::new();
    for server in &mut input.servers {
        objects.extend(render(server, &references, &platform)?);
    }
    match args.output.as_str() {
        "name" => {
            for object in &objects {
                output::say(&format!(
                    "{}/{}",
                    word(object, "/kind").to_lowercase(),
                    word(object, "/metadata/name")
                ))?;
            }
        }
        "json" => output::print(&output::structured(&output::list(&objects), Format::Json)?)?,
        _ => {
            for object in &objects {
                output::print(&format!(
                    "---\n{}",
                    output::structured(object, Format::Yaml)?
                ))?;
            }
        }
    }
    Ok(Exit::Ok)
}

#[derive(Default)]
struct Input {
    servers: Vec<DevServer>,
    flavors: Vec<DevServerFlavor>,
}

impl Input {
    fn read(&mut self, file: &Path) -> Outcome {
        let shown = file.display();
        let text = text(file).map_err(|e| Failure::io(format!("failed to read {shown}"), &e))?;
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text)
            .map_err(|e| Failure::new(Exit::Invalid, format!("{shown} is not YAML")).because(e))?;
        for document in documents.into_iter().filter(|d| !d.is_null()) {
            let (version, kind) = (
                word(&document, "/apiVersion").to_owned(),
                word(&document, "/kind").to_owned(),
            );
            let wrong = |e: serde_json::Error| {
                Failure::new(Exit::Invalid, format!("a {kind} in {shown} is not valid")).because(e)
            };
            match (version.as_str(), kind.as_str()) {
                (group::API_VERSION, "DevServer") => self
                    .servers
                    .push(serde_json::from_value(document).map_err(wrong)?),
                (group::API_VERSION, "DevServerFlavor") => self
                    .flavors
                    .push(serde_json::from_value(document).map_err(wrong)?),
                // Examples hold them next to each other; a user becomes no objects of a DevServer.
                (group::API_VERSION, "DevServerUser") => {}
                _ => {
                    return Err(Failure::new(
                        Exit::Invalid,
                        format!("{shown} holds a '{kind}' of '{version}'"),
                    )
                    .remedy(
                        "only DevServers and DevServerFlavors of devserver.io/v1 can be rendered",
                    ));
                }
            }
        }
        Ok(())
    }
}

fn platform(file: &Path) -> Outcome<Platform> {
    let shown = file.display();
    let text = text(file).map_err(|e| Failure::io(format!("failed to read {shown}"), &e))?;
    Platform::parse(&text)
        .map_err(|e| Failure::new(Exit::Invalid, format!("{shown} cannot be used")).because(e))
}

fn text(file: &Path) -> std::io::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(file)
}

fn render(
    server: &mut DevServer,
    references: &References,
    platform: &Platform,
) -> Outcome<Vec<Value>> {
    server
        .metadata
        .namespace
        .get_or_insert_with(|| "default".to_owned());
    server.metadata.uid.get_or_insert_with(|| NO_UID.to_owned());
    let environment = resolve(server, references, platform).map_err(|invalid| {
        Failure::new(
            Exit::Invalid,
            format!("DevServer '{}' is not valid", server.name_any()),
        )
        .because(invalid)
    })?;
    Ok(desired(&environment)
        .iter()
        .map(devserver_core::Object::to_value)
        .collect())
}

fn word<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn names(files: &[PathBuf]) -> String {
    files
        .iter()
        .map(|f| f.display().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}
