//! Mail to the owner.

use std::time::Duration;

use anyhow::Context as _;
use devserver_core::{message::Message, platform::MailSettings};
use lettre::{
    AsyncTransport as _,
    message::{Mailbox, header::ContentType},
};

use super::Failure;
use crate::mail::{self, Transport};

const PATIENCE: Duration = Duration::from_secs(15);

/// The way to the mail server.
pub(super) struct Mail {
    transport: Transport,
    from: Mailbox,
    domain: Option<String>,
}

impl Mail {
    pub(super) fn new(settings: &MailSettings) -> anyhow::Result<Self> {
        let (transport, from) =
            mail::way(settings, PATIENCE).context("notifications.mail cannot be used")?;
        Ok(Self {
            transport,
            from,
            domain: settings.domain.clone(),
        })
    }

    pub(super) async fn send(&self, message: &Message) -> Result<(), Failure> {
        let address = message.address(self.domain.as_deref());
        let address =
            address.ok_or_else(|| Failure::Final("its owner has no mail address".to_owned()))?;
        let to: Mailbox = address
            .parse()
            .map_err(|error| Failure::Final(format!("its owner has no mail address: {error}")))?;
        let mail = lettre::Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(&message.subject)
            // The same for each attempt, so that a mailbox can drop the second.
            .message_id(Some(format!(
                "<{}@{}>",
                message.id,
                self.from.email.domain()
            )))
            .header(ContentType::TEXT_PLAIN)
            .body(message.text.clone())
            .map_err(|error| Failure::Final(error.to_string()))?;
        match self.transport.send(mail).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() => Err(Failure::Final(error.to_string())),
            Err(error) => Err(Failure::Passing(error.to_string())),
        }
    }
}
