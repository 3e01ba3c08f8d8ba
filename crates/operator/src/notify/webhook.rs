//! Webhooks: CloudEvents 1.0, signed as Standard Webhooks says; and the form of Slack.

use std::time::Duration;

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use devserver_core::{
    message::Message,
    platform::{WebhookForm, WebhookSettings},
};
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use reqwest::{Client, Url, redirect::Policy};
use sha2::Sha256;

use super::{Failure, secret};

const PATIENCE: Duration = Duration::from_secs(10);

/// One address.
pub struct Webhook {
    client: Client,
    url: Url,
    form: WebhookForm,
    key: Option<String>,
}

impl Webhook {
    /// Reads address and key, where they are in files.
    pub fn new(settings: &WebhookSettings) -> anyhow::Result<Self> {
        let url = match (&settings.url, &settings.url_file) {
            (Some(url), _) => url.clone(),
            (None, Some(path)) => secret(path)?,
            (None, None) => anyhow::bail!("a webhook has no address"),
        };
        // Its text may be a secret, and stays out of the message.
        let url = Url::parse(&url).context("the address of a webhook is none")?;
        let client = Client::builder()
            .timeout(PATIENCE)
            .redirect(Policy::none())
            .build()
            .context("failed to set up the client for webhooks")?;
        Ok(Self {
            client,
            url,
            form: settings.form,
            key: settings.key_file.as_deref().map(secret).transpose()?,
        })
    }

    pub(super) fn name(&self) -> &'static str {
        match self.form {
            WebhookForm::CloudEvent => "webhook",
            WebhookForm::Slack => "slack",
        }
    }

    /// Sends it once.
    pub async fn send(&self, message: &Message) -> Result<(), Failure> {
        let now = Timestamp::now();
        let kind = match self.form {
            WebhookForm::CloudEvent => "application/cloudevents+json; charset=utf-8",
            WebhookForm::Slack => "application/json; charset=utf-8",
        };
        let body = message.form(self.form, now).to_string();
        let mut request = self
            .client
            .post(self.url.clone())
            .header("content-type", kind)
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", now.as_second());
        if let Some(key) = &self.key {
            let signature = signature(key, &message.id, now.as_second(), &body);
            request = request.header("webhook-signature", signature);
        }
        let answer = request.body(body).send().await;
        let answer = answer.map_err(|error| {
            // What fails before there is anything to take has failed for certain.
            let is_certain = error.is_connect() || error.is_builder();
            // Without its address, which may be a secret.
            let why = error.without_url().to_string();
            if is_certain {
                Failure::Passing(why)
            } else {
                Failure::Unknown(why)
            }
        })?;
        let status = answer.status();
        match status.as_u16() {
            200..=299 => Ok(()),
            408 | 425 | 429 | 500..=599 => Err(Failure::Passing(format!("it answers {status}"))),
            _ => Err(Failure::Final(format!("it answers {status}"))),
        }
    }
}

/// `v1,` and the HMAC-SHA256 over identity, time and body (Standard Webhooks).
fn signature(key: &str, id: &str, second: i64, body: &str) -> String {
    // A key of any length is fine for HMAC (RFC 2104), so this cannot fail.
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).map(|mut mac| {
        mac.update(format!("{id}.{second}.{body}").as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    });
    format!("v1,{}", mac.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_example_in_standard_webhooks() {
        // The specification's key is base64 of these bytes, given to a library as they are.
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(br#"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}"#);
        let expected = STANDARD.encode(mac.finalize().into_bytes());
        assert_eq!(expected, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(
            signature("key", "id", 1, "body"),
            signature("key", "id", 1, "body")
        );
        assert_ne!(
            signature("key", "id", 1, "body"),
            signature("key", "id", 2, "body")
        );
    }
}
