//! The way to a mail server: the same for notifications and for weekly reports.

use std::time::Duration;

use anyhow::Context as _;
use devserver_core::platform::{MailEncryption, MailSettings};
use lettre::{
    AsyncSmtpTransport, Tokio1Executor, message::Mailbox,
    transport::smtp::authentication::Credentials,
};

use crate::notify::secret;

/// Hands mail over.
pub type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// The way there, and the sender. `patience` bounds each step on it.
pub fn way(settings: &MailSettings, patience: Duration) -> anyhow::Result<(Transport, Mailbox)> {
    let host = &settings.host;
    let mut builder = match settings.encryption {
        MailEncryption::StartTls => Transport::starttls_relay(host)?,
        MailEncryption::Tls => Transport::relay(host)?,
        MailEncryption::None => Transport::builder_dangerous(host),
    };
    builder = builder.timeout(Some(patience));
    if let Some(port) = settings.port {
        builder = builder.port(port);
    }
    if let (Some(name), Some(path)) = (&settings.username, &settings.password_file) {
        builder = builder.credentials(Credentials::new(name.clone(), secret(path)?));
    }
    Ok((builder.build(), sender(settings)?))
}

/// As whom mail is sent.
pub fn sender(settings: &MailSettings) -> anyhow::Result<Mailbox> {
    let from = &settings.from;
    from.parse()
        .with_context(|| format!("the sender {from:?} is no mail address"))
}
