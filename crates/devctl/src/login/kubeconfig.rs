//! The kubeconfig: one cluster, user and context more, or in place of those of the same name. All else stays as it is.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use devserver_api::signpost::KubernetesPlace;
use serde_json::{Value, json};

use crate::{
    exit::Exit,
    failure::{Failure, Outcome},
    files,
    output::{self, Format},
};

/// A login to be written.
pub struct Entry<'a> {
    /// Name of context, cluster and user.
    pub name: &'a str,
    /// The cluster.
    pub place: &'a KubernetesPlace,
    /// Namespace of the context.
    pub namespace: Option<&'a str>,
    /// Program that gives tokens.
    pub command: String,
    /// Its arguments.
    pub arguments: Vec<String>,
}

impl Entry<'_> {
    fn cluster(&self) -> Value {
        let mut cluster = json!({"server": self.place.server});
        if let Some(data) = &self.place.certificate_authority_data {
            cluster = json!({"server": self.place.server, "certificate-authority-data": data});
        }
        cluster
    }

    fn user(&self) -> Value {
        json!({"exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": self.command,
            "args": self.arguments,
            "interactiveMode": "Never",
            "installHint": "devctl is not where it was when you logged in; install it, and run `devctl login` again",
        }})
    }

    fn context(&self) -> Value {
        let mut context = json!({"cluster": self.name, "user": self.name});
        if let (Some(namespace), Some(map)) = (self.namespace, context.as_object_mut()) {
            map.insert("namespace".to_owned(), json!(namespace));
        }
        context
    }
}

/// The kubeconfig with the login, which becomes the current one.
pub fn with(kubeconfig: Option<Value>, entry: &Entry<'_>) -> Outcome<Value> {
    let mut whole = kubeconfig
        .filter(|value| !value.is_null())
        .unwrap_or_else(|| json!({"apiVersion": "v1", "kind": "Config"}));
    for (list, key, value) in [
        ("clusters", "cluster", entry.cluster()),
        ("users", "user", entry.user()),
        ("contexts", "context", entry.context()),
    ] {
        put(&mut whole, list, json!({"name": entry.name, key: value}))?;
    }
    current(&mut whole, entry.name)?;
    Ok(whole)
}

/// Makes it the current context.
pub fn current(kubeconfig: &mut Value, name: &str) -> Outcome {
    let whole = kubeconfig
        .as_object_mut()
        .ok_or_else(|| broken("it is no mapping"))?;
    whole.insert("current-context".to_owned(), json!(name));
    Ok(())
}

fn put(whole: &mut Value, list: &str, entry: Value) -> Outcome {
    let map = whole
        .as_object_mut()
        .ok_or_else(|| broken("it is no mapping"))?;
    let all = map.entry(list).or_insert_with(|| json!([]));
    if all.is_null() {
        *all = json!([]);
    }
    let all = all
        .as_array_mut()
        .ok_or_else(|| broken("clusters, users and contexts must be lists"))?;
    match all
        .iter_mut()
        .find(|known| known.get("name") == entry.get("name"))
    {
        Some(known) => *known = entry,
        None => all.push(entry),
    }
    Ok(())
}

fn broken(why: &str) -> Failure {
    Failure::new(Exit::Error, "failed to understand the kubeconfig").because(why)
}

/// The file to change: the one that has the context, else the first of the list, as kubectl chooses.
pub fn file(list: Option<&OsStr>, context: &str) -> Outcome<PathBuf> {
    let paths: Vec<PathBuf> = match list.filter(|list| !list.is_empty()) {
        Some(list) => std::env::split_paths(list)
            .filter(|p| !p.as_os_str().is_empty())
            .collect(),
        None => vec![files::home()?.join(".kube/config")],
    };
    let has = |path: &&PathBuf| {
        let found = read(path).ok().flatten();
        found.is_some_and(|value| {
            let contexts = value.get("contexts").and_then(Value::as_array);
            contexts.is_some_and(|all| {
                all.iter()
                    .any(|known| known.get("name").is_some_and(|name| name == context))
            })
        })
    };
    let chosen = paths.iter().find(has).or_else(|| paths.first());
    let chosen = chosen.ok_or_else(|| Failure::usage("the list of kubeconfig files is empty"))?;
    let chosen = files::absolute(chosen)?;
    // What is a link to where somebody keeps it stays one.
    Ok(fs::canonicalize(&chosen).unwrap_or(chosen))
}

fn read(path: &Path) -> Outcome<Option<Value>> {
    let what = || format!("failed to read {}", path.display());
    match fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => Ok(None),
        Ok(text) => serde_saphyr::from_str(&text)
            .map(Some)
            .map_err(|e| Failure::new(Exit::Error, what()).because(e)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Failure::io(what(), &e)),
    }
}

/// Changes the file, whole or not at all, and not while another program does (kubectl's own lock).
pub fn change(path: &Path, change: impl FnOnce(Option<Value>) -> Outcome<Value>) -> Outcome {
    let _lock = Lock::take(path)?;
    let text = output::structured(&change(read(path)?)?, Format::Yaml)?;
    files::write_private(path, &text)
}

struct Lock(PathBuf);

impl Lock {
    fn take(path: &Path) -> Outcome<Self> {
        if let Some(folder) = path.parent() {
            files::make_private_dir(folder)?;
        }
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let lock = PathBuf::from(name);
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&lock)
            .map_err(|e| {
                Failure::io(format!("failed to lock {}", path.display()), &e).remedy(format!(
                    "try again; if no other program is changing it, remove {}",
                    lock.display()
                ))
            })?;
        Ok(Self(lock))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Nothing can be done; the next one says how to go on.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> KubernetesPlace {
        KubernetesPlace {
            server: "https://api.example.com:6443".into(),
            certificate_authority_data: Some("LS0t".into()),
        }
    }

    fn entry(place: &KubernetesPlace) -> Entry<'_> {
        Entry {
            name: "console.example.com",
            place,
            namespace: Some("dev-alice"),
            command: "devctl".into(),
            arguments: vec!["credential".into()],
        }
    }

    #[test]
    fn what_was_there_stays_and_a_second_login_takes_the_place_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let old = "apiVersion: v1\nkind: Config\ncurrent-context: work\npreferences: {colors: true}\n\
                   clusters: [{name: work, cluster: {server: 'https://w', x-own: 1}}]\nusers: null\n";
        fs::write(&path, old).unwrap();
        let place = place();
        for _ in 0..2 {
            change(&path, |was| with(was, &entry(&place))).unwrap();
        }
        let now = read(&path).unwrap().unwrap();
        assert_eq!(now["preferences"], json!({"colors": true}));
        assert_eq!(now["clusters"][0]["cluster"]["x-own"], 1);
        assert_eq!(now["clusters"].as_array().unwrap().len(), 2);
        assert_eq!(now["users"].as_array().unwrap().len(), 1);
        assert_eq!(now["current-context"], "console.example.com");
        let known = kube::config::Kubeconfig::read_from(&path).unwrap();
        let exec = known.auth_infos[0].auth_info.clone().unwrap().exec.unwrap();
        assert_eq!(exec.command.as_deref(), Some("devctl"));
        assert_eq!(
            exec.api_version.as_deref(),
            Some("client.authentication.k8s.io/v1")
        );
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "a lock or a part is left");
    }

    #[test]
    fn a_file_that_somebody_changes_or_that_is_none_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let place = place();
        for (text, locked) in [("- a list", false), ("a: {", false), ("kind: Config", true)] {
            fs::write(&path, text).unwrap();
            if locked {
                fs::write(folder.path().join("config.lock"), "").unwrap();
            }
            change(&path, |was| with(was, &entry(&place))).unwrap_err();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn the_file_that_has_the_context_is_changed_and_a_link_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second, link) = (
            folder.path().join("a"),
            folder.path().join("b"),
            folder.path().join("l"),
        );
        fs::write(&first, "contexts: []").unwrap();
        fs::write(&second, "contexts: [{name: here}]").unwrap();
        std::os::unix::fs::symlink(&second, &link).unwrap();
        let list = std::env::join_paths([&first, &link]).unwrap();
        assert_eq!(
            file(Some(&list), "here").unwrap(),
            fs::canonicalize(&second).unwrap()
        );
        assert_eq!(
            file(Some(&list), "new").unwrap(),
            fs::canonicalize(&first).unwrap()
        );
        change(&file(Some(&list), "here").unwrap(), |was| {
            with(was, &entry(&place()))
        })
        .unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
