//! One policy of each shape, and the rules that admit what it admits.

use super::{chain, policy, rules, with};

/// What a policy in namespace `a` is, and the rules of its chains: none is a direction that it does not isolate.
struct Shape {
    what: &'static str,
    spec: &'static str,
    ingress: Option<&'static str>,
    egress: Option<&'static str>,
}

const fn ingress(what: &'static str, spec: &'static str, rules: &'static str) -> Shape {
    Shape {
        what,
        spec,
        ingress: Some(rules),
        egress: None,
    }
}

const fn egress(what: &'static str, spec: &'static str, rules: &'static str) -> Shape {
    Shape {
        what,
        spec,
        ingress: None,
        egress: Some(rules),
    }
}

const TYPES: [Shape; 6] = [
    ingress("no types and no rules: ingress", "podSelector: {}", ""),
    ingress("no selector selects all", "ingress: [{}]", "accept"),
    Shape {
        what: "no types and an egress rule: both",
        spec: "{podSelector: {}, egress: [{}]}",
        ingress: Some(""),
        egress: Some("accept"),
    },
    egress(
        "only egress",
        "{podSelector: {}, policyTypes: [Egress]}",
        "",
    ),
    Shape {
        what: "both, with nothing admitted",
        spec: "{podSelector: {}, policyTypes: [Ingress, Egress]}",
        ingress: Some(""),
        egress: Some(""),
    },
    ingress(
        "rules of a direction that is not in the types do not count",
        "{podSelector: {}, policyTypes: [Ingress], egress: [{}]}",
        "",
    ),
];

const PEERS: [Shape; 11] = [
    ingress(
        "pods of the same namespace",
        "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}",
        "ip saddr { 198.19.0.2 } accept",
    ),
    ingress(
        "all pods of the same namespace",
        "{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}",
        "ip saddr { 198.19.0.2, 198.19.0.3 } accept",
    ),
    ingress(
        "all pods of all namespaces",
        "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}",
        "ip saddr { 198.19.0.2, 198.19.0.3, 198.19.0.4 } accept",
    ),
    ingress(
        "pods of other namespaces",
        "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: blue}}}]}]}",
        "ip saddr { 198.19.0.4 } accept",
    ),
    ingress(
        "both selectors in one peer",
        "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: team, operator: In, \
         values: [red, blue]}]}, podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [db]}]}}]}]}",
        "ip saddr { 198.19.0.2, 198.19.0.4 } accept",
    ),
    ingress(
        "either selector in two peers",
        "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: blue}}}, {podSelector: \
         {matchLabels: {app: db}}}]}]}",
        "ip saddr { 198.19.0.3, 198.19.0.4 } accept",
    ),
    ingress(
        "peers that do not exist admit nobody",
        "{podSelector: {}, ingress: [{from: [{podSelector: {matchExpressions: [{key: x, operator: Exists}]}}]}]}",
        "",
    ),
    egress(
        "a range with exceptions, one of them inside another",
        "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: \
         [169.254.169.254/32, 169.254.0.0/16, 10.0.0.0/8]}}]}]}",
        "ip daddr != { 169.254.0.0/16, 10.0.0.0/8 } accept",
    ),
    egress(
        "ranges",
        "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.1.2.3/8, except: [10.9.0.0/16]}}, \
         {ipBlock: {cidr: 192.0.2.7/32}}, {ipBlock: {cidr: 'fd00::/8'}}]}]}",
        "ip daddr 10.0.0.0/8 ip daddr != { 10.9.0.0/16 } accept\nip daddr 192.0.2.7/32 accept",
    ),
    egress(
        "everything of IPv4",
        "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}",
        "meta nfproto ipv4 accept",
    ),
    egress(
        "rules add up",
        "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: db}}}]}, {to: \
         [{ipBlock: {cidr: 192.0.2.0/24}}]}]}",
        "ip daddr { 198.19.0.3 } accept\nip daddr 192.0.2.0/24 accept",
    ),
];

const PORTS: [Shape; 10] = [
    ingress(
        "a port is of TCP",
        "{podSelector: {}, ingress: [{ports: [{port: 80}]}]}",
        "tcp dport { 80 } accept",
    ),
    ingress(
        "protocols apart",
        "{podSelector: {}, ingress: [{ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}, {port: 5, \
         protocol: SCTP}]}]}",
        "sctp dport { 5 } accept\ntcp dport { 53 } accept\nudp dport { 53 } accept",
    ),
    ingress(
        "ranges that overlap or touch become one",
        "{podSelector: {}, ingress: [{ports: [{port: 90, endPort: 100}, {port: 80, endPort: 95}, {port: 101}, {port: \
         7}, {port: 65535}]}]}",
        "tcp dport { 7, 80-101, 65535 } accept",
    ),
    ingress(
        "a protocol without a port is all of its ports",
        "{podSelector: {}, ingress: [{ports: [{protocol: UDP}, {protocol: UDP, port: 53}]}]}",
        "meta l4proto udp accept",
    ),
    ingress(
        "a name is each receiver's own",
        "{podSelector: {}, ingress: [{ports: [{port: http}]}]}",
        "ip daddr . tcp dport { 198.19.0.2 . 8080, 198.19.0.3 . 9090 } accept",
    ),
    ingress(
        "a name is only that of the pods selected",
        "{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: http}]}]}",
        "ip daddr . tcp dport { 198.19.0.3 . 9090 } accept",
    ),
    ingress(
        "a name of another protocol is another name",
        "{podSelector: {}, ingress: [{ports: [{port: dns}, {port: dns, protocol: UDP}]}]}",
        "ip daddr . udp dport { 198.19.0.2 . 5353 } accept",
    ),
    ingress(
        "a name that nobody has admits nothing",
        "{podSelector: {}, ingress: [{ports: [{port: nothing}]}]}",
        "",
    ),
    ingress(
        "each peer with each port",
        "{podSelector: {}, ingress: [{from: [{podSelector: {}}, {ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 22}, \
         {port: http}]}]}",
        "ip saddr { 198.19.0.2, 198.19.0.3 } tcp dport { 22 } accept\n\
         ip saddr { 198.19.0.2, 198.19.0.3 } ip daddr . tcp dport { 198.19.0.2 . 8080, 198.19.0.3 . 9090 } accept\n\
         ip saddr 192.0.2.0/24 tcp dport { 22 } accept\n\
         ip saddr 192.0.2.0/24 ip daddr . tcp dport { 198.19.0.2 . 8080, 198.19.0.3 . 9090 } accept",
    ),
    egress(
        "a name of egress is the receivers'",
        "{podSelector: {matchLabels: {app: db}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: \
         {app: web}}}], ports: [{port: http}]}]}",
        "ip daddr { 198.19.0.2 } ip daddr . tcp dport { 198.19.0.2 . 8080, 198.19.0.3 . 9090 } accept",
    ),
];

#[test]
fn each_shape_of_policy_becomes_these_rules() {
    for shape in TYPES.iter().chain(&PEERS).chain(&PORTS) {
        let text = rules(&with(vec![policy("a", "it", shape.spec)])).text;
        let what = shape.what;
        assert_eq!(
            chain(&text, "ingress/a/it").as_deref(),
            shape.ingress,
            "{what}\n{text}"
        );
        assert_eq!(
            chain(&text, "egress/a/it").as_deref(),
            shape.egress,
            "{what}\n{text}"
        );
    }
}

#[test]
fn a_selector_that_cannot_be_read_isolates_all_and_admits_nobody() {
    let unreadable = "{matchExpressions: [{key: x, operator: Nonsense}]}";
    let spec = format!(
        "{{podSelector: {unreadable}, ingress: [{{from: [{{podSelector: {unreadable}}}, {{namespaceSelector: {unreadable}}}]}}]}}"
    );
    let set = rules(&with(vec![policy("a", "it", &spec)]));
    assert_eq!(set.isolated, 2);
    assert_eq!(chain(&set.text, "ingress/a/it").as_deref(), Some(""));
}
