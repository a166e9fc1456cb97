//! Continuation tokens of listings: where a page ended, sealed.
//!
//! Stateless: the token holds the last connection id and a MAC over hub, group and id, so a token
//! of another group, or an altered one, does not open.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use webpubsub_protocol::access::AccessKey;
use webpubsub_protocol::name::{GroupName, HubName};

const TAG_BYTES: usize = 32;

/// Seals the id of the last connection on a page.
pub(super) fn seal(key: &AccessKey, hub: &HubName, group: &GroupName, last: &str) -> String {
    let mut token = hmac::sign(&mac_key(key), &message(hub, group, last))
        .as_ref()
        .to_vec();
    token.extend_from_slice(last.as_bytes());
    URL_SAFE_NO_PAD.encode(token)
}

/// Opens a token that one of `keys` sealed for this group of this hub; `None` for any other.
pub(super) fn open(
    keys: &[AccessKey],
    hub: &HubName,
    group: &GroupName,
    token: &str,
) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (tag, last) = bytes.split_at_checked(TAG_BYTES)?;
    let last = str::from_utf8(last).ok()?;
    let message = message(hub, group, last);
    let sealed = |key| hmac::verify(&mac_key(key), &message, tag).is_ok();
    keys.iter().any(sealed).then(|| last.to_owned())
}

fn mac_key(key: &AccessKey) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes())
}

/// Cannot be mistaken for what a JWT signs, which begins with base64url, nor for other parts.
fn message(hub: &HubName, group: &GroupName, last: &str) -> Vec<u8> {
    let mut message = b"\0list connections in group\0".to_vec();
    for part in [hub.as_str(), group.as_str(), last] {
        message.extend_from_slice(&(part.len() as u64).to_be_bytes());
        message.extend_from_slice(part.as_bytes());
    }
    message
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(hub: &str, group: &str) -> (HubName, GroupName) {
        (HubName::new(hub).unwrap(), GroupName::new(group).unwrap())
    }

    #[test]
    fn a_token_opens_for_its_hub_and_group_only() {
        let key = AccessKey::new("primary");
        let (hub, group) = names("chat", "g");
        let token = seal(&key, &hub, &group, "id-1");
        let open = |keys: &[&str], hub: &str, group: &str| {
            let keys: Vec<_> = keys.iter().map(|key| AccessKey::new(*key)).collect();
            let (hub, group) = names(hub, group);
            open(&keys, &hub, &group, &token)
        };
        assert_eq!(open(&["primary"], "CHAT", "g").as_deref(), Some("id-1"));
        assert_eq!(
            open(&["new", "primary"], "chat", "g").as_deref(),
            Some("id-1")
        );
        assert_eq!(open(&["new"], "chat", "g"), None);
        assert_eq!(open(&["primary"], "chat", "G"), None);
        assert_eq!(open(&["primary"], "other", "g"), None);
    }

    proptest! {
        #[test]
        fn any_change_is_noticed(id in "[ -~]{1,40}", position in any::<prop::sample::Index>(), byte: u8) {
            let keys = [AccessKey::new("primary")];
            let (hub, group) = names("chat", "g");
            let token = seal(&keys[0], &hub, &group, &id);
            prop_assert!(token.len() <= 2048);
            prop_assert_eq!(open(&keys, &hub, &group, &token), Some(id));
            let mut altered = token.clone().into_bytes();
            let position = position.index(altered.len());
            altered[position] = byte;
            if let Ok(altered) = String::from_utf8(altered) && altered != token {
                prop_assert_eq!(open(&keys, &hub, &group, &altered), None);
            }
        }

        #[test]
        fn foreign_texts_do_not_open(token in ".{0,80}") {
            let (hub, group) = names("chat", "g");
            prop_assert_eq!(open(&[AccessKey::new("primary")], &hub, &group, &token), None);
        }
    }
}
