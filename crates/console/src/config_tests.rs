use super::*;

const GOOD: &str = "
consoleUrl: https://console.example.com
editorDomain: editors.example.com
sessionKeyFile: /key
oidc: {issuer: https://id.example.com, clientId: console, clientSecretFile: /secret, usernameClaim: email}
";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, |_| Ok(vec![7; KEY_BYTES]))
}

fn refused(text: &str) -> String {
    let error = parse(text).unwrap_err();
    format!("{:#}", anyhow::Error::from(error))
}

#[test]
fn a_complete_file_is_taken() {
    let config = parse(GOOD).unwrap();
    assert_eq!(config.console_host, "console.example.com");
    assert_eq!(config.session_lifetime, 8 * 3600);
    assert!(!config.is_trusted("10.0.0.1".parse().unwrap()));
}

#[test]
fn editors_are_beside_the_console_never_above_or_below() {
    for domain in [
        "console.example.com",
        "example.com",
        "x.console.example.com",
        "editors",
    ] {
        let text = GOOD.replace("editors.example.com", domain);
        assert!(refused(&text).contains("editorDomain"), "{domain}");
    }
}

#[test]
fn what_is_incomplete_or_unknown_does_not_start() {
    for (from, to, says) in [
        ("https://console", "http://console", "consoleUrl"),
        (
            "https://console.example.com",
            "https://console.example.com/x",
            "consoleUrl",
        ),
        ("sessionKeyFile", "sessionKeyfile", "sessionKeyfile"),
        (
            "oidc:",
            "forwardAuth: {userHeader: X-User}\noidc:",
            "exactly one",
        ),
        (
            "sessionKeyFile",
            "usernamePrefix: 'system:'\nsessionKeyFile",
            "usernamePrefix",
        ),
        (
            "sessionKeyFile",
            "sessionLifetime: 1s\nsessionKeyFile",
            "sessionLifetime",
        ),
        (
            "sessionKeyFile",
            "trustedProxies: [office]\nsessionKeyFile",
            "trustedProxies",
        ),
    ] {
        let told = refused(&GOOD.replace(from, to));
        assert!(told.contains(says), "{to}: {told}");
    }
    let short = Config::parse(GOOD, |_| Ok(vec![7; 32]))
        .unwrap_err()
        .to_string();
    assert!(short.contains("sessionKeyFile"), "{short}");
}

#[test]
fn headers_of_a_proxy_need_a_proxy_that_is_known() {
    let forward = |more: &str| {
        let without: String = GOOD
            .lines()
            .filter(|l| !l.starts_with("oidc"))
            .fold(String::new(), |t, l| t + l + "\n");
        format!("{without}forwardAuth: {{userHeader: X-Auth-Request-User}}\n{more}")
    };
    assert!(refused(&forward("")).contains("trustedProxies"));
    assert!(refused(&forward("trustedProxies: [0.0.0.0/0]")).contains("trustedProxies"));
    let config = parse(&forward("trustedProxies: [10.0.0.0/8]")).unwrap();
    assert!(config.is_trusted("::ffff:10.1.2.3".parse().unwrap()));
}

#[test]
fn what_devctl_is_told_is_checked_and_has_no_secret() {
    let told = |devctl: &str| {
        let text = format!("{GOOD}devctl: {devctl}");
        Config::parse(&text, |file| {
            Ok(match file.to_str() {
                Some("/ca") => b"-----BEGIN CERTIFICATE-----\n".to_vec(),
                _ => vec![0; 64],
            })
        })
        .map(|config| config.signpost.unwrap())
    };
    let good =
        "{clientId: devctl, server: 'https://api.example.com:6443', certificateAuthorityFile: /ca}";
    let sign = told(good).unwrap();
    assert_eq!(
        sign.oidc.scopes,
        ["profile", "email", "groups", "offline_access"]
    );
    assert!(
        sign.kubernetes.certificate_authority_data.is_some()
            && sign.oidc.certificate_authority_data.is_none()
    );
    for (wrong, field) in [
        (
            "{clientId: console, server: 'https://a'}",
            "devctl.clientId",
        ),
        ("{clientId: '', server: 'https://a'}", "devctl.clientId"),
        ("{clientId: devctl, server: 'http://a'}", "devctl.server"),
        (
            "{clientId: devctl, server: 'https://a', certificateAuthorityFile: /key}",
            "devctl.certificateAuthorityFile",
        ),
    ] {
        let error = told(wrong).unwrap_err().to_string();
        assert!(error.starts_with(field), "{error}");
    }
}
