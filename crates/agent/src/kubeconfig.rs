//! Gives the login user a kubeconfig and the token it names. The kubelet renews the token where nobody but root can read it, or
//! may leave it readable to root alone; a copy is put beside the kubeconfig whenever it changes, so that programs always read
//! the newest from the file that the kubeconfig names.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::unistd::Uid;
use serde_json::json;

use crate::{login_user, notice};

/// Where the kubelet puts token and certificate authority.
const SOURCE: &str = "/var/run/secrets/devserver.io/kube";
/// Below the home: a volume that lives as long as the pod.
const FOLDER: &str = ".kube";
const ID: u32 = 1000;
/// How often the token is looked at; the kubelet renews it long before it ends.
const LOOK: Duration = Duration::from_secs(10);

/// Writes them now and keeps the token new from a thread of its own. Nothing where the pod has no rights in the cluster.
pub fn watch(namespace: String) -> io::Result<()> {
    if !Path::new(SOURCE).is_dir() {
        return Ok(());
    }
    let mut known = None;
    look(&namespace, &mut known);
    let watch = move || {
        loop {
            thread::sleep(LOOK);
            look(&namespace, &mut known);
        }
    };
    thread::Builder::new()
        .name("kubeconfig".into())
        .spawn(watch)?;
    Ok(())
}

/// What was copied is remembered only when it is there.
fn look(namespace: &str, known: &mut Option<Vec<u8>>) {
    let token = match fs::read(Path::new(SOURCE).join("token")) {
        Ok(token) => token,
        Err(error) => {
            eprintln!("devserver-agent: failed to read the token of the ServiceAccount: {error}");
            return;
        }
    };
    if known.as_ref() == Some(&token) {
        return;
    }
    let folder = login_user::home().join(FOLDER);
    match copy(Path::new(SOURCE), &folder, namespace, &token) {
        Ok(()) => {
            notice::log(&json!({"event": "kubeconfig", "renewed": known.is_some()}));
            *known = Some(token);
        }
        Err(error) => eprintln!("devserver-agent: failed to write ~/{FOLDER}: {error}"),
    }
}

fn copy(source: &Path, folder: &Path, namespace: &str, token: &[u8]) -> io::Result<()> {
    let authority = fs::read(source.join("ca.crt"))?;
    put(folder, "ca.crt", &authority)?;
    put(folder, "token", token)?;
    // The user may have chosen another namespace or added a context: it is made once.
    if fs::symlink_metadata(folder.join("config")).is_err() {
        let variable = |name: &str| env::var(name).unwrap_or_default();
        let server = server(
            &variable("KUBERNETES_SERVICE_HOST"),
            &variable("KUBERNETES_SERVICE_PORT"),
        );
        put(
            folder,
            "config",
            kubeconfig(folder, &server, namespace).as_bytes(),
        )?;
    }
    Ok(())
}

/// By rename, so that nobody reads half a file. The folder is the user's, who may have left anything under any name: the part
/// is a new file or none, and a link in place of the file is replaced, not followed.
fn put(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let part = folder.join(format!(".{name}.{}", std::process::id()));
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file: File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&part)?;
    file.write_all(content)?;
    if Uid::effective().is_root() {
        fchown(&file, Some(ID), Some(ID))?;
    }
    fs::rename(&part, folder.join(name))
}

/// The API server as every pod is told of it: no name has to be found first.
fn server(host: &str, port: &str) -> String {
    let port = if port.is_empty() { "443" } else { port };
    match host {
        "" => format!("https://kubernetes.default.svc:{port}"),
        host if host.contains(':') => format!("https://[{host}]:{port}"),
        host => format!("https://{host}:{port}"),
    }
}

/// The token by the name of its file: programs read it again when it is renewed.
fn kubeconfig(folder: &Path, server: &str, namespace: &str) -> String {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "cluster",
            "cluster": {"server": server, "certificate-authority": folder.join("ca.crt")},
        }],
        "users": [{"name": "devserver", "user": {"tokenFile": folder.join("token")}}],
        "contexts": [{
            "name": "devserver",
            "context": {"cluster": "cluster", "user": "devserver", "namespace": namespace},
        }],
        "current-context": "devserver",
    });
    format!("{config:#}\n")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_server_is_the_one_that_pods_are_told_of() {
        assert_eq!(server("10.96.0.1", "443"), "https://10.96.0.1:443");
        assert_eq!(server("fd00::1", "443"), "https://[fd00::1]:443");
        assert_eq!(server("", ""), "https://kubernetes.default.svc:443");
    }

    #[test]
    fn a_renewed_token_replaces_the_old_one_and_leaves_the_kubeconfig() {
        let (source, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(source.path().join("ca.crt"), "authority").unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        copy(source.path(), folder.path(), "team-a", b"old").unwrap();
        assert!(read("config").contains("\"namespace\": \"team-a\""));
        assert!(!read("config").contains("old"), "the token is not in it");
        fs::write(folder.path().join("config"), "the user's own").unwrap();
        copy(source.path(), folder.path(), "team-a", b"new").unwrap();
        assert_eq!(
            (read("token"), read("config"), read("ca.crt")),
            ("new".into(), "the user's own".into(), "authority".into())
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_link_in_place_of_the_token_leads_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, "as before").unwrap();
        symlink(&victim, folder.path().join("token")).unwrap();
        put(folder.path(), "token", b"secret").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "as before");
    }
}
