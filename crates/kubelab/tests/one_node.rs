//! Labs of size node, for real: pods run. Needs root and KUBELAB_TEST=1.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by failing"
)]

mod support;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use kubelab::{Lab, Size};
use support::{Temporary, apply, enabled, eventually, kill, kubectl};

/// A web server that serves what it has written to a volume, as somebody who is not root in a user namespace.
const WEB: &str = r"
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: 30080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  hostUsers: false
  terminationGracePeriodSeconds: 0
  securityContext: {runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000}
  containers:
  - name: web
    image: docker.io/devserver/busybox:lab
    imagePullPolicy: IfNotPresent
    command: [/bin/busybox, sh, -c, 'echo hello from a volume >/data/index.html && exec /bin/busybox httpd -f -p 8080 -h /data']
    readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
    volumeMounts: [{name: data, mountPath: /data}, {name: image, mountPath: /image}]
  volumes:
  - name: data
    persistentVolumeClaim: {claimName: data}
  - name: image
    image: {reference: 'docker.io/devserver/pause:lab', pullPolicy: IfNotPresent}
";

/// The body of a page, asked for from the host's own network.
fn page(address: &str) -> Result<String, String> {
    let mut answer = String::new();
    let target = address
        .parse()
        .map_err(|error| format!("{address}: {error}"))?;
    let socket = TcpStream::connect_timeout(&target, Duration::from_secs(2));
    let read = socket.and_then(|mut socket| {
        socket.set_read_timeout(Some(Duration::from_secs(2)))?;
        socket.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        socket.read_to_string(&mut answer)
    });
    read.map_err(|error| format!("{address}: {error}"))?;
    Ok(answer
        .split("\r\n\r\n")
        .nth(1)
        .unwrap_or_default()
        .trim()
        .to_owned())
}

fn field(lab: &Lab, object: &str, path: &str) -> String {
    kubectl(lab, &["get", object, "-o", &format!("jsonpath={{{path}}}")]).unwrap()
}

fn web_ready(lab: &Lab) {
    apply(lab, WEB);
    let ready = kubectl(
        lab,
        &["wait", "--for=condition=Ready", "pod/web", "--timeout=60s"],
    );
    ready.unwrap_or_else(|error| {
        panic!(
            "{error}\n{}",
            kubectl(lab, &["describe", "pod", "web"]).unwrap()
        )
    });
}

fn exec(lab: &Lab, script: &str) -> Result<String, String> {
    kubectl(
        lab,
        &[
            "exec",
            "web",
            "--",
            "/bin/busybox",
            "timeout",
            "20",
            "/bin/busybox",
            "sh",
            "-c",
            script,
        ],
    )
}

#[test]
fn pods_volumes_names_and_ports_work_and_down_leaves_nothing() {
    if !enabled("pods_volumes_names_and_ports_work_and_down_leaves_nothing") {
        return;
    }
    let temporary = Temporary::new("node");
    let lab = temporary.up_with(Size::Node, &["busybox"]);
    web_ready(&lab);

    assert_eq!(
        exec(&lab, "id -u; cat /data/index.html").unwrap(),
        "1000\nhello from a volume"
    );
    assert!(
        exec(&lab, "cat /proc/self/uid_map")
            .unwrap()
            .split_whitespace()
            .nth(1)
            != Some("0")
    );
    assert!(exec(&lab, "ls /image").unwrap().contains("pause"));
    let name = "nslookup kubernetes.default.svc.cluster.local";
    let answer = eventually("a name of the cluster", 20, || exec(&lab, name));
    assert!(
        answer.contains(&lab.plan().kubernetes().to_string()),
        "{answer}"
    );

    let cluster = format!("{}:80", field(&lab, "service/web", ".spec.clusterIP"));
    let pod = format!("{}:8080", field(&lab, "pod/web", ".status.podIP"));
    for address in [format!("{}:30080", lab.plan().node()), cluster, pod] {
        assert_eq!(
            eventually("a page", 20, || page(&address)),
            "hello from a volume",
            "{address}"
        );
    }
    let metrics = format!("/api/v1/nodes/{}/proxy/metrics/cadvisor", lab.name().node());
    eventually("metrics of containers", 60, || {
        let text = kubectl(&lab, &["get", "--raw", &metrics])?;
        let row = text.lines().find(|row| {
            row.starts_with("container_memory_working_set_bytes")
                && row.contains(r#"container="web""#)
        });
        row.map(drop)
            .ok_or_else(|| "no row for the container".to_owned())
    });

    kubectl(&lab, &["delete", "pod/web", "pvc/data", "--timeout=60s"]).unwrap();
    eventually("the volume to be gone", 30, || {
        let volumes = kubectl(&lab, &["get", "pv", "-o", "name"])?;
        if volumes.is_empty() {
            Ok(())
        } else {
            Err(volumes)
        }
    });
    web_ready(&lab);
    // Down with a running pod that holds a volume.
    temporary.down();
}

#[test]
fn two_nodes_run_side_by_side_and_a_crashed_one_is_cleaned_without_touching_the_other() {
    if !enabled(
        "two_nodes_run_side_by_side_and_a_crashed_one_is_cleaned_without_touching_the_other",
    ) {
        return;
    }
    let (one, two) = (Temporary::new("na"), Temporary::new("na-b"));
    let left = one.up_with(Size::Node, &["busybox"]);
    let right = two.up_with(Size::Node, &["busybox"]);
    web_ready(&left);
    web_ready(&right);
    for component in ["kubelet", "containerd", "kube-apiserver"] {
        kill(&left, component);
    }
    let left = one.up_with(Size::Node, &["busybox"]);
    web_ready(&left);
    let port = |lab: &Lab| format!("{}:30080", lab.plan().node());
    eventually("the left page", 20, || page(&port(&left)));
    assert_eq!(page(&port(&right)).unwrap(), "hello from a volume");
    one.down();
    assert_eq!(page(&port(&right)).unwrap(), "hello from a volume");
    assert_eq!(
        field(
            &right,
            "pod/web",
            ".status.containerStatuses[0].restartCount"
        ),
        "0"
    );
    two.down();
}
