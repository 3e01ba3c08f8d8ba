//! What passes through the console in headers and bytes: F12, F13, and B6 at editors.

use std::time::Duration;

use anyhow::ensure;
use devserver_testkit::with_namespace;
use http::{Method, header};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    rig::{CONSOLE, More, Rig, SOON},
    upstream::Upstream,
};

#[tokio::test]
async fn b6_an_editor_is_not_told_lies_and_never_our_cookies() -> anyhow::Result<()> {
    with_namespace("b6 console", async |scene| {
        let rig = Rig::new(&scene).await?;
        let upstream = Upstream::start().await?;
        rig.environment("box", &rig.account.username, upstream.address)
            .await?;
        let (mut alice, host) = (rig.login(&rig.account.username).await?, rig.host("box"));
        rig.until_known(&mut alice, &host).await?;
        let lies = [
            ("impersonate-user", "admin"),
            ("impersonate-group", "system:masters"),
            ("impersonate-extra-a", "b"),
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-host", "evil.example"),
            ("forwarded", "for=203.0.113.9"),
            ("x-real-ip", "203.0.113.9"),
            ("authorization", "Bearer stolen"),
            ("x-kept", "kept"),
        ];
        let told = alice
            .send(Method::GET, &host, "/headers", &lies, String::new())
            .await?
            .expect(200)?
            .text;
        for gone in [
            "impersonate-",
            "203.0.113.9",
            "evil.example",
            "stolen",
            "__Host-devserver",
        ] {
            ensure!(
                !told.contains(gone),
                "{gone} reached the environment: {told}"
            );
        }
        ensure!(
            told.contains("x-kept: kept") && told.contains("x-forwarded-proto: https"),
            "{told}"
        );
        // And to the console itself they mean nothing.
        let page = alice
            .send(Method::GET, CONSOLE, "/admin/users", &lies, String::new())
            .await?;
        ensure!(page.status == 404, "{}", page.status);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn f13_what_an_editor_answers_stays_in_its_origin_and_is_bounded() -> anyhow::Result<()> {
    with_namespace("f13", async |scene| {
        let rig = Rig::with(
            &scene,
            More {
                config: &[(
                    "limits",
                    "{\"uploadMebibytes\": 1, \"loginsPerMinute\": 100000}",
                )],
                ..More::default()
            },
        )
        .await?;
        let upstream = Upstream::start().await?;
        rig.environment("box", &rig.account.username, upstream.address)
            .await?;
        let (mut alice, host) = (rig.login(&rig.account.username).await?, rig.host("box"));
        rig.until_known(&mut alice, &host).await?;
        let before = alice.cookies.clone();
        let answer = alice.get(&host, "/evil").await?.expect(302)?;
        let set: Vec<_> = answer.headers.get_all(header::SET_COOKIE).iter().collect();
        ensure!(set == ["theme=dark; Path=/"], "{set:?}");
        ensure!(
            !answer.headers.contains_key("clear-site-data"),
            "{:?}",
            answer.headers
        );
        ensure!(
            answer.headers[header::STRICT_TRANSPORT_SECURITY] != "max-age=0",
            "{:?}",
            answer.headers
        );
        ensure!(
            alice.cookies[CONSOLE] == before[CONSOLE],
            "the console's cookies have changed"
        );
        let large = "x".repeat(1024 * 1024 + 1);
        let own = format!("https://{host}");
        let headers = [("origin", own.as_str())];
        let refused = alice
            .send(Method::POST, &host, "/count", &headers, large)
            .await?;
        ensure!(refused.status == 413, "{}", refused.status);
        let taken = alice
            .send(Method::POST, &host, "/count", &headers, "x".repeat(1000))
            .await?
            .expect(200)?;
        ensure!(taken.text == "1000", "{}", taken.text);
        Ok(())
    })
    .await
}

/// Writes bytes as they are; what comes back until the end, or until nothing comes any more.
async fn raw(rig: &Rig, bytes: &[u8]) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(rig.address).await?;
    stream.write_all(bytes).await?;
    let (mut answer, mut part) = (Vec::new(), [0; 4096]);
    let calm = Duration::from_secs(2);
    while let Ok(read) = timeout(
        if answer.is_empty() { SOON } else { calm },
        stream.read(&mut part),
    )
    .await
    {
        match read? {
            0 => break,
            count => answer.extend(part.iter().take(count)),
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn f12_neither_a_host_nor_a_length_nor_a_proxy_header_is_believed_blindly()
-> anyhow::Result<()> {
    with_namespace("f12", async |scene| {
        let rig = Rig::new(&scene).await?;
        let mut stranger = rig.stranger();
        for (host, status) in [("evil.example", 421), ("editors.example.test", 421), ("a.b.editors.example.test", 421), ("console.example.test:444", 421)] {
            stranger.get(host, "/").await?.expect(status)?;
        }
        let two = raw(&rig, b"GET / HTTP/1.1\r\nHost: console.example.test\r\nHost: evil.example\r\n\r\n").await?;
        ensure!(two.starts_with("HTTP/1.1 400"), "{two}");
        let none = raw(&rig, b"GET / HTTP/1.1\r\n\r\n").await?;
        ensure!(none.starts_with("HTTP/1.1 400"), "{none}");
        let lengths = raw(&rig, b"POST /new HTTP/1.1\r\nHost: console.example.test\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde").await?;
        ensure!(lengths.starts_with("HTTP/1.1 400"), "{lengths}");
        // Both kinds of length: whatever is made of it, what follows is not taken for a request of its own by one side only.
        let both = raw(&rig, b"POST /new HTTP/1.1\r\nHost: console.example.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /flavors HTTP/1.1\r\nHost: evil.example\r\n\r\n").await?;
        ensure!(!both.contains("200 OK"), "{both}");
        let plain = [("x-forwarded-proto", "http"), ("x-forwarded-host", "evil.example"), ("x-forwarded-for", "198.51.100.9")];
        let answer = stranger.send(Method::GET, CONSOLE, "/login", &plain, String::new()).await?.expect(303)?;
        ensure!(!answer.location()?.contains("evil.example"), "{}", answer.location()?);
        let mut alice = rig.stranger();
        alice.send(Method::GET, CONSOLE, "/callback?code=x&state=y", &plain, String::new()).await?.expect(403)?;
        let audit = rig.audited("the audit has the failure", |audit| audit.contains("login_failure")).await?;
        ensure!(!audit.contains("198.51.100.9"), "{audit}");
        Ok(())
    })
    .await
}
