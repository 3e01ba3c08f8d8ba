//! Starting what was suspended.

use std::sync::{Arc, Mutex, OnceLock};

use devserver_api::suspension::SuspendedBy;
use devserver_gateway::{
    gateway::Gateway,
    target::ServerId,
    wake::{Error, Wake},
};
use futures::future::BoxFuture;

use crate::{
    client::Client,
    machines::settle,
    rig::{Rig, new_key, pod_address},
};

/// What the cluster does when `spec.suspend` becomes false, as far as the table shows it.
#[derive(Default)]
struct Starter {
    gateway: OnceLock<Arc<Gateway>>,
    wishes: Mutex<Vec<(ServerId, bool)>>,
}

impl Wake for Starter {
    fn wake<'a>(
        &'a self,
        id: &'a ServerId,
        _: &'a str,
        by_policy: bool,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.wishes.lock().unwrap().push((id.clone(), by_policy));
        let gateway = self.gateway.get().unwrap();
        gateway.change(|table| {
            let mut server = table.server(id).cloned().unwrap();
            server.suspended = false;
            table.put_server(id.clone(), server);
        });
        Box::pin(async { Ok(()) })
    }
}

async fn rig(allowed: bool) -> (Rig, Arc<Starter>) {
    let starter = Arc::new(Starter::default());
    let wake = Arc::clone(&starter);
    let rig = Rig::with(|parts| {
        parts.settings.wake = allowed;
        parts.wake = Some(wake);
    });
    assert!(starter.gateway.set(Arc::clone(&rig.gateway)).is_ok());
    rig.streets.echo(pod_address("alice")).await;
    (rig, starter)
}

fn suspend(rig: &Rig, by_policy: bool) {
    rig.change("alice", |server, _| {
        server.suspended = true;
        server.suspended_by = if by_policy {
            SuspendedBy::Policy("idle".to_owned())
        } else {
            SuspendedBy::User("alice".to_owned())
        };
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_starts_what_a_policy_suspended_and_nothing_else() {
    let (rig, starter) = rig(true).await;
    let client = Client::login(&rig, "alice", &rig.alice).await;
    suspend(&rig, false);
    let (_, words) = client.open("box", 22).await.unwrap_err();
    assert!(words.contains("suspended by alice"), "{words}");
    assert!(starter.wishes.lock().unwrap().is_empty());
    suspend(&rig, true);
    assert!(client.open("box", 22).await.is_ok());
    assert!(
        starter
            .wishes
            .lock()
            .unwrap()
            .iter()
            .all(|(_, by_policy)| *by_policy)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_starts_their_own_by_command_and_sees_how_it_goes() {
    let (rig, starter) = rig(true).await;
    suspend(&rig, false);
    let (said, status) = Client::login(&rig, "alice", &rig.alice)
        .await
        .exec("wake box")
        .await;
    assert!(
        said.contains("is being started") && said.contains("runs"),
        "{said}"
    );
    assert_eq!(status, 0);
    rig.audited("command", "target", "wake box").await;
    let bob = Client::login(&rig, "bob", &rig.bob).await;
    suspend(&rig, false);
    let (said, status) = bob.exec("wake box.dev-alice").await;
    assert!(
        said.contains("no such environment") && status == 1,
        "{said}"
    );
    rig.change("alice", |server, _| {
        server
            .collaborators
            .insert("bob".to_owned(), std::collections::HashSet::new());
    });
    let (said, status) = bob.exec("wake box.dev-alice").await;
    assert!(said.contains("only its owner") && status == 1, "{said}");
    assert_eq!(starter.wishes.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_started_where_that_is_switched_off() {
    let (rig, starter) = rig(false).await;
    suspend(&rig, true);
    let client = Client::login(&rig, "alice", &rig.alice).await;
    let (_, words) = client.open("box", 22).await.unwrap_err();
    assert!(words.contains("devctl resume box"), "{words}");
    assert_eq!(client.exec("wake box").await.1, 1);
    assert!(starter.wishes.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_login_starts_what_the_idle_policy_stopped_and_says_so() {
    let (authority, starter) = (new_key(), Arc::new(Starter::default()));
    let (wake, key) = (Arc::clone(&starter), (*authority).clone());
    let rig = Rig::with(|parts| {
        parts.settings.wake = true;
        parts.wake = Some(wake);
        parts.authority = Some(key);
    });
    assert!(starter.gateway.set(Arc::clone(&rig.gateway)).is_ok());
    settle(&rig, "alice", authority.public_key()).await;
    suspend(&rig, true);
    // The pod comes some time after it was asked for.
    rig.change("alice", |_, pod| pod.ready = false);
    let gateway = Arc::clone(&rig.gateway);
    let comes = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        gateway.change(|table| {
            let id = crate::rig::id("box", "dev-alice");
            let server = table.server(&id).cloned().unwrap();
            let mut pod = table.pod(&id, &server).cloned().unwrap();
            pod.ready = true;
            table.put_pod(id, pod);
        });
    };
    let client = Client::login(&rig, "alice+box", &rig.alice).await;
    let ((said, status), ()) = tokio::join!(client.exec("echo err >&2"), comes);
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        [
            "box.dev-alice was suspended and is being started",
            "box.dev-alice is starting",
            "err"
        ]
    );
    assert_eq!(status, 0);
    assert_eq!(starter.wishes.lock().unwrap().len(), 1);
}
