//! What the operator advises: memory that ran out, volumes that fill, work that is nowhere else.

use devserver_api::DevServer;

use super::Line;

/// One line for each advice; nothing while it is stopped.
pub(super) fn lines(server: &DevServer) -> Vec<Line> {
    let told = server.status.iter().flat_map(|status| &status.advice);
    let line = |advice: &devserver_api::Advice| {
        Line::new(&advice.reason, advice.message.clone())
            .next(next(&advice.reason))
            .remedy(advice.remedy.clone())
    };
    told.map(line).collect()
}

/// What comes of it if nobody does anything.
fn next(reason: &str) -> &'static str {
    match reason {
        "OutOfMemory" => "what needs more memory than there is, is ended again",
        "HomeFull" => "nothing can be written to the home any more",
        "HomeFilling" | "HomeNearlyFull" => {
            "when it is full, nothing can be written to the home any more"
        }
        "DockerFull" => "no image can be pulled or built any more",
        "DockerFilling" | "DockerNearlyFull" => {
            "when it is full, no image can be pulled or built any more"
        }
        "UnsavedWork" => "it stays in the home, also while the environment is stopped",
        _ => "nothing by itself",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_advice_says_what_comes_of_it_and_what_to_do() {
        let advice = |reason: &str| json!({"reason": reason, "message": "m", "remedy": "r"});
        let server: DevServer = serde_json::from_value(json!({
            "apiVersion": "devserver.io/v1", "kind": "DevServer", "spec": {"ssh": {}}, "metadata": {"name": "a"},
            "status": {"advice": [advice("OutOfMemory"), advice("HomeFull"), advice("DockerFilling"), advice("News")]},
        }))
        .unwrap();
        let lines = lines(&server);
        let nexts: Vec<&str> = lines.iter().map(|line| line.next.as_str()).collect();
        assert!(
            nexts[0].contains("ended again") && nexts[1].contains("any more"),
            "{nexts:?}"
        );
        assert!(nexts[2].starts_with("when it is full"), "{nexts:?}");
        assert!(
            lines
                .iter()
                .all(|line| line.signal == "m" && line.remedy.as_deref() == Some("r"))
        );
        assert_eq!(lines[3].rule, "News");
    }
}
