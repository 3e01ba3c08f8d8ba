//! The certificates of a lab: one authority, one key pair per component and per person. All ECDSA P-256.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use jiff::{Span, Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, string::Ia5String,
};

use crate::{
    address::Plan,
    config::LabName,
    error::{At, Error},
    paths::LabDir,
};

/// A certificate and its key, both PEM.
#[derive(Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The private key (PKCS #8).
    pub key: String,
}

/// The lab's certificate authority.
pub struct Authority {
    /// Its own certificate.
    pub certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a new authority and writes it to the lab's folder.
    pub fn create(name: &LabName, dir: &LabDir) -> Result<Self, Error> {
        let key = KeyPair::generate()?;
        let params = authority(name)?;
        let certificate = params.self_signed(&key)?.pem();
        write(&dir.join("pki/ca.crt"), &certificate)?;
        write(&dir.join("pki/ca.key"), &key.serialize_pem())?;
        Ok(Self {
            certificate,
            issuer: Issuer::new(params, key),
        })
    }

    /// Reads the authority of a running lab, to make certificates for people.
    pub fn open(name: &LabName, dir: &LabDir) -> Result<Self, Error> {
        let (certificate, key) = (dir.join("pki/ca.crt"), dir.join("pki/ca.key"));
        let key = KeyPair::from_pem(&fs::read_to_string(&key).at("read", &key)?)?;
        let certificate = fs::read_to_string(&certificate).at("read", &certificate)?;
        Ok(Self {
            certificate,
            issuer: Issuer::new(authority(name)?, key),
        })
    }

    /// A certificate for a user with groups, valid for the hosts given when it serves too.
    pub fn issue(&self, user: &str, groups: &[&str], hosts: &[Host]) -> Result<Pair, Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        valid(&mut params);
        for group in groups {
            params
                .distinguished_name
                .push(DnType::OrganizationName, *group);
        }
        params.distinguished_name.push(DnType::CommonName, user);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if !hosts.is_empty() {
            params
                .extended_key_usages
                .push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        params.subject_alt_names = hosts.iter().map(Host::name).collect::<Result<_, _>>()?;
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Pair {
            certificate,
            key: key.serialize_pem(),
        })
    }
}

/// A name or address that a server's certificate is good for.
#[derive(Debug, Clone)]
pub enum Host {
    /// A DNS name.
    Name(String),
    /// An address.
    Address(Ipv4Addr),
}

impl Host {
    fn name(&self) -> Result<SanType, Error> {
        Ok(match self {
            Self::Name(name) => SanType::DnsName(Ia5String::try_from(name.as_str())?),
            Self::Address(address) => SanType::IpAddress(IpAddr::V4(*address)),
        })
    }
}

/// Makes every certificate that the components read from files, and the key pair that signs service account tokens.
pub fn make(authority: &Authority, name: &LabName, plan: Plan, dir: &LabDir) -> Result<(), Error> {
    let address = |address| Host::Address(address);
    let host = |name: &str| Host::Name(name.to_owned());
    let (node, local) = (address(plan.node()), address(Ipv4Addr::LOCALHOST));
    let api = [
        local.clone(),
        address(plan.kubernetes()),
        node.clone(),
        host("localhost"),
        host("kubernetes"),
        host("kubernetes.default"),
        host("kubernetes.default.svc"),
        host("kubernetes.default.svc.cluster.local"),
    ];
    let here = [local, node, host("localhost"), host(&name.node())];
    let node_user = format!("system:node:{}", name.node());
    let files: [(&str, &str, &[&str], &[Host]); 7] = [
        ("apiserver", "kube-apiserver", &[], &api),
        ("controllers", "system:kube-controller-manager", &[], &here),
        ("scheduler", "system:kube-scheduler", &[], &here),
        ("kubelet", &node_user, &["system:nodes"], &here),
        ("proxy", "system:kube-proxy", &[], &[]),
        (
            "kubelet-client",
            "apiserver-kubelet-client",
            &["system:masters"],
            &[],
        ),
        ("front-proxy", "front-proxy-client", &[], &[]),
    ];
    for (file, user, groups, hosts) in files {
        let pair = authority.issue(user, groups, hosts)?;
        write(&dir.join(format!("pki/{file}.crt")), &pair.certificate)?;
        write(&dir.join(format!("pki/{file}.key")), &pair.key)?;
    }
    let tokens = KeyPair::generate()?;
    write(&dir.join("pki/sa.key"), &tokens.serialize_pem())?;
    write(&dir.join("pki/sa.pub"), &tokens.public_key_pem())
}

/// The same every time for the same lab: the issuer's name in certificates made later must be the authority's.
fn authority(name: &LabName) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    valid(&mut params);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, format!("{}-ca", name.scope()));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    Ok(params)
}

/// From two days ago (clocks differ) for two years: longer than any lab lives.
fn valid(params: &mut CertificateParams) {
    params.distinguished_name = rcgen::DistinguishedName::new();
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let day = |span: Span| {
        let date = today.saturating_add(span);
        rcgen::date_time_ymd(
            date.year().into(),
            date.month().unsigned_abs(),
            date.day().unsigned_abs(),
        )
    };
    params.not_before = day(Span::new().days(-2));
    params.not_after = day(Span::new().days(730));
}

/// Writes a file that only its owner can read.
pub fn write(path: &Path, text: &str) -> Result<(), Error> {
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path);
    let mut file = file.at("write", path)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).at("write", path)
}
