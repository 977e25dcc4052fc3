//! Certificates other than those of this machine.

use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, RedisResult, TlsCertificates,
};

use crate::error::Error;

#[derive(Clone, Default)]
pub(super) struct Certificates {
    pub(super) root: Option<Vec<u8>>,
    /// The certificate and its private key.
    pub(super) client: Option<(Vec<u8>, Vec<u8>)>,
}

impl Certificates {
    /// As the client library takes them, if there are some.
    pub(super) fn given(&self) -> Option<TlsCertificates> {
        let Self { root: root_cert, client } = self.clone();
        let tls = |(client_cert, client_key)| ClientTlsConfig { client_cert, client_key };
        let client_tls = client.map(tls);
        let given = root_cert.is_some() || client_tls.is_some();
        given.then_some(TlsCertificates { client_tls, root_cert })
    }

    /// The same server, reached with them.
    pub(super) fn of(&self, info: ConnectionInfo) -> RedisResult<ConnectionInfo> {
        match self.given() {
            Some(given) if is_tls(&info) => {
                Ok(Client::build_with_tls(info, given)?.get_connection_info().clone())
            }
            _ => Ok(info),
        }
    }

    /// Can they be used for this address?
    ///
    /// # Errors
    ///
    /// Why not, without their text: it may be of a key.
    pub(super) fn check(&self, info: &ConnectionInfo, position: usize) -> Result<(), Error> {
        let Some(given) = self.given() else { return Ok(()) };
        if !is_tls(info) {
            return Err(Error::config(format!(
                "RedisConfig: certificates were given, but address {position} is not rediss://"
            )));
        }
        let has = |pem: &[u8], what: &[u8]| pem.windows(what.len()).any(|part| part == what);
        let root_is_one =
            self.root.as_ref().is_none_or(|pem| has(pem, b"-----BEGIN CERTIFICATE-----"));
        let without_client = TlsCertificates { client_tls: None, ..given.clone() };
        if !root_is_one || Client::build_with_tls(info.clone(), without_client).is_err() {
            return Err(Error::config("RedisConfig: root_certificate is no certificate in PEM"));
        }
        if Client::build_with_tls(info.clone(), given).is_err() {
            return Err(Error::config(
                "RedisConfig: client_certificate is not a certificate and a private key in PEM",
            ));
        }
        Ok(())
    }
}

fn is_tls(info: &ConnectionInfo) -> bool {
    matches!(info.addr(), ConnectionAddr::TcpTls { .. })
}
