use futures::{SinkExt as _, StreamExt as _};
use tokio::{io::DuplexStream, sync::oneshot, task::JoinHandle};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{CloseFrame, Role},
    },
};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// Times of a test: pings come when they are waited for.
const QUICK: Pace = Pace {
    ping: Duration::from_millis(40),
    silence: Duration::from_secs(20),
    farewell: Duration::from_millis(300),
};

struct Rig {
    browser: DuplexStream,
    pod: DuplexStream,
    cut: oneshot::Sender<Why>,
    ended: JoinHandle<Ended>,
}

fn rig(pace: Pace, window: usize) -> Rig {
    let (browser, near) = tokio::io::duplex(window);
    let (pod, far) = tokio::io::duplex(window);
    let (cut, why) = oneshot::channel();
    let ended = tokio::spawn(async move {
        let why = async {
            match why.await {
                Ok(why) => why,
                Err(_) => std::future::pending().await,
            }
        };
        relay(near, far, pace, why).await
    });
    Rig {
        browser,
        pod,
        cut,
        ended,
    }
}

async fn ends(stream: DuplexStream, role: Role) -> WebSocketStream<DuplexStream> {
    WebSocketStream::from_raw_socket(stream, role, None).await
}

async fn next(socket: &mut WebSocketStream<DuplexStream>) -> Message {
    let next = timeout(PATIENCE, socket.next()).await;
    next.expect("nothing came").expect("it has ended").unwrap()
}

fn close(code: u16, reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame {
        code: code.into(),
        reason: reason.into(),
    }))
}

/// A pace at which nothing of ours is seen.
const QUIET: Pace = Pace {
    ping: PATIENCE,
    ..QUICK
};

#[tokio::test]
async fn messages_and_close_codes_go_both_ways() {
    for from_pod in [true, false] {
        let rig = rig(QUIET, 1 << 16);
        let mut browser = ends(rig.browser, Role::Client).await;
        let mut pod = ends(rig.pod, Role::Server).await;
        browser.send("up".into()).await.unwrap();
        assert_eq!(next(&mut pod).await, Message::text("up"));
        let large = Message::binary(vec![5; 300_000]);
        let (sent, got) = tokio::join!(pod.send(large.clone()), next(&mut browser));
        sent.unwrap();
        assert_eq!(got, large);
        let (first, second) = if from_pod {
            (&mut pod, &mut browser)
        } else {
            (&mut browser, &mut pod)
        };
        first.send(close(4001, "of the application")).await.unwrap();
        let answer = async {
            let told = next(second).await;
            second.flush().await.unwrap();
            told
        };
        let (answered, told) = tokio::join!(next(first), answer);
        assert_eq!(told, close(4001, "of the application"));
        assert_eq!(answered, close(4001, "of the application"));
        drop((browser, pod));
        assert_eq!(rig.ended.await.unwrap(), Ended::Closed);
    }
}

#[tokio::test]
async fn an_idle_browser_is_pinged_and_the_pod_does_not_notice() {
    let rig = rig(QUICK, 1 << 16);
    let mut browser = ends(rig.browser, Role::Client).await;
    let mut pod = ends(rig.pod, Role::Server).await;
    for _ in 0..3 {
        assert!(matches!(next(&mut browser).await, Message::Ping(_)));
    }
    // What the pod asks itself is answered to it.
    pod.send(Message::Ping("of the pod".into())).await.unwrap();
    let listening = tokio::spawn(async move {
        while let Some(Ok(message)) = browser.next().await {
            if message == Message::text("end") {
                break;
            }
        }
        browser
    });
    assert_eq!(next(&mut pod).await, Message::Pong("of the pod".into()));
    pod.send("end".into()).await.unwrap();
    let mut browser = listening.await.unwrap();
    browser.send("still here".into()).await.unwrap();
    assert_eq!(next(&mut pod).await, Message::text("still here"));
}

#[tokio::test]
async fn who_is_busy_is_not_pinged_and_who_only_listens_is() {
    let pace = Pace {
        ping: Duration::from_secs(2),
        ..QUICK
    };
    let rig = rig(pace, 1 << 16);
    let mut browser = ends(rig.browser, Role::Client).await;
    let mut pod = ends(rig.pod, Role::Server).await;
    // Words one after the other, from the pod alone: the browser's silence is broken by our ping.
    let began = Instant::now();
    let mut pings = 0;
    while pings == 0 && began.elapsed() < PATIENCE {
        pod.send("tick".into()).await.unwrap();
        match next(&mut browser).await {
            Message::Ping(_) => pings += 1,
            message => assert_eq!(message, Message::text("tick")),
        }
        sleep(Duration::from_millis(5)).await;
    }
    assert!(
        pings == 1 && began.elapsed() >= pace.ping,
        "{pings} {:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn whoever_may_no_more_is_told_by_a_close_code_and_the_pod_that_they_have_gone() {
    for (why, code) in [(Why::Revoked, 1008), (Why::Ending, 1001)] {
        let rig = rig(QUIET, 1 << 16);
        let mut browser = ends(rig.browser, Role::Client).await;
        let mut pod = ends(rig.pod, Role::Server).await;
        rig.cut.send(why).unwrap();
        let (told, gone) = tokio::join!(next(&mut browser), next(&mut pod));
        let Message::Close(Some(told)) = told else {
            panic!("{told:?}");
        };
        assert_eq!(u16::from(told.code), code);
        assert!(!told.reason.is_empty());
        assert_eq!(gone, close(1001, "the browser has gone"));
        assert_eq!(rig.ended.await.unwrap(), Ended::Cut(why));
    }
}

#[tokio::test]
async fn a_pod_that_vanishes_is_told_as_gone() {
    let rig = rig(QUIET, 1 << 16);
    let mut browser = ends(rig.browser, Role::Client).await;
    drop(rig.pod);
    let Message::Close(Some(told)) = next(&mut browser).await else {
        panic!("no close");
    };
    assert_eq!(u16::from(told.code), 1001);
    drop(browser);
    assert_eq!(rig.ended.await.unwrap(), Ended::Closed);
}

#[tokio::test]
async fn a_browser_that_does_not_answer_is_gone_also_when_it_reads_nothing() {
    let pace = Pace {
        silence: Duration::from_millis(200),
        ..QUICK
    };
    for window in [1 << 16, 8] {
        let rig = rig(pace, window);
        let mut pod = ends(rig.pod, Role::Server).await;
        // With the small window the relay is in the middle of this frame.
        tokio::spawn(async move {
            let _ = pod.send(Message::binary(vec![1; 4096])).await;
            while let Some(Ok(_)) = pod.next().await {}
        });
        let ended = timeout(PATIENCE, rig.ended).await.unwrap().unwrap();
        assert_eq!(ended, Ended::Silent);
        drop(rig.browser);
    }
}

#[tokio::test]
async fn whoever_speaks_no_websocket_is_cut_and_nothing_of_it_passes() {
    let mut rig = rig(QUIET, 1 << 16);
    rig.pod.write_all(&[0x83, 1, 7]).await.unwrap();
    let mut browser = ends(rig.browser, Role::Client).await;
    let Message::Close(Some(told)) = next(&mut browser).await else {
        panic!("no close");
    };
    assert_eq!(u16::from(told.code), 1002);
    assert_eq!(rig.ended.await.unwrap(), Ended::Broken);
}

#[tokio::test]
async fn a_cut_in_the_middle_of_a_frame_comes_after_it_or_not_at_all() {
    let mut rig = rig(QUIET, 1 << 16);
    // Two of five bytes.
    rig.pod.write_all(&[0x82, 5, 1, 2]).await.unwrap();
    let mut head = [0; 4];
    rig.browser.read_exact(&mut head).await.unwrap();
    rig.cut.send(Why::Revoked).unwrap();
    rig.pod.write_all(&[3, 4, 5]).await.unwrap();
    let mut rest = [0; 7];
    timeout(PATIENCE, rig.browser.read_exact(&mut rest))
        .await
        .unwrap()
        .unwrap();
    let length = u8::try_from(2 + Ended::Cut(Why::Revoked).word().1.len()).unwrap();
    assert_eq!(rest, [3, 4, 5, 0x88, length, 3, 240], "the rest, then 1008");
}
