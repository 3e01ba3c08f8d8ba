//! A browser as far as servers see one: cookies per host, headers that say where a request comes from, no redirect by itself.

use std::{collections::BTreeMap, net::SocketAddr};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    /// Where it leads.
    pub fn location(&self) -> anyhow::Result<String> {
        let value = self.headers.get(header::LOCATION);
        let value = value.with_context(|| format!("no redirect: {} {}", self.status, self.text))?;
        Ok(value.to_str()?.to_owned())
    }

    /// Demands this code.
    pub fn expect(self, status: u16) -> anyhow::Result<Self> {
        ensure!(
            self.status.as_u16() == status,
            "{} instead of {status}: {}",
            self.status,
            self.text
        );
        Ok(self)
    }
}

/// Somebody's browser; every host of the console is at one address.
pub struct Browser {
    pub address: SocketAddr,
    /// Cookies by host.
    pub cookies: BTreeMap<String, BTreeMap<String, String>>,
}

impl Browser {
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            cookies: BTreeMap::new(),
        }
    }

    /// A page that somebody looks at.
    pub async fn get(&mut self, host: &str, path: &str) -> anyhow::Result<Answer> {
        let looks = [
            ("accept", "text/html"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-site", "none"),
            ("sec-fetch-dest", "document"),
        ];
        self.send(Method::GET, host, path, &looks, String::new())
            .await
    }

    /// A form of a page of this host.
    pub async fn post(
        &mut self,
        host: &str,
        path: &str,
        fields: &[(&str, &str)],
    ) -> anyhow::Result<Answer> {
        let origin = format!("https://{host}");
        let headers = [
            ("origin", origin.as_str()),
            ("sec-fetch-site", "same-origin"),
        ];
        self.post_with(host, path, fields, &headers).await
    }

    /// A form with other headers.
    pub async fn post_with(
        &mut self,
        host: &str,
        path: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> anyhow::Result<Answer> {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let form = ("content-type", "application/x-www-form-urlencoded");
        let headers: Vec<_> = headers.iter().copied().chain([form]).collect();
        self.send(Method::POST, host, path, &headers, body).await
    }

    /// Anything.
    pub async fn send(
        &mut self,
        method: Method,
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(cookie) = self.cookie(host) {
            request = request.header("cookie", cookie);
        }
        let answer = exchange(self.address, request.body(Full::new(Bytes::from(body)))?).await?;
        self.keep(host, &answer.headers)?;
        Ok(answer)
    }

    /// The header with the cookies of a host.
    pub fn cookie(&self, host: &str) -> Option<String> {
        let all = self.cookies.get(host).filter(|all| !all.is_empty())?;
        let pairs: Vec<String> = all
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        Some(pairs.join("; "))
    }

    fn keep(&mut self, host: &str, headers: &HeaderMap) -> anyhow::Result<()> {
        let jar = self.cookies.entry(host.to_owned()).or_default();
        for cookie in headers.get_all(header::SET_COOKIE) {
            let text = cookie.to_str()?;
            let (name, value) = text
                .split(';')
                .next()
                .and_then(|pair| pair.split_once('='))
                .context("no cookie")?;
            if name.starts_with("__Host-") {
                let is_bound = text.contains("; Secure")
                    && text.contains("Path=/;")
                    && !text.to_lowercase().contains("domain=");
                ensure!(is_bound, "browsers would refuse {text}");
            }
            if text.contains("Max-Age=0") {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(())
    }
}

/// One request over a connection of its own.
pub async fn exchange(
    address: SocketAddr,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<Answer> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let (parts, body) = response.into_parts();
    let text = if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        String::new()
    } else {
        String::from_utf8_lossy(&body.collect().await?.to_bytes()).into_owned()
    };
    driver.abort();
    Ok(Answer {
        status: parts.status,
        headers: parts.headers,
        text,
    })
}

/// An address that leads elsewhere: host and the rest.
pub fn apart(address: &str) -> anyhow::Result<(String, String)> {
    let url = url::Url::parse(address).with_context(|| format!("`{address}` is no address"))?;
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let host = format!("{}{port}", url.host_str().context("no host")?);
    let query = url
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    Ok((host, format!("{}{query}", url.path())))
}
