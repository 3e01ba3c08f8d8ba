//! The weekly report as a mail.

use std::time::Duration;

use anyhow::Context as _;
use devserver_core::platform::MailSettings;
use devserver_usage::{weekly, weekly::Weekly};
use lettre::{
    AsyncTransport as _, Message,
    message::{Attachment, MultiPart, SinglePart, header::ContentType},
};
use tokio::time::timeout;

use super::weekly::Outcome;
use crate::mail;

/// Longest time for handing over one mail.
const PATIENCE: Duration = Duration::from_secs(60);

/// A mail, ready to go.
pub struct Parcel {
    message: Message,
    server: MailSettings,
}

impl Parcel {
    /// The report for those; `console`: address of the console, for links.
    pub fn new(
        report: &Weekly,
        server: &MailSettings,
        recipients: &[String],
        console: Option<&str>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            message: message(report, server, recipients, console)?,
            server: server.clone(),
        })
    }

    /// Hands it over.
    pub async fn send(self) -> Outcome {
        send(&self.server, self.message).await
    }
}

/// The mail: plain text, HTML, and all environments as a file. Its identifier is that of the week, so that a second copy, should
/// there ever be one, is known for the same.
fn message(
    report: &Weekly,
    server: &MailSettings,
    recipients: &[String],
    console: Option<&str>,
) -> anyhow::Result<Message> {
    let csv = report.report.wire(report.window.until).csv();
    let name = format!("usage-{}-{}.csv", file_name(&report.team), report.week);
    let from = mail::sender(server)?;
    let domain = from.email.domain().to_owned();
    let mut builder = Message::builder()
        .from(from)
        .subject(weekly::subject_line(report))
        .message_id(Some(format!("<{}@{domain}>", weekly::identity(report))));
    for recipient in recipients {
        builder = builder.to(recipient
            .parse()
            .context("a recipient is no mail address")?);
    }
    let bodies = MultiPart::alternative()
        .singlepart(SinglePart::plain(weekly::text(report, console)))
        .singlepart(SinglePart::html(weekly::html(report, console)));
    let file = Attachment::new(name).body(csv, ContentType::parse("text/csv; charset=utf-8")?);
    Ok(builder.multipart(MultiPart::mixed().multipart(bodies).singlepart(file))?)
}

fn file_name(team: &str) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '-'
        }
    };
    if team.is_empty() {
        "none".to_owned()
    } else {
        team.chars().map(safe).collect()
    }
}

async fn send(settings: &MailSettings, message: Message) -> Outcome {
    let (transport, _) = match mail::way(settings, PATIENCE) {
        Ok(way) => way,
        Err(error) => return Outcome::Failed(error),
    };
    // What fails before there is anything to take has failed for certain.
    match timeout(PATIENCE, transport.test_connection()).await {
        Ok(Ok(true)) => {}
        Ok(Ok(false)) => {
            return Outcome::Failed(anyhow::anyhow!("the mail server takes no commands"));
        }
        Ok(Err(error)) => return Outcome::Failed(error.into()),
        Err(_) => return Outcome::Failed(anyhow::anyhow!("the mail server does not answer")),
    }
    match timeout(PATIENCE, transport.send(message)).await {
        Ok(Ok(_)) => Outcome::Sent,
        Ok(Err(error)) if error.is_permanent() || error.is_transient() => {
            Outcome::Failed(error.into())
        }
        Ok(Err(error)) => Outcome::Unknown(error.into()),
        Err(_) => Outcome::Unknown(anyhow::anyhow!("no answer within {} s", PATIENCE.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use devserver_core::platform::MailEncryption;
    use devserver_usage::{By, Report, Total, Window};
    use tokio::{
        io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
        net::{TcpListener, TcpStream},
    };

    use super::{super::weekly::WEEK, *};

    /// The 23rd of November 2026, a Monday.
    const MONDAY: i64 = 1_795_392_000;

    fn report(team: &str) -> Weekly {
        let window = Window {
            since: MONDAY,
            until: MONDAY + WEEK,
        };
        let report = Report {
            window,
            currency: "EUR".to_owned(),
            by: By::Environment,
            lines: Vec::new(),
            total: Total::default(),
        };
        Weekly::new(team, report, Total::default(), Vec::new())
    }

    fn settings(port: u16) -> MailSettings {
        MailSettings {
            host: "127.0.0.1".to_owned(),
            port: Some(port),
            encryption: MailEncryption::None,
            domain: None,
            from: "Environments <dev@example.com>".to_owned(),
            username: None,
            password_file: None,
        }
    }

    /// Takes one mail as RFC 5321 says, and returns envelope and text.
    async fn receive(listener: TcpListener, accepts: bool) -> std::io::Result<String> {
        let mut all = String::new();
        // The connection may be kept or made anew.
        while !all.contains("\n.\n") {
            let (stream, _) = listener.accept().await?;
            serve(stream, accepts, &mut all).await?;
        }
        Ok(all)
    }

    async fn serve(stream: TcpStream, accepts: bool, all: &mut String) -> std::io::Result<()> {
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        let mut is_text = false;
        write.write_all(b"220 mail.example.com ESMTP\r\n").await?;
        while let Some(line) = lines.next_line().await? {
            all.push_str(&line);
            all.push('\n');
            let word = line.get(..4).unwrap_or_default().to_uppercase();
            let answer = match (is_text, line.as_str(), word.as_str()) {
                (true, ".", _) => {
                    is_text = false;
                    if accepts {
                        "250 taken"
                    } else {
                        "451 try again later"
                    }
                }
                (true, ..) => continue,
                (_, _, "DATA") => {
                    is_text = true;
                    "354 go on"
                }
                (_, _, "QUIT") => {
                    write.write_all(b"221 bye\r\n").await?;
                    return Ok(());
                }
                _ => "250 ok",
            };
            write.write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
        Ok(())
    }

    async fn deliver(accepts: bool) -> (Outcome, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = settings(listener.local_addr().unwrap().port());
        let server = tokio::spawn(receive(listener, accepts));
        let recipients = ["lead@example.com".to_owned(), "boss@example.com".to_owned()];
        let parcel = Parcel::new(&report("genomics"), &settings, &recipients, None).unwrap();
        let sent = parcel.send().await;
        let text = tokio::time::timeout(PATIENCE, server)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        (sent, text)
    }

    #[tokio::test]
    async fn a_mail_of_the_week_has_text_html_and_a_file_and_reaches_a_server() {
        let (sent, text) = deliver(true).await;
        assert!(matches!(sent, Outcome::Sent), "{sent:?}");
        for part in [
            "RCPT TO:<lead@example.com>",
            "RCPT TO:<boss@example.com>",
            "Message-ID: <usage-2026-W48-genomics@example.com>",
            "Subject: genomics: 0.00 EUR in week 2026-W48, 0.0 idle hours",
            "multipart/alternative",
            "text/plain",
            "text/html",
            "usage-genomics-2026-W48.csv",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
    }

    #[tokio::test]
    async fn a_server_that_takes_no_mail_is_a_failure_and_not_a_mail() {
        let (sent, _) = deliver(false).await;
        assert!(matches!(sent, Outcome::Failed(_)), "{sent:?}");
    }

    #[test]
    fn d12_a_team_cannot_write_headers_or_folders() {
        let settings = settings(25);
        let message = message(
            &report("a\r\nBcc: eve@example.com/../x"),
            &settings,
            &["lead@example.com".to_owned()],
            None,
        )
        .unwrap();
        let text = String::from_utf8(message.formatted()).unwrap();
        let text = text.split("\r\n\r\n").next().unwrap();
        assert!(!text.lines().any(|line| line.starts_with("Bcc")), "{text}");
        assert_eq!(file_name("../a b"), "---a-b");
    }
}
