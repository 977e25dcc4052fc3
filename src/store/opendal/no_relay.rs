//! Where there are no Unix sockets: see `relay.rs`.

/// Never there.
#[derive(Debug)]
pub(super) enum Relay {}

impl Relay {
    pub(super) fn to(_: &str) -> Option<Self> {
        None
    }

    pub(super) fn endpoint(&self) -> String {
        match *self {}
    }

    pub(super) fn is_open(&self) -> bool {
        match *self {}
    }
}
