//! What time demands. Pure: `now` is an argument, deadlines come from stored timestamps only.

use devserver_api::DevServer;
use jiff::{SignedDuration, Timestamp};

use crate::{Platform, resolve};

/// What time demands of one DevServer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Its time is over: delete it.
    pub expired: bool,
    /// When to look again.
    pub wake_at: Option<Timestamp>,
}

/// The instant after which the DevServer is deleted; `None`: never, also when its time to live is not understood.
pub fn expires_at(server: &DevServer, platform: &Platform) -> Option<Timestamp> {
    let created = server.metadata.creation_timestamp.as_ref()?.0;
    let seconds = resolve::time_to_live(server, platform).ok()??;
    created
        .checked_add(SignedDuration::from_secs(i64::try_from(seconds).ok()?))
        .ok()
}

/// What time demands.
pub fn due(server: &DevServer, platform: &Platform, now: Timestamp) -> Due {
    match expires_at(server, platform) {
        Some(at) if now >= at => Due {
            expired: true,
            wake_at: None,
        },
        wake_at => Due {
            expired: false,
            wake_at,
        },
    }
}

#[cfg(test)]
mod tests {
    use devserver_api::{DevServerSpec, LifecycleSpec, SshSpec};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn server(ttl: Option<&str>) -> DevServer {
        let mut server = DevServer::new(
            "x",
            DevServerSpec {
                owner: None,
                flavor: None,
                image: None,
                suspend: false,
                ssh: SshSpec::default(),
                persistent_home_size: None,
                storage_class_name: None,
                shared_volume_claim_name: None,
                lifecycle: Some(LifecycleSpec {
                    time_to_live: ttl.map(str::to_owned),
                    ..LifecycleSpec::default()
                }),
            },
        );
        server.metadata.creation_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        server
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn it_expires_at_its_second_and_not_one_before() {
        let (server, platform) = (server(Some("1h")), Platform::default());
        assert_eq!(
            due(&server, &platform, at(3599)),
            Due {
                expired: false,
                wake_at: Some(at(3600))
            }
        );
        assert!(due(&server, &platform, at(3600)).expired);
        assert!(due(&server, &platform, at(3601)).expired);
    }

    #[test]
    fn what_has_no_time_to_live_and_what_is_not_understood_never_expires() {
        let platform = Platform::default();
        for ttl in [None, Some("nonsense"), Some("-1h"), Some("")] {
            assert_eq!(
                due(&server(ttl), &platform, at(250_000_000_000)),
                Due::default(),
                "{ttl:?}"
            );
        }
    }

    #[test]
    fn the_platform_bound_ends_what_asks_for_no_time() {
        let platform = Platform {
            max_time_to_live: Some("2h".to_owned()),
            ..Platform::default()
        };
        assert_eq!(expires_at(&server(None), &platform), Some(at(7200)));
    }
}
