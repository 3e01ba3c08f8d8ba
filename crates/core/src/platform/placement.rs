//! Whether the settings on where environments run can be used.

use devserver_api::names;

use super::{Platform, PlatformError};

pub(super) fn check(platform: &Platform) -> Result<(), PlatformError> {
    let bad = |why: String| PlatformError::Value {
        field: "topologySpread",
        why,
    };
    let Some(spread) = &platform.topology_spread else {
        return Ok(());
    };
    if spread
        .max_skew
        .is_some_and(|skew| !(1..=1000).contains(&skew))
    {
        return Err(bad("maxSkew must be between 1 and 1000".to_owned()));
    }
    match &spread.topology_key {
        Some(key) if !names::is_label_key(key) => Err(bad(format!(
            "topologyKey {key:?} is not the key of a node label"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_that_no_pod_could_have_is_refused_at_the_start() {
        for text in ["{maxSkew: 0}", "{topologyKey: 'a b'}", "{topologyKey: ''}"] {
            let error = Platform::parse(&format!("topologySpread: {text}")).unwrap_err();
            assert!(
                error.to_string().contains("topologySpread"),
                "{text}: {error}"
            );
        }
        assert!(
            Platform::parse(
                "topologySpread: {maxSkew: 1, topologyKey: topology.kubernetes.io/zone}"
            )
            .is_ok()
        );
        assert_eq!(
            Platform::parse("topologySpread: null")
                .unwrap()
                .topology_spread,
            None
        );
    }
}
