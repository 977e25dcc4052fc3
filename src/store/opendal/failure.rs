//! What an error of OpenDAL means to us.

use std::error::Error as _;
use std::io;

use ::opendal::{Error, ErrorKind};

use crate::store::StoreError;

/// Is it only that there is no such file? What is no file of ours counts as none.
pub(super) fn is_nothing(error: &Error) -> bool {
    let kinds = [ErrorKind::NotFound, ErrorKind::IsADirectory, ErrorKind::RangeNotSatisfied];
    kinds.contains(&error.kind()) || io_kind(error) == Some(io::ErrorKind::IsADirectory)
}

pub(super) fn of(error: &Error) -> StoreError {
    use io::ErrorKind as Io;

    let text = error.to_string();
    match error.kind() {
        ErrorKind::PermissionDenied => return StoreError::denied(text),
        ErrorKind::Unsupported | ErrorKind::ConfigInvalid | ErrorKind::RateLimited => {
            return StoreError::refused(text);
        }
        _ => {}
    }
    match (io_kind(error), status(error)) {
        (Some(Io::ReadOnlyFilesystem), _) | (_, Some(MEMCACHED_DENIED)) => StoreError::denied(text),
        (Some(Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge), _) | (_, Some(_)) => {
            StoreError::refused(text)
        }
        _ => StoreError::away(text),
    }
}

/// `PROTOCOL_BINARY_RESPONSE_AUTH_ERROR`.
const MEMCACHED_DENIED: u16 = 0x20;

/// What Memcached answered, if it did: too large, for example, or out of memory.
fn status(error: &Error) -> Option<u16> {
    if error.message() != "unexpected status received" {
        return None;
    }
    let text = error.to_string();
    let (_, number) = text.split_once("message: ")?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn io_kind(error: &Error) -> Option<io::ErrorKind> {
    error.source()?.downcast_ref::<io::Error>().map(io::Error::kind)
}
