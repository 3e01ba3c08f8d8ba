//! What the last step of a pod's network says, and what the gate makes of it.

use super::super::gate::read;

const WORDS: &str = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=0123;K8S_POD_UID=7f-1";

#[test]
fn the_pod_and_its_address_are_read_and_the_result_is_handed_on() {
    let text = format!(
        "{WORDS}\n{}",
        r#"{"name":"lab","prevResult":{"cniVersion":"1.0.0","ips":[{"address":"fd00::2/64"},{"address":"198.19.0.5/21","gateway":"198.19.0.1"}]}}"#
    );
    let (announcement, result) = read(&text).unwrap();
    assert_eq!(announcement.uid, "7f-1");
    assert_eq!(announcement.pod, "default/web");
    assert_eq!(announcement.address.to_string(), "198.19.0.5");
    assert_eq!(result["cniVersion"], "1.0.0");
    assert_eq!(result["ips"][1]["gateway"], "198.19.0.1");
}

#[test]
fn a_question_that_lacks_something_is_refused_with_what_it_lacks() {
    let config = r#"{"prevResult":{"ips":[{"address":"198.19.0.5/21"}]}}"#;
    for (text, lacking) in [
        (format!("K8S_POD_NAME=web\n{config}"), "K8S_POD_UID"),
        (format!("{WORDS}\n{{}}"), "the pod's address"),
        (format!("{WORDS}\nnot json"), "the configuration"),
        (WORDS.to_owned(), "the configuration"),
        (String::new(), "the configuration"),
    ] {
        let why = read(&text).unwrap_err();
        assert!(why.contains(lacking), "{text}: {why}");
    }
}
