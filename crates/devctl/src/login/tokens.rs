//! Tokens of a login: one file for each, for its owner only. They are never in a command line, an environment or the kubeconfig.

use std::{fs::File, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use devserver_api::signpost::OidcPlace;
use serde::{Deserialize, Serialize};

use crate::{
    exit::Exit,
    failure::{Failure, Outcome},
    files,
};

/// What is kept of a login.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// Who gave the tokens.
    pub place: OidcPlace,
    /// The console, for whoever has to log in again.
    pub console: String,
    /// The token that the API server takes.
    pub id_token: String,
    /// When that ends, in seconds since 1970.
    pub expires: i64,
    /// What gives a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
}

/// Where the tokens of a login are.
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// By whom they were given, and for which context.
    pub fn of(issuer: &str, client_id: &str, login: &str) -> Outcome<Self> {
        // Any text makes a name of a file, and different ones different names; nothing of it becomes a path.
        let whole = serde_json::json!([issuer, client_id, login]).to_string();
        let name = URL_SAFE_NO_PAD.encode(short_hash(whole.as_bytes()));
        Ok(Self {
            path: files::cache_dir()?.join("tokens").join(name + ".json"),
        })
    }

    /// What is kept; nothing when there is none.
    pub fn read(&self) -> Outcome<Option<Kept>> {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => {
                let what = format!("failed to read {}", self.path.display());
                return Err(Failure::io(what, &e));
            }
        };
        // What is broken is as good as nothing: one logs in again.
        Ok(serde_json::from_str(&text).ok())
    }

    /// Keeps it, in place of what was there.
    pub fn write(&self, kept: &Kept) -> Outcome {
        let text = serde_json::to_string(kept)
            .map_err(|e| Failure::new(Exit::Error, "failed to write the tokens").because(e))?;
        files::write_private(&self.path, &text)
    }

    /// Held by one process at a time: a refresh token may be good for one use.
    pub fn lock(&self) -> Outcome<File> {
        let path = self.path.with_extension("lock");
        let failed =
            |e: &std::io::Error| Failure::io(format!("failed to lock {}", path.display()), e);
        if let Some(folder) = path.parent() {
            files::make_private_dir(folder)?;
        }
        let file = files::open_private(&path)?;
        file.lock().map_err(|e| failed(&e))?;
        Ok(file)
    }
}

fn short_hash(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}
