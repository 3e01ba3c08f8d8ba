//! NetworkPolicies of a lab of size node, for real: packets, not objects. Needs root and KUBELAB_TEST=1.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by failing"
)]

mod support;

use std::{
    net::{SocketAddr, TcpStream},
    process::Command,
    time::Duration,
};

use kubelab::{Lab, Size};
use support::{Temporary, apply, enabled, eventually, kubectl};

/// A server with two ports and its clients, in two namespaces. The address of the server's Service is the same as
/// seen from everywhere; its probe is the node's.
const PODS: &str = r"
apiVersion: v1
kind: Namespace
metadata: {name: a, labels: {team: red}}
---
apiVersion: v1
kind: Namespace
metadata: {name: b, labels: {team: blue}}
---
apiVersion: v1
kind: Service
metadata: {namespace: a, name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: 30081}]}
";

fn pod(namespace: &str, name: &str, more: &str, script: &str) -> String {
    format!(
        "\n---\napiVersion: v1\nkind: Pod\nmetadata: {{namespace: {namespace}, name: {name}, labels: {{app: {name}}}}}\n\
         spec:\n  terminationGracePeriodSeconds: 0\n  restartPolicy: Never\n  containers:\n  - name: main\n    \
         image: docker.io/devserver/busybox:lab\n    imagePullPolicy: IfNotPresent\n    {more}\n    \
         command: [/bin/busybox, sh, -c, '{script}']\n"
    )
}

const SERVE: &str = "mkdir /tmp/www; echo ok >/tmp/www/index.html; httpd -p 8080 -h /tmp/www; exec httpd -f -p 9090 -h /tmp/www";
const SERVER: &str = "ports: [{name: http, containerPort: 8080}, {name: admin, containerPort: 9090}]\n    \
                      readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}";

fn policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{namespace: a, name: {name}}}\nspec: {spec}\n"
    )
}

/// What a script of a pod asks with: silence ends it after a second with the words "timed out".
fn question(address: &str) -> String {
    let (host, port) = address.split_once(':').unwrap();
    format!(r#"printf "GET / HTTP/1.0\r\n\r\n" | nc -w 1 {host} {port} 2>&1"#)
}

/// Asks from inside a pod; gives the answer, or says that there was none.
fn ask(lab: &Lab, from: &str, address: &str) -> Result<String, String> {
    let (namespace, pod) = from.split_once('/').unwrap();
    let script = format!("{}; true", question(address));
    let shell = ["--", "/bin/busybox", "sh", "-c", &script];
    let text = kubectl(lab, &[&["-n", namespace, "exec", pod], &shell[..]].concat())?;
    if text.starts_with("HTTP/1") {
        Ok(text)
    } else {
        Err(text)
    }
}

/// Policies come into force a moment after the API server has them: both wait for it.
fn reaches(lab: &Lab, from: &str, address: &str) {
    let what = format!("{from} to reach {address}");
    let page = eventually(&what, 15, || ask(lab, from, address));
    assert!(page.ends_with("\nok"), "{what}: {page}");
}

fn is_kept_from(lab: &Lab, from: &str, address: &str) {
    let what = format!("{from} to be kept from {address}");
    eventually(&what, 15, || match ask(lab, from, address) {
        Err(text) if text.contains("timed out") => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

/// Whether a connection from the host's own network is made.
fn host_reaches(address: &str) -> Result<(), String> {
    let address: SocketAddr = address.parse().unwrap();
    let connected = TcpStream::connect_timeout(&address, Duration::from_secs(1));
    connected.map(drop).map_err(|error| error.to_string())
}

fn host_is_kept_from(address: &str) {
    eventually(
        &format!("the host to be kept from {address}"),
        15,
        || match host_reaches(address) {
            Err(text) if text.contains("timed out") => Ok(()),
            other => Err(format!("{other:?}")),
        },
    );
}

fn delete(lab: &Lab, name: &str) {
    kubectl(lab, &["-n", "a", "delete", "networkpolicy", name]).unwrap();
}

/// The addresses that the checks go to.
struct Target {
    web: String,
    admin: String,
    service: String,
}

fn started(lab: &Lab) -> Target {
    let clients = [("a", "friend"), ("a", "stranger"), ("b", "other")];
    let clients = clients.map(|(namespace, name)| pod(namespace, name, "", "exec sleep 3600"));
    apply(
        lab,
        &format!(
            "{PODS}{}{}",
            pod("a", "web", SERVER, SERVE),
            clients.concat()
        ),
    );
    for namespace in ["a", "b"] {
        let all = [
            "-n",
            namespace,
            "wait",
            "--for=condition=Ready",
            "pod",
            "--all",
            "--timeout=60s",
        ];
        kubectl(lab, &all).unwrap();
    }
    let field = |object: &str, path: &str| {
        kubectl(
            lab,
            &[
                "-n",
                "a",
                "get",
                object,
                "-o",
                &format!("jsonpath={{{path}}}"),
            ],
        )
        .unwrap()
    };
    let web = field("pod/web", ".status.podIP");
    Target {
        admin: format!("{web}:9090"),
        web: format!("{web}:8080"),
        service: format!("{}:80", field("service/web", ".spec.clusterIP")),
    }
}

/// Without policies everybody reaches everything.
fn open(lab: &Lab, target: &Target) {
    for from in ["a/friend", "a/stranger", "b/other", "a/web"] {
        for address in [&target.web, &target.admin, &target.service] {
            reaches(lab, from, address);
        }
    }
    host_reaches(&target.web).unwrap();
}

/// Pods have addresses of IPv6 on their links, which no policy can name: isolated pods are not reached by them.
fn link_local(lab: &Lab) {
    let exec = |pod: &str, script: &str| {
        let shell = ["--", "/bin/busybox", "sh", "-c", script];
        kubectl(lab, &[&["-n", "a", "exec", pod], &shell[..]].concat())
    };
    let addresses = exec("web", "ip -6 address show dev eth0").unwrap();
    let words = addresses.split([' ', '/']);
    let address = words.into_iter().find(|word| word.starts_with("fe80:"));
    let ping = format!("ping -6 -c 1 -W 1 {}%eth0; true", address.unwrap());
    let answered = |wanted: &str| {
        eventually(&ping, 15, || {
            let text = exec("stranger", &ping)?;
            if text.contains(wanted) {
                Ok(())
            } else {
                Err(text)
            }
        });
    };
    answered(" 0% packet loss");
    apply(
        lab,
        &policy("deny", "{podSelector: {matchLabels: {app: web}}}"),
    );
    answered("100% packet loss");
    delete(lab, "deny");
    answered(" 0% packet loss");
}

fn ingress(lab: &Lab, target: &Target) {
    apply(
        lab,
        &policy("deny", "{podSelector: {matchLabels: {app: web}}}"),
    );
    is_kept_from(lab, "a/friend", &target.web);
    is_kept_from(lab, "b/other", &target.service);
    host_is_kept_from(&target.web);
    // A pod reaches itself, also by way of its Service; and the node's probes go on.
    reaches(lab, "a/web", &target.service);

    apply(
        lab,
        &policy(
            "allow-friend",
            "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: friend}}}], ports: [{port: http}]}]}",
        ),
    );
    reaches(lab, "a/friend", &target.web);
    reaches(lab, "a/friend", &target.service);
    is_kept_from(lab, "a/friend", &target.admin);
    is_kept_from(lab, "a/stranger", &target.web);

    apply(
        lab,
        &policy(
            "allow-blue",
            "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: blue}}}], ports: [{port: 9000, endPort: 9100}]}]}",
        ),
    );
    reaches(lab, "b/other", &target.admin);
    is_kept_from(lab, "b/other", &target.web);
    delete(lab, "allow-blue");
    is_kept_from(lab, "b/other", &target.admin);
}

/// Clients outside of the node, by their own address, whichever way they come.
fn ranges(lab: &Lab, target: &Target) {
    let node_port = format!("{}:30081", lab.plan().node());
    let allow = |range: String| {
        let spec = format!(
            "{{podSelector: {{matchLabels: {{app: web}}}}, ingress: [{{from: [{{ipBlock: {range}}}], ports: [{{port: 8080}}]}}]}}"
        );
        apply(lab, &policy("allow-range", &spec));
    };
    host_is_kept_from(&node_port);
    allow(format!("{{cidr: {}/32}}", lab.plan().host()));
    for address in [&node_port, &target.web, &target.service] {
        eventually(&format!("the host to reach {address}"), 15, || {
            host_reaches(address)
        });
    }
    host_is_kept_from(&target.admin);
    allow(format!(
        "{{cidr: 198.18.0.0/15, except: [{}]}}",
        lab.plan().link()
    ));
    host_is_kept_from(&node_port);
    reaches(lab, "a/stranger", &target.web);
    delete(lab, "allow-range");
    is_kept_from(lab, "a/stranger", &target.web);
}

fn deletion(lab: &Lab, target: &Target) {
    delete(lab, "deny");
    // The pod is still selected by what remains.
    is_kept_from(lab, "a/stranger", &target.web);
    delete(lab, "allow-friend");
    open(lab, target);
}

/// Gives the node an address that stands for a cloud's metadata service.
fn add_to_node(lab: &Lab, address: &str) {
    let added = Command::new("nsenter")
        .arg(format!("--net={}", lab.namespace().display()))
        .args([
            "ip",
            "address",
            "add",
            &format!("{address}/32"),
            "dev",
            "lo",
        ])
        .status();
    assert!(added.unwrap().success());
}

fn egress(lab: &Lab, target: &Target) {
    let metadata = "169.254.169.254";
    add_to_node(lab, metadata);
    // The kubelet answers plain HTTP with an error.
    let kubelet = |host: &str| format!("{host}:10250");
    let answers = |host: &str| {
        let what = format!("an answer of {host}");
        let text = eventually(&what, 15, || ask(lab, "a/friend", &kubelet(host)));
        assert!(text.contains("400 Bad Request"), "{what}: {text}");
    };
    answers(metadata);
    apply(
        lab,
        &policy(
            "out",
            "{podSelector: {matchLabels: {app: friend}}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: \
             {matchLabels: {kubernetes.io/metadata.name: kube-system}}}], ports: [{port: 53, protocol: UDP}, {port: 53}]}]}",
        ),
    );
    is_kept_from(lab, "a/friend", &kubelet(metadata));
    is_kept_from(lab, "a/friend", &target.web);
    is_kept_from(lab, "a/friend", &target.service);
    reaches(lab, "a/stranger", &target.web);
    let name = [
        "-n",
        "a",
        "exec",
        "friend",
        "--",
        "/bin/busybox",
        "nslookup",
        "web.a.svc.cluster.local",
    ];
    let found = eventually("a name of the cluster", 15, || kubectl(lab, &name));
    assert!(
        found.contains(target.service.trim_end_matches(":80")),
        "{found}"
    );
    apply(
        lab,
        &policy(
            "out-to-all-but-metadata",
            "{podSelector: {matchLabels: {app: friend}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: \
             0.0.0.0/0, except: [169.254.169.254/32]}}]}]}",
        ),
    );
    reaches(lab, "a/friend", &target.service);
    answers(&lab.plan().node().to_string());
    is_kept_from(lab, "a/friend", &kubelet(metadata));
    delete(lab, "out");
    delete(lab, "out-to-all-but-metadata");
    answers(metadata);
}

/// The first thing these containers do is to try, and nothing of them is let through.
fn from_the_start(lab: &Lab, target: &Target) {
    apply(
        lab,
        &policy("no-way-out", "{podSelector: {}, policyTypes: [Egress]}"),
    );
    is_kept_from(lab, "a/stranger", &target.web);
    let script = format!(
        "for i in 1 2 3 4 5; do {} && echo OPEN; done; echo done",
        question(&target.web)
    );
    let names = ["early-1", "early-2", "early-3", "early-4"];
    let pods: String = names.map(|name| pod("a", name, "", &script)).concat();
    apply(lab, pods.trim_start_matches("\n---\n"));
    for name in names {
        let log = eventually(&format!("the end of {name}"), 60, || {
            let log = kubectl(lab, &["-n", "a", "logs", name])?;
            if log.contains("done") {
                Ok(log)
            } else {
                Err(log)
            }
        });
        assert!(
            !log.contains("OPEN") && log.contains("timed out"),
            "{name}: {log}"
        );
    }
    delete(lab, "no-way-out");
    reaches(lab, "a/stranger", &target.web);
}

#[test]
fn policies_decide_on_packets_from_a_pods_first_one_until_they_are_deleted() {
    if !enabled("policies_decide_on_packets_from_a_pods_first_one_until_they_are_deleted") {
        return;
    }
    let temporary = Temporary::new("policy");
    let lab = temporary.up_with(Size::Node, &["busybox"]);
    let target = started(&lab);
    open(&lab, &target);
    link_local(&lab);
    ingress(&lab, &target);
    ranges(&lab, &target);
    deletion(&lab, &target);
    egress(&lab, &target);
    from_the_start(&lab, &target);
    let ready = "jsonpath={.status.containerStatuses[0].ready}";
    assert_eq!(
        kubectl(&lab, &["-n", "a", "get", "pod", "web", "-o", ready]).unwrap(),
        "true"
    );
    temporary.down();
}
