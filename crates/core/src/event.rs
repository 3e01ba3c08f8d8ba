//! Names of events: whoever tells the same tells it under the same name, and it is told once.

/// What of a UID stands in the name of an event: enough that no two objects of one name share it.
pub fn mark(uid: Option<&str>) -> String {
    uid.into_iter()
        .flat_map(str::chars)
        .filter(char::is_ascii_hexdigit)
        .take(12)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_short_and_plain() {
        let uid = "b900178b-b983-4717-80d9-f6c6aac85d5e";
        assert_eq!(mark(Some(uid)), "b900178bb983");
        assert_eq!(mark(Some("x/../y")), "");
        assert_eq!(mark(None), "");
    }
}
