//! The mail server: the same words wherever mail is sent.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A mail server, and as whom mail is sent by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MailSettings {
    /// Name of the mail server.
    pub host: String,
    /// Its port. Absent: 587 with `StartTls`, 465 with `Tls`, 25 without.
    #[serde(default)]
    pub port: Option<u16>,
    /// How the connection is encrypted.
    #[serde(default)]
    pub encryption: MailEncryption,
    /// Sender, such as `devservers@example.com`.
    pub from: String,
    /// Name to log in with. Absent: no login.
    #[serde(default)]
    pub username: Option<String>,
    /// File with the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Domain of owners that are no mail addresses. Absent: those get none. Of no meaning where addresses are named.
    #[serde(default)]
    pub domain: Option<String>,
}

/// How the connection to the mail server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MailEncryption {
    /// From the `STARTTLS` command on; a server that does not offer it gets nothing.
    #[default]
    StartTls,
    /// From the beginning.
    Tls,
    /// Not at all, for a server on the same machine.
    None,
}

/// Whether mail can be sent so; why not, and what is needed.
pub(super) fn check(mail: &MailSettings) -> Result<(), String> {
    if mail.host.is_empty() {
        return Err("needs host, the name of the mail server".to_owned());
    }
    if !is_address(&mail.from) {
        return Err(format!(
            "needs from, a mail address; {:?} is none",
            mail.from
        ));
    }
    let why = if mail.port == Some(0) {
        "port must be between 1 and 65535"
    } else if mail.username.is_some() != mail.password_file.is_some() {
        "needs both username and passwordFile, or neither"
    } else if mail.username.is_some() && mail.encryption == MailEncryption::None {
        "must not log in without encryption: the password would be in the clear"
    } else {
        return Ok(());
    };
    Err(why.to_owned())
}

/// Whether it can be the address of a sender or a recipient. The mail library has the last word.
pub(super) fn is_address(text: &str) -> bool {
    text.contains('@') && !text.contains(['\r', '\n'])
}
