//! How people are told of what concerns them, outside of the cluster. Secrets are in files that are mounted.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{MailSettings, Platform, PlatformError, mail};

/// Where notifications go. Nothing: nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NotificationSettings {
    /// Addresses that get each notification.
    pub webhooks: Vec<WebhookSettings>,
    /// Mail to owners.
    pub mail: Option<MailSettings>,
}

/// An address that gets each notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookSettings {
    /// Its form.
    #[serde(default)]
    pub form: WebhookForm,
    /// Where it is; `http` or `https`.
    #[serde(default)]
    pub url: Option<String>,
    /// File with the address, where it is a secret, as those of Slack are.
    #[serde(default)]
    pub url_file: Option<PathBuf>,
    /// File with the key of the signature. Absent: not signed.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
}

impl WebhookSettings {
    /// What is wrong with it, as the end of a sentence.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let is_http = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        match (&self.url, &self.url_file) {
            (Some(url), None) if is_http(url) => Ok(()),
            (None, Some(_)) => Ok(()),
            (Some(_), None) => Err("url must begin with https:// or http://"),
            _ => Err("needs either url or urlFile"),
        }
    }
}

/// Form of a notification to a webhook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WebhookForm {
    /// A CloudEvent in structured JSON, signed as Standard Webhooks says.
    #[default]
    CloudEvent,
    /// `{"text": …}`, as Slack and what is like it take it.
    Slack,
}

pub(super) fn check(platform: &Platform) -> Result<(), PlatformError> {
    for hook in &platform.notifications.webhooks {
        if let Err(why) = hook.check() {
            return Err(PlatformError::Value {
                field: "notifications.webhooks",
                why: format!("each {why}"),
            });
        }
    }
    match &platform.notifications.mail {
        Some(mail) => mail::check(mail).map_err(|why| PlatformError::Value {
            field: "notifications.mail",
            why,
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_refused_and_named() {
        for (text, word) in [
            ("notifications: {webhooks: [{}]}", "urlFile"),
            (
                "notifications: {webhooks: [{url: 'file:///etc/passwd'}]}",
                "https://",
            ),
            (
                "notifications: {webhooks: [{url: 'https://a', urlFile: /b}]}",
                "either",
            ),
            (
                "notifications: {mail: {host: mail, from: nobody}}",
                "mail address",
            ),
            (
                "notifications: {mail: {host: mail, from: a@b, username: c}}",
                "passwordFile",
            ),
            (
                "notifications: {mail: {host: mail, from: a@b, username: c, passwordFile: /d, encryption: None}}",
                "without encryption",
            ),
            ("notifications: {sms: {}}", "sms"),
        ] {
            let error = Platform::parse(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
