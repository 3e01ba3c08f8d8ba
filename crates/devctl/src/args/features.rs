//! What a new DevServer offers beside a shell, and whom it counts for and lets in.

use std::path::PathBuf;

use clap::Args;
use devserver_api::{PortSpec, Share};

/// Options of `create`, by the fields of the spec they fill.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// VS Code in the browser, opened through the platform's console
    #[arg(long)]
    pub editor: bool,
    /// A Docker daemon of its own, with a volume of that size, such as 50Gi; without one: the platform's default size
    #[arg(long, value_name = "SIZE", num_args = 0..=1, require_equals = true)]
    #[allow(
        clippy::option_option,
        reason = "clap's form of a value that may be left out"
    )]
    pub docker: Option<Option<String>>,
    /// ClusterRole of its programs in its own namespace, such as view
    #[arg(long, value_name = "ROLE")]
    pub kube_role: Option<String>,
    /// What the image calls its user with id 1000, such as coder; default: the flavor's, then dev
    #[arg(long, value_name = "NAME")]
    pub login_user: Option<String>,
    /// Team it counts for; default: the first one of its owner
    #[arg(long, value_name = "NAME")]
    pub team: Option<String>,
    /// Project it counts for
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,
    /// Somebody else who may reach it, and a file with the public key they log in by; may be repeated, for more people and keys
    #[arg(long, value_name = "USER[=FILE]", value_parser = guest)]
    pub collaborator: Vec<Guest>,
    /// A port of it to be seen in the browser, such as web=3000, by its owner and collaborators; with :Authenticated by all who
    /// log in; may be repeated
    #[arg(long, value_name = "NAME=PORT[:SHARE]", value_parser = port)]
    pub port: Vec<PortSpec>,
}

/// Somebody who is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Their name.
    pub user: String,
    /// File with a public key of theirs; absent: one that is known of them elsewhere.
    pub key: Option<PathBuf>,
}

/// By the rule of the field `spec.collaborators[].user`; a file may have any name.
fn guest(text: &str) -> Result<Guest, String> {
    let (user, file) = match text.split_once('=') {
        Some((user, file)) => (user, Some(file)),
        None => (text, None),
    };
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '@');
    let begins = user.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !begins || user.len() > 253 || !user.chars().all(inner) {
        return Err(format!(
            "{user:?} is not the name of a user: letters, digits, '-', '.', '_' and '@'"
        ));
    }
    if file == Some("") {
        return Err("a file with a public key must follow the '='".to_owned());
    }
    Ok(Guest {
        user: user.to_owned(),
        key: file.map(PathBuf::from),
    })
}

/// By the rules of the field `spec.ports[].name`; which numbers go together is known when all are.
fn port(text: &str) -> Result<PortSpec, String> {
    let Some((name, rest)) = text.split_once('=') else {
        return Err("write NAME=PORT, such as web=3000".to_owned());
    };
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !begins || name.ends_with('-') || name.len() > 15 || !name.chars().all(inner) {
        return Err(format!(
            "{name:?} is not the name of a port: it begins with a letter and has lower case letters, digits and '-', at most 15"
        ));
    }
    let (number, share) = match rest.split_once(':') {
        Some((number, "Owner")) => (number, Some(Share::Owner)),
        Some((number, "Authenticated")) => (number, Some(Share::Authenticated)),
        Some((_, other)) => return Err(format!("{other:?} is neither Owner nor Authenticated")),
        None => (rest, None),
    };
    let port = number
        .parse::<u16>()
        .map_err(|_| format!("{number:?} is no port, such as 3000"))?;
    Ok(PortSpec {
        name: name.to_owned(),
        port: port.into(),
        share,
    })
}
