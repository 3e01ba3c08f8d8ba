//! What people and programs are told outside of the cluster, in the forms in which it travels.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::platform::WebhookForm;

/// Something to tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The same however often it is sent: receivers drop what they have.
    pub id: String,
    /// Who it is for, as a DevServer names its owner; `None`: nobody in particular.
    pub owner: Option<String>,
    /// One line.
    pub subject: String,
    /// The whole, plain.
    pub text: String,
    /// The same for programs.
    pub data: Value,
    /// Its type as a CloudEvent.
    pub kind: &'static str,
    /// What it is about, as a reference.
    pub source: String,
}

impl Message {
    /// In the form that an address takes.
    pub fn form(&self, form: WebhookForm, now: Timestamp) -> Value {
        match form {
            WebhookForm::CloudEvent => self.cloud_event(now),
            WebhookForm::Slack => self.slack(),
        }
    }

    /// As a CloudEvent 1.0 in structured JSON.
    pub fn cloud_event(&self, now: Timestamp) -> Value {
        json!({
            "specversion": "1.0", "id": self.id, "source": self.source, "type": self.kind,
            "subject": self.subject, "time": now, "datacontenttype": "application/json", "data": self.data,
        })
    }

    /// As Slack takes it. What means something to Slack is taken out, so that no name calls everybody.
    pub fn slack(&self) -> Value {
        let plain = |text: &str| {
            text.replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
        };
        let (subject, text) = (plain(&self.subject), plain(&self.text));
        json!({"text": format!("*{subject}*\n{text}")})
    }

    /// Address for mail: the owner's own, or theirs in the domain of the platform. Nothing else than one plain address.
    pub fn address(&self, domain: Option<&str>) -> Option<String> {
        let owner = self.owner.as_deref()?;
        let address = match owner.split_once('@') {
            Some(_) => owner.to_owned(),
            None => format!("{owner}@{}", domain?),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "@.-_+".contains(c);
        let (local, host) = address.split_once('@')?;
        let is_one = address.chars().all(plain)
            && !host.contains('@')
            && !local.is_empty()
            && !host.is_empty();
        is_one.then_some(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d12_no_name_calls_everybody_in_slack_and_an_event_keeps_its_identity() {
        let message = Message {
            id: "usage-1".to_owned(),
            owner: None,
            subject: "<!channel> & co".to_owned(),
            text: "a <b>".to_owned(),
            data: json!({"team": "a"}),
            kind: "io.devserver.usage.weekly",
            source: "/teams/a".to_owned(),
        };
        let now = Timestamp::UNIX_EPOCH;
        let slack = message.form(WebhookForm::Slack, now);
        assert_eq!(
            slack,
            json!({"text": "*&lt;!channel&gt; &amp; co*\na &lt;b&gt;"})
        );
        let event = message.form(WebhookForm::CloudEvent, now);
        assert_eq!(event["id"], "usage-1");
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["type"], "io.devserver.usage.weekly");
        assert_eq!(message.address(Some("example.com")), None);
    }
}
