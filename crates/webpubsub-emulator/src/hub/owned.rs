//! Copies of what was read from a frame. Names and payloads that were read are slices of their frame, so a short name would
//! keep a frame of a megabyte in memory: what outlives the frame is copied.

use bytestring::ByteString;
use webpubsub_protocol::name::GroupName;

pub(super) fn text(text: &str) -> ByteString {
    ByteString::from(text)
}

pub(super) fn group(name: &GroupName) -> GroupName {
    GroupName::new(text(name.as_str())).expect("it is a name already")
}
