//! Weekly reports: on Monday, of the week before, to those whom the configuration names, each way once.

use std::{collections::HashSet, time::Duration};

use devserver_core::platform::WeeklyReportSettings;
use devserver_usage::{
    Store, Window,
    store::{Turn, Way},
    weekly, window,
};
use tokio::time::sleep;

use super::{Context, mail};
use crate::notify::{Failure, Webhook};

/// Time between two looks at whether a report is due.
const LOOK: Duration = Duration::from_secs(60);
/// Seconds of a week.
pub const WEEK: i64 = 7 * window::DAY;

/// How sending ended.
#[derive(Debug)]
pub enum Outcome {
    /// It was taken.
    Sent,
    /// It was not taken, for certain.
    Failed(anyhow::Error),
    /// Nobody knows: the answer was lost. It is not sent again.
    Unknown(anyhow::Error),
}

/// What needs no further look in a week, so that no report is made again each minute to find that it was sent.
#[derive(Default)]
struct Settled {
    week: String,
    /// Teams that have used anything, once that cannot change any more.
    teams: Option<Vec<String>>,
    done: HashSet<(String, Way)>,
}

/// Sends reports when they are due. Never ends.
pub async fn follow(context: &Context) {
    let Some(settings) = &context.ledger.settings.weekly_report else {
        return std::future::pending().await;
    };
    let mut settled = Settled::default();
    loop {
        if let Err(error) = send_due(context, settings, &mut settled).await {
            tracing::warn!(
                error = format!("{error:#}"),
                "weekly reports could not be looked after"
            );
        }
        sleep(LOOK).await;
    }
}

async fn send_due(
    context: &Context,
    settings: &WeeklyReportSettings,
    settled: &mut Settled,
) -> anyhow::Result<()> {
    let now = context.clock.read().now().as_second();
    let this = Window::week_of(now);
    if now < this.since + i64::from(settings.hour) * 3_600 {
        return Ok(());
    }
    let week = Window {
        since: this.since - WEEK,
        until: this.since,
    };
    let name = window::week_name(week.since);
    if settled.week != name {
        *settled = Settled {
            week: name,
            ..Settled::default()
        };
    }
    if settled.teams.is_some() && due(settings, settled).is_empty() {
        return Ok(());
    }
    let store = context.ledger.store().await?;
    // What is not counted to its end yet is not told.
    if store.counted_to().await?.is_none_or(|at| at < week.until) {
        return Ok(());
    }
    if settled.teams.is_none() {
        let all = settings.webhook.is_some();
        settled.teams = Some(if all {
            store.teams(week).await?
        } else {
            Vec::new()
        });
    }
    for (team, way) in due(settings, settled) {
        if send_once(context, store, settings, week, (&team, way)).await? {
            settled.done.insert((team, way));
        }
    }
    Ok(())
}

/// What is still to be sent.
fn due(settings: &WeeklyReportSettings, settled: &Settled) -> Vec<(String, Way)> {
    let has_mail = settings.mail.is_some();
    let recipients = settings.recipients.iter();
    let mails = recipients.filter(|(_, to)| has_mail && !to.is_empty());
    let mails = mails.map(|(team, _)| (team.clone(), Way::Mail));
    let teams = settled.teams.iter().flatten().cloned();
    let hooks = teams.map(|team| (team, Way::Webhook));
    mails
        .chain(hooks)
        .filter(|one| !settled.done.contains(one))
        .collect()
}

/// Sends it if it is ours to send; whether it needs no further look.
async fn send_once(
    context: &Context,
    store: &Store,
    settings: &WeeklyReportSettings,
    week: Window,
    (team, way): (&str, Way),
) -> anyhow::Result<bool> {
    let name = window::week_name(week.since);
    let now = || context.clock.read().now().as_second();
    let currency = &context.ledger.settings.currency;
    // Made before it is claimed: what cannot be made costs no attempt.
    let report = store.weekly(team, week, currency).await?;
    let parcel = Parcel::new(&report, settings, way)?;
    context.leadership.check()?;
    let key = (name.as_str(), team, way);
    let unknown = || {
        context.metrics.reported("unknown");
        "nobody knows whether the weekly report was sent"
    };
    match store.claim_report(key, now()).await? {
        Turn::Ours => {}
        Turn::Waits => return Ok(false),
        Turn::Done | Turn::GivenUp => return Ok(true),
        Turn::Unknown => {
            tracing::warn!(team, week = name, way = way.as_str(), "{}", unknown());
            return Ok(true);
        }
    }
    match parcel.send().await {
        Outcome::Sent => {
            store.report_ended(key, true, now()).await?;
            context.metrics.reported("sent");
            tracing::info!(
                team,
                week = name,
                way = way.as_str(),
                "sent the weekly report"
            );
            Ok(true)
        }
        Outcome::Failed(error) => {
            store.report_ended(key, false, now()).await?;
            context.metrics.reported("failed");
            let (way, error) = (way.as_str(), format!("{error:#}"));
            tracing::warn!(
                team,
                week = name,
                way,
                error,
                "the weekly report was not sent"
            );
            Ok(false)
        }
        Outcome::Unknown(error) => {
            let (way, error) = (way.as_str(), format!("{error:#}"));
            tracing::warn!(team, week = name, way, error, "{}", unknown());
            Ok(true)
        }
    }
}

/// A report, ready to go.
enum Parcel {
    Mail(mail::Parcel),
    Webhook(Webhook, devserver_core::message::Message),
}

impl Parcel {
    fn new(
        report: &weekly::Weekly,
        settings: &WeeklyReportSettings,
        way: Way,
    ) -> anyhow::Result<Self> {
        let console = settings.console_url.as_deref();
        match (way, &settings.mail, &settings.webhook) {
            (Way::Mail, Some(server), _) => {
                let recipients = settings.recipients.get(&report.team);
                let recipients = recipients.map(Vec::as_slice).unwrap_or_default();
                let parcel = mail::Parcel::new(report, server, recipients, console)?;
                Ok(Self::Mail(parcel))
            }
            (Way::Webhook, _, Some(hook)) => Ok(Self::Webhook(
                Webhook::new(hook)?,
                weekly::message(report, console),
            )),
            _ => anyhow::bail!("the weekly report has no such way"),
        }
    }

    async fn send(self) -> Outcome {
        match self {
            Self::Mail(parcel) => parcel.send().await,
            Self::Webhook(hook, message) => match hook.send(&message).await {
                Ok(()) => Outcome::Sent,
                Err(Failure::Unknown(why)) => Outcome::Unknown(anyhow::anyhow!(why)),
                Err(why) => Outcome::Failed(why.into()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use devserver_core::{Platform, platform::WebhookSettings};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// What becomes of an event at an address that answers so; nothing: it hangs up after it has read.
    async fn sent_to(answer: Option<&'static str>) -> Outcome {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut text = [0_u8; 4096];
            let _ = socket.read(&mut text).await.unwrap();
            let answer = answer.unwrap_or_default();
            socket.write_all(answer.as_bytes()).await.unwrap();
        });
        let outcome = send_event(&format!("http://{address}/")).await;
        server.await.unwrap();
        outcome
    }

    async fn send_event(url: &str) -> Outcome {
        let hook = WebhookSettings {
            form: devserver_core::platform::WebhookForm::CloudEvent,
            url: Some(url.to_owned()),
            url_file: None,
            key_file: None,
        };
        let message = devserver_core::message::Message {
            id: "usage-2026-W48-genomics".to_owned(),
            owner: None,
            subject: String::new(),
            text: String::new(),
            data: serde_json::json!({}),
            kind: "io.devserver.usage.weekly",
            source: "/teams/genomics".to_owned(),
        };
        let parcel = Parcel::Webhook(Webhook::new(&hook).unwrap(), message);
        parcel.send().await
    }

    #[tokio::test]
    async fn an_event_whose_answer_is_lost_may_have_arrived_and_one_that_was_refused_has_not() {
        let taken = sent_to(Some("HTTP/1.1 204 No Content\r\n\r\n")).await;
        assert!(matches!(taken, Outcome::Sent), "{taken:?}");
        for refusal in [
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
        ] {
            let refused = sent_to(Some(refusal)).await;
            assert!(matches!(refused, Outcome::Failed(_)), "{refused:?}");
        }
        let lost = sent_to(None).await;
        assert!(matches!(lost, Outcome::Unknown(_)), "{lost:?}");
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nobody = format!("http://{}/", free.local_addr().unwrap());
        drop(free);
        let nobody = send_event(&nobody).await;
        assert!(matches!(nobody, Outcome::Failed(_)), "{nobody:?}");
    }

    #[test]
    fn each_way_is_a_matter_of_its_own_and_done_once() {
        let text = "usage: {databaseFile: /l, currency: EUR, weeklyReport: {recipients: {genomics: [a@b], portal: []}, \
            mail: {host: mail, from: a@b}, webhook: {url: 'https://a'}}}";
        let usage = Platform::parse(text).unwrap().usage.unwrap();
        let settings = usage.weekly_report.unwrap();
        let mut settled = Settled {
            teams: Some(vec![String::new(), "genomics".to_owned()]),
            ..Settled::default()
        };
        let genomics = |way| ("genomics".to_owned(), way);
        let nobody = (String::new(), Way::Webhook);
        let all = [genomics(Way::Mail), nobody.clone(), genomics(Way::Webhook)];
        assert_eq!(due(&settings, &settled), all);
        settled.done.insert(genomics(Way::Webhook));
        assert_eq!(due(&settings, &settled), [genomics(Way::Mail), nobody]);
        settled.teams = None;
        let only_hook = WeeklyReportSettings {
            mail: None,
            ..settings
        };
        assert_eq!(due(&only_hook, &settled), []);
    }
}
