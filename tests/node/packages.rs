//! Packages are installed in the background, below the home, and a failure is shown.

use std::time::Duration;

use anyhow::ensure;
use devserver_testkit::wait::{Seen, until};
use serde_json::json;

use crate::{machine::User, spec};

/// Says what the package says, and where it is.
pub const GREETING: &str = "python3 -c 'import greeter; print(greeter.WORD, greeter.__file__)'";

/// Makes a wheel and an index of it in the home, as the index of all packages.
pub const INDEX: &str = r#"
set -e
mkdir -p ~/index && cd ~/index
python3 - <<'END'
import zipfile, os
os.makedirs('greeter', exist_ok=True)
name = 'greeter-1.0-py3-none-any.whl'
with zipfile.ZipFile('greeter/' + name, 'w') as wheel:
    wheel.writestr('greeter.py', 'WORD = "hello"\n')
    wheel.writestr('greeter-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\nName: greeter\nVersion: 1.0\n')
    wheel.writestr('greeter-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
    wheel.writestr('greeter-1.0.dist-info/RECORD', 'greeter.py,,\ngreeter-1.0.dist-info/METADATA,,\ngreeter-1.0.dist-info/WHEEL,,\ngreeter-1.0.dist-info/RECORD,,\n')
open('greeter/index.html', 'w').write('<a href="%s">%s</a>' % (name, name))
END
mkdir -p ~/.config/pip
printf '[global]\nindex-url = file:///home/dev/index\n' > ~/.config/pip/pip.conf
"#;

#[tokio::test(flavor = "multi_thread")]
async fn packages_come_after_the_login_and_a_missing_one_is_shown() -> anyhow::Result<()> {
    let user = User::new("packages").await?;
    let server = spec::create(&user, "box", json!({})).await?;
    user.says("box", INDEX)?;
    ensure!(
        !user
            .ssh("box", "python3 -c 'import greeter'")?
            .status
            .success()
    );
    // A changed list counts without a restart; the kubelet brings it within about a minute and a half.
    let servers = user.api::<devserver_api::DevServer>();
    let patch = json!({"spec": {"packages": {"pip": ["greeter==1.0", "no-such-package"]}}});
    let params = kube::api::PatchParams::default();
    servers
        .patch("box", &params, &kube::api::Patch::Merge(patch))
        .await?;
    until("the package is there", Duration::from_mins(4), async || {
        let said = user.ssh("box", GREETING)?;
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        Ok(Seen::when(
            text.starts_with("hello /home/dev/.local/"),
            text,
        ))
    })
    .await?;
    until("the other is missed", Duration::from_mins(1), async || {
        let said = user.says(
            "box",
            "cat ~/.local/state/devserver/pip-failed 2>/dev/null || true",
        )?;
        Ok(Seen::when(
            said.contains("Not installed: no-such-package."),
            said,
        ))
    })
    .await?;
    let seen = user.greeting("box")?;
    ensure!(seen.contains("Not installed: no-such-package."), "{seen}");
    let log = user.api::<k8s_openapi::api::core::v1::Pod>();
    let log = log.logs("box-0", &kube::api::LogParams::default()).await?;
    ensure!(
        log.contains(r#""event":"packages""#) && log.contains(r#""outcome":"failed""#),
        "{log}"
    );
    ensure!(server.metadata.uid == servers.get("box").await?.metadata.uid);
    user.leave().await;
    Ok(())
}
