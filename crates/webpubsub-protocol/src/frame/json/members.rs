//! The members of a frame, found in one pass and read on demand.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytestring::ByteString;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{depth_is_within, scan};
use crate::frame::{AckId, DecodeError};
use crate::limits;
use crate::metadata::Metadata;
use crate::name::GroupName;
use crate::payload::{DataType, Payload};

/// Frames up to this size, in bytes, may be kept whole for the sake of a name in them.
const SHORT_FRAME: usize = 512;

macro_rules! members {
    ($($member:ident = $name:literal,)*) => {
        /// A member that some frame has.
        #[derive(Clone, Copy)]
        #[allow(clippy::upper_case_acronyms, reason = "named after the wire")]
        pub(super) enum Member { $($member,)* }

        const COUNT: usize = [$($name),*].len();

        impl Member {
            const fn name(self) -> &'static str {
                match self { $(Self::$member => $name,)* }
            }

            fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$member),)* _ => None }
            }
        }
    };
}

members! {
    AckId = "ackId",
    ConnectionId = "connectionId",
    Data = "data",
    DataType = "dataType",
    EndOfStream = "endOfStream",
    Error = "error",
    Event = "event",
    ExpectedSequenceId = "expectedSequenceId",
    From = "from",
    FromUserId = "fromUserId",
    Group = "group",
    IdleTimeoutMs = "idleTimeoutMs",
    InvocationId = "invocationId",
    Items = "items",
    Message = "message",
    Metadata = "metadata",
    Name = "name",
    NoEcho = "noEcho",
    ReconnectionToken = "reconnectionToken",
    SequenceId = "sequenceId",
    State = "state",
    Stream = "stream",
    StreamId = "streamId",
    StreamSequenceId = "streamSequenceId",
    Success = "success",
    Target = "target",
    TtlSeconds = "ttlSeconds",
    Type = "type",
    UpdatedAt = "updatedAt",
    UserErrorCode = "userErrorCode",
    UserId = "userId",
}

/// An object's members as raw JSON; borrowed from the frame's text.
pub(super) struct Members<'a> {
    frame: &'a ByteString,
    found: Found<'a>,
}

impl<'a> Members<'a> {
    pub(super) fn of_frame(frame: &'a ByteString) -> Result<Self, DecodeError> {
        Self::parse(frame, frame)
    }

    fn parse(frame: &'a ByteString, text: &'a str) -> Result<Self, DecodeError> {
        let mut found = Found([None; COUNT]);
        if scan::members(text, |name, raw| found.set(Member::from_name(name), raw)).is_some() {
            return Ok(Self { frame, found });
        }
        // It is unusual, or not valid.
        if !depth_is_within(text.as_bytes(), limits::JSON_DEPTH) {
            return Err(DecodeError::TooDeep);
        }
        match serde_json::from_str(text) {
            Ok(found) => Ok(Self { frame, found }),
            Err(error) if error.is_data() => Err(DecodeError::NotAnObject),
            Err(error) => Err(DecodeError::Syntax {
                line: error.line(),
                column: error.column(),
            }),
        }
    }

    fn raw(&self, member: Member) -> Option<&'a str> {
        self.found.0[member as usize]
    }

    /// The raw member, with `null` as good as absent.
    fn non_null(&self, member: Member) -> Option<&'a str> {
        self.raw(member).filter(|raw| *raw != "null")
    }

    pub(super) fn has(&self, member: Member) -> bool {
        self.raw(member).is_some()
    }

    /// A nested object; `null` counts as absent only where `null_is_absent`.
    pub(super) fn object(&self, member: Member) -> Result<Option<Self>, DecodeError> {
        self.raw(member)
            .map(|raw| {
                Self::parse(self.frame, raw).map_err(|_| DecodeError::Invalid(member.name()))
            })
            .transpose()
    }

    /// A nested object or `null`.
    pub(super) fn nullable_object(&self, member: Member) -> Result<Option<Self>, DecodeError> {
        if self.non_null(member).is_some() {
            self.object(member)
        } else {
            Ok(None)
        }
    }

    /// An array of objects.
    pub(super) fn objects(&self, member: Member) -> Result<Vec<Self>, DecodeError> {
        let invalid = || DecodeError::Invalid(member.name());
        let raw = self
            .raw(member)
            .ok_or(DecodeError::Missing(member.name()))?;
        let items: Vec<&'a RawValue> = serde_json::from_str(raw).map_err(|_| invalid())?;
        items
            .into_iter()
            .map(|item| Self::parse(self.frame, item.get()).map_err(|_| invalid()))
            .collect()
    }

    pub(super) fn text(&self, member: Member) -> Result<Option<Cow<'a, str>>, DecodeError> {
        self.raw(member)
            .map(|raw| text(raw).ok_or(DecodeError::Invalid(member.name())))
            .transpose()
    }

    /// A string member as shared text. A copy: names and ids are kept for longer than a frame, and a
    /// slice would keep all of its frame with it.
    pub(super) fn shared(&self, member: Member) -> Result<Option<ByteString>, DecodeError> {
        Ok(self.text(member)?.map(|text| text.into_owned().into()))
    }

    /// A string member or `null`.
    pub(super) fn nullable_shared(
        &self,
        member: Member,
    ) -> Result<Option<ByteString>, DecodeError> {
        if self.non_null(member).is_some() {
            self.shared(member)
        } else {
            Ok(None)
        }
    }

    /// As [`shared`](Self::shared), but a slice of the frame when that is short: then keeping all of it
    /// costs no more than a copy. For what every message has.
    fn brief(&self, member: Member) -> Result<Option<ByteString>, DecodeError> {
        Ok(self.text(member)?.map(|text| match text {
            Cow::Borrowed(slice) if self.frame.len() <= SHORT_FRAME => self.frame.slice_ref(slice),
            text => text.into_owned().into(),
        }))
    }

    /// A string member or `null`, as [`brief`](Self::brief).
    pub(super) fn nullable_brief(&self, member: Member) -> Result<Option<ByteString>, DecodeError> {
        match self.non_null(member) {
            Some(_) => self.brief(member),
            None => Ok(None),
        }
    }

    /// The group of a message, as [`brief`](Self::brief).
    pub(super) fn brief_group(&self) -> Result<GroupName, DecodeError> {
        let name = self.brief(Member::Group)?;
        GroupName::new(name.ok_or(DecodeError::Missing("group"))?)
            .map_err(|_| DecodeError::Invalid("group"))
    }

    pub(super) fn required_text(&self, member: Member) -> Result<Cow<'a, str>, DecodeError> {
        self.text(member)?
            .ok_or(DecodeError::Missing(member.name()))
    }

    pub(super) fn required_shared(&self, member: Member) -> Result<ByteString, DecodeError> {
        self.shared(member)?
            .ok_or(DecodeError::Missing(member.name()))
    }

    pub(super) fn group(&self) -> Result<GroupName, DecodeError> {
        GroupName::new(self.required_shared(Member::Group)?)
            .map_err(|_| DecodeError::Invalid("group"))
    }

    pub(super) fn boolean(&self, member: Member) -> Result<Option<bool>, DecodeError> {
        match self.raw(member) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(DecodeError::Invalid(member.name())),
        }
    }

    pub(super) fn integer<T: std::str::FromStr>(
        &self,
        member: Member,
    ) -> Result<Option<T>, DecodeError> {
        self.raw(member)
            .map(|raw| raw.parse().map_err(|_| DecodeError::Invalid(member.name())))
            .transpose()
    }

    pub(super) fn required_integer<T: std::str::FromStr>(
        &self,
        member: Member,
    ) -> Result<T, DecodeError> {
        self.integer(member)?
            .ok_or(DecodeError::Missing(member.name()))
    }

    /// An integer or `null`.
    pub(super) fn nullable_integer<T: std::str::FromStr>(
        &self,
        member: Member,
    ) -> Result<Option<T>, DecodeError> {
        if self.non_null(member).is_some() {
            self.integer(member)
        } else {
            Ok(None)
        }
    }

    pub(super) fn ack_id(&self) -> Result<Option<AckId>, DecodeError> {
        Ok(self.nullable_integer(Member::AckId)?.map(AckId))
    }

    /// The `metadata` member; `None` when absent or null.
    pub(super) fn metadata(&self) -> Result<Option<Metadata>, DecodeError> {
        let Some(raw) = self.non_null(Member::Metadata) else {
            return Ok(None);
        };
        let invalid = DecodeError::Invalid("metadata");
        let Ok(StringPairs(pairs)) = serde_json::from_str(raw) else {
            return Err(invalid);
        };
        Metadata::new(pairs).map(Some).map_err(|_| invalid)
    }

    /// A map from string to string; `None` when absent or null.
    pub(super) fn string_map(
        &self,
        member: Member,
    ) -> Result<Option<Vec<(String, String)>>, DecodeError> {
        let Some(raw) = self.non_null(member) else {
            return Ok(None);
        };
        serde_json::from_str::<StringPairs>(raw)
            .map(|pairs| Some(pairs.0))
            .map_err(|_| DecodeError::Invalid(member.name()))
    }

    /// The `dataType` member, which must be known.
    pub(super) fn data_type(&self) -> Result<Option<DataType>, DecodeError> {
        self.text(Member::DataType)?
            .map(|name| DataType::from_name(&name).ok_or(DecodeError::Unknown("dataType")))
            .transpose()
    }

    /// The `data` member of a frame of the service, which does not check protobuf either.
    pub(super) fn received_payload(&self, data_type: DataType) -> Result<Payload, DecodeError> {
        match (data_type, self.raw(Member::Data)) {
            (DataType::Protobuf, Some(raw)) => base64_bytes(raw)
                .map(|bytes| Payload::Protobuf(bytes.into()))
                .ok_or(DecodeError::Invalid("data")),
            _ => self.payload(data_type),
        }
    }

    /// The `data` member, read as `data_type`.
    pub(super) fn payload(&self, data_type: DataType) -> Result<Payload, DecodeError> {
        let raw = self.raw(Member::Data).ok_or(DecodeError::Missing("data"))?;
        let invalid = || DecodeError::Invalid("data");
        match data_type {
            DataType::Json => Ok(Payload::Json(self.frame.slice_ref(raw))),
            DataType::Text => {
                let text = text(raw).ok_or_else(invalid)?;
                Ok(Payload::Text(self.share(text)))
            }
            DataType::Binary => base64_bytes(raw).map(Payload::binary).ok_or_else(invalid),
            DataType::Protobuf => base64_bytes(raw)
                .and_then(Payload::protobuf)
                .ok_or_else(invalid),
        }
    }

    fn share(&self, text: Cow<'a, str>) -> ByteString {
        match text {
            Cow::Borrowed(slice) => self.frame.slice_ref(slice),
            Cow::Owned(text) => text.into(),
        }
    }
}

/// A JSON string's text; borrowed when nothing in it is escaped.
fn text(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(raw).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

fn base64_bytes(raw: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text(raw)?.as_bytes()).ok()
}

/// One slot per [`Member`].
struct Found<'a>([Option<&'a str>; COUNT]);

impl<'a> Found<'a> {
    const fn set(&mut self, member: Option<Member>, raw: &'a str) {
        if let Some(member) = member {
            self.0[member as usize] = Some(raw);
        }
    }
}

impl<'de> Deserialize<'de> for Found<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FoundVisitor;
        impl<'de> Visitor<'de> for FoundVisitor {
            type Value = Found<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found<'de>, A::Error> {
                let mut found = Found([None; COUNT]);
                while let Some((Key(member), raw)) = map.next_entry::<_, &RawValue>()? {
                    found.set(member, raw.get());
                }
                Ok(found)
            }
        }
        deserializer.deserialize_map(FoundVisitor)
    }
}

struct Key(Option<Member>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member name")
            }
            fn visit_str<E>(self, name: &str) -> Result<Key, E> {
                Ok(Key(Member::from_name(name)))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// An object of strings, in order, repeated keys kept so that the caller can refuse them.
struct StringPairs(Vec<(String, String)>);

impl<'de> Deserialize<'de> for StringPairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = StringPairs;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StringPairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(StringPairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor)
    }
}
