//! The whole text once, as `nft` gets it.

use super::{policy, rules, with};

const GOLDEN: &str = r#"add table inet network-policy
delete table inet network-policy
table inet network-policy {
	chain ingress/a/allow-ssh {
		ip saddr 192.0.2.0/24 tcp dport { 22 } accept
	}
	chain ingress/a/deny {
	}
	chain pod-ingress/a/db {
		ip saddr 198.19.0.3 accept
		jump ingress/a/deny
		counter drop
	}
	chain pod-ingress/a/web {
		ip saddr 198.19.0.2 accept
		jump ingress/a/allow-ssh
		jump ingress/a/deny
		counter drop
	}
	chain egress/a/deny {
	}
	chain pod-egress/a/db {
		ip daddr 198.19.0.3 accept
		jump egress/a/deny
		counter drop
	}
	chain pod-egress/a/web {
		ip daddr 198.19.0.2 accept
		jump egress/a/deny
		counter drop
	}
	chain base-egress {
		type filter hook forward priority filter; policy accept;
		ct state established,related accept
		meta nfproto ipv6 counter drop
		ip saddr vmap { 198.19.0.3 : goto pod-egress/a/db, 198.19.0.2 : goto pod-egress/a/web }
	}
	chain base-egress-to-node {
		type filter hook input priority filter; policy accept;
		ct state established,related accept
		iifname "cni0" meta nfproto ipv6 counter drop
		ip saddr vmap { 198.19.0.3 : goto pod-egress/a/db, 198.19.0.2 : goto pod-egress/a/web }
	}
	chain base-ingress {
		type filter hook forward priority filter + 1; policy accept;
		ct state established,related accept
		meta nfproto ipv6 counter drop
		ip daddr vmap { 198.19.0.3 : goto pod-ingress/a/db, 198.19.0.2 : goto pod-ingress/a/web }
	}
}
"#;

#[test]
fn the_text_is_this() {
    let set = rules(&with(vec![
        policy(
            "a",
            "deny",
            "{podSelector: {}, policyTypes: [Ingress, Egress]}",
        ),
        policy(
            "a",
            "allow-ssh",
            "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 22}]}]}",
        ),
    ]));
    assert_eq!(set.text, GOLDEN);
    assert_eq!(set.isolated, 2);
}
