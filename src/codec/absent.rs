//! In the place of a module whose types are not enabled.

use sea_orm::Value;

use super::input::Input;

pub(super) fn encode(_: &Value, _: &mut Vec<u8>) -> bool {
    false
}

pub(super) fn decode(_: u8, _: bool, _: &mut Input<'_>) -> Option<Value> {
    None
}
