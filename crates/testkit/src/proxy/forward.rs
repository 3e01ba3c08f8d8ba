//! One request on its way: the fault that hits it, the server's answer, the record of both.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, future};
use http::{
    HeaderValue, Request, Response, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, DATE, HOST, RETRY_AFTER},
};
use http_body_util::{
    BodyExt as _, BodyStream, Full, Limited, StreamBody, combinators::UnsyncBoxBody,
};
use hyper::body::{Frame, Incoming};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{
    Shared,
    request::{Asked, Verb},
    rule::{Action, Side},
    trace::Fate,
};

/// Largest body that is held in memory; the API server's own limit for requests is 3 MiB, lists are larger.
const BODY_LIMIT: usize = 64 << 20;

/// The caller sees its connection cut.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cut {
    #[error("the connection is cut by a fault")]
    Fault,
    #[error("failed to read a body")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("failed to reach the API server")]
    Upstream(#[source] hyper_util::client::legacy::Error),
    #[error("failed to make an answer")]
    Answer(#[from] http::Error),
}

type Answer = Result<Response<UnsyncBoxBody<Bytes, Cut>>, Cut>;

/// Answers one request, dated by the clock that the test wants the API server to have.
pub(super) async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Answer {
    let mut response = judge(Arc::clone(&shared), request).await?;
    let ahead = SignedDuration::from_secs(shared.ahead.load(Ordering::SeqCst));
    if !ahead.is_zero() {
        let date = Timestamp::now().saturating_add(ahead);
        let date = date
            .map(|at| at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
            .unwrap_or_default();
        let value = HeaderValue::try_from(date).map_err(http::Error::from)?;
        response.headers_mut().insert(DATE, value);
    }
    Ok(response)
}

async fn judge(shared: Arc<Shared>, request: Request<Incoming>) -> Answer {
    if request.headers().get(AUTHORIZATION) != Some(&shared.authorization) {
        return status(
            401,
            "Unauthorized",
            "this proxy answers only to the operator under test",
            None,
        );
    }
    let asked = Asked::read(request.method(), request.uri());
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, BODY_LIMIT)
        .collect()
        .await
        .map_err(Cut::Body)?
        .to_bytes();
    let n = shared.trace.open(asked.clone(), &body);
    let request = Request::from_parts(parts, Full::new(body));
    match shared.meet(&asked) {
        None => pass(&shared, n, &asked, request).await,
        Some(action) => hit(&shared, n, &asked, request, action).await,
    }
}

async fn hit(
    shared: &Arc<Shared>,
    n: usize,
    asked: &Asked,
    request: Request<Full<Bytes>>,
    action: Action,
) -> Answer {
    shared
        .trace
        .close(n, None, Fate::Hit(format!("{action:?}")));
    match action {
        Action::Fail {
            status: code,
            reason,
            message,
            retry_after,
        } => status(code, reason, &message, retry_after),
        Action::LoseRequest => Err(Cut::Fault),
        Action::Stall => future::pending().await,
        Action::Delay(time) => {
            tokio::time::sleep(time).await;
            pass(shared, n, asked, request).await
        }
        Action::LoseResponse => {
            let code = whole_answer(shared, request).await?.status().as_u16();
            shared
                .trace
                .close(n, Some(code), Fate::Hit("LoseResponse".to_owned()));
            Err(Cut::Fault)
        }
        Action::Kill(Side::Before) => {
            shared.kill().await;
            Err(Cut::Fault)
        }
        Action::Kill(Side::After) => {
            let code = whole_answer(shared, request).await?.status().as_u16();
            shared
                .trace
                .close(n, Some(code), Fate::Hit("Kill(After)".to_owned()));
            shared.kill().await;
            Err(Cut::Fault)
        }
    }
}

async fn pass(shared: &Shared, n: usize, asked: &Asked, request: Request<Full<Bytes>>) -> Answer {
    let answered = if asked.verb == Verb::Watch {
        stream(shared, request).await
    } else {
        whole_answer(shared, request)
            .await
            .map(|r| r.map(|b| b.map_err(|never| match never {}).boxed_unsync()))
    };
    match &answered {
        Ok(response) => shared
            .trace
            .close(n, Some(response.status().as_u16()), Fate::Answered),
        Err(why) => shared
            .trace
            .close(n, None, Fate::Unreachable(format!("{why:?}"))),
    }
    answered
}

/// The server's answer to the end, so that "after" means after the commit.
async fn whole_answer(
    shared: &Shared,
    request: Request<Full<Bytes>>,
) -> Result<Response<Full<Bytes>>, Cut> {
    let (parts, body) = send(shared, request).await?.into_parts();
    let body = Limited::new(body, BODY_LIMIT)
        .collect()
        .await
        .map_err(Cut::Body)?
        .to_bytes();
    Ok(Response::from_parts(parts, Full::new(body)))
}

/// A watch, passed on as it comes until it ends or the test cuts it.
async fn stream(shared: &Shared, request: Request<Full<Bytes>>) -> Answer {
    let mut cuts = shared.cuts.subscribe();
    let (parts, body) = send(shared, request).await?.into_parts();
    // A closed channel means the proxy is gone; the stream may run on until its connection ends.
    let cut = async move { cuts.changed().await.is_ok() }.then(|cut| async move {
        if !cut {
            future::pending::<()>().await;
        }
    });
    let frames = BodyStream::new(body)
        .map(|frame| frame.map_err(|why| Cut::Body(Box::new(why))))
        .map(|frame| frame.and_then(|f| f.into_data().map(Frame::data).map_err(|_| Cut::Fault)))
        .take_until(Box::pin(cut));
    Ok(Response::from_parts(
        parts,
        StreamBody::new(frames).boxed_unsync(),
    ))
}

async fn send(shared: &Shared, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Cut> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |p| p.as_str());
    let address = format!("{}{path}", shared.server);
    parts.uri = address.parse::<Uri>().map_err(http::Error::from)?;
    // HTTP/2 from the operator, HTTP/1.1 to the server: the client sets what its own protocol needs.
    parts.version = http::Version::HTTP_11;
    parts.headers.remove(HOST);
    parts.headers.remove(AUTHORIZATION);
    (shared.upstream)(Request::from_parts(parts, body))
        .await
        .map_err(Cut::Upstream)
}

/// An error as the API server words it.
fn status(code: u16, reason: &str, message: &str, retry_after: Option<u32>) -> Answer {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": message,
    });
    let mut response = Response::builder()
        .status(StatusCode::from_u16(code).map_err(http::Error::from)?)
        .header(CONTENT_TYPE, "application/json");
    if let Some(seconds) = retry_after {
        response = response.header(RETRY_AFTER, HeaderValue::from(seconds));
    }
    let body = Full::new(Bytes::from(body.to_string()))
        .map_err(|never| match never {})
        .boxed_unsync();
    Ok(response.body(body)?)
}
