//! The types of calls, one for each operation: the `A` of a [`Call<A>`](crate::Call).
//!
//! They are created by the methods of [`WebPubSubServiceClient`](crate::WebPubSubServiceClient) and
//! [`WebPubSubGroup`](crate::WebPubSubGroup). You need them only to name the type of a call, for example in a struct.

use std::sync::Arc;

use azure_core::http::{RawResponse, StatusCode};
use futures_util::future::BoxFuture;

pub use self::{connections::*, groups::*, messages::*, permissions::*};
pub use crate::delivery::Delivery;
use crate::{
    generated::operations,
    invalid_input::InvalidInput,
    message::{JSON, Message},
    name::{connection, group, user},
    request::CallOptions,
    service::Service,
};

/// An operation of the service. This trait is sealed: only the types of this module implement it.
pub trait Action: sealed::Sealed + Sized + Send + 'static {
    /// What the call returns on success.
    type Output: Send + 'static;

    #[doc(hidden)]
    fn read(response: &RawResponse) -> azure_core::Result<Self::Output>;
}

/// An operation whose receivers can be [filtered](crate::Call::filter).
pub trait Filtered: Action {
    #[doc(hidden)]
    fn filter_mut(&mut self) -> &mut Option<String>;
}

/// An operation that can [exclude](crate::Call::exclude) connections.
pub trait Excluding: Action {
    #[doc(hidden)]
    fn excluded_mut(&mut self) -> &mut Vec<String>;
}

/// An operation that closes connections, with an optional [reason](crate::Call::reason).
pub trait Closing: Action {
    #[doc(hidden)]
    fn reason_mut(&mut self) -> &mut Option<String>;
}

/// An operation that sends a message, with an optional [time to live](crate::Call::ttl) and
/// [metadata](crate::Call::metadata).
pub trait Sending: Action {
    #[doc(hidden)]
    fn delivery_mut(&mut self) -> &mut Delivery;
}

pub(crate) mod sealed {
    use super::*;

    #[expect(
        unnameable_types,
        reason = "nobody else can implement what nobody else can name"
    )]
    pub trait Sealed {
        #[expect(private_interfaces, reason = "only this crate can call it")]
        fn send(
            self,
            service: Arc<Service>,
            options: CallOptions,
        ) -> BoxFuture<'static, azure_core::Result<RawResponse>>;
    }
}

/// Defines an action: its parameters, the operation that they become, and how the response is read.
macro_rules! action {
    (
        $(#[$doc:meta])*
        $name:ident($call:literal) { $($field:ident: $type:ty),* } -> $output:ty = $read:expr;
        |$this:ident, $hub:ident| $operation:expr
        $(; message $message:ident)?
        $(; json |$body_of:ident| $body:expr)?
        $(; with $($capability:ident),+)?
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name { $(pub(crate) $field: $type),* }

        impl sealed::Sealed for $name {
            #[expect(private_interfaces, reason = "only this crate can call it")]
            fn send(
                self,
                service: Arc<Service>,
                options: CallOptions,
            ) -> BoxFuture<'static, azure_core::Result<RawResponse>> {
                Box::pin(async move {
                    let $this = self;
                    let $hub = service.hub.as_str();
                    #[allow(unused_mut, reason = "calls without a body leave it as it is")]
                    let mut request = service.request($call, &$operation)?;
                    $(
                        request.metadata($this.delivery.metadata)?;
                        let (content_type, body) = $this.$message.into_body().await?;
                        request.body(content_type, body);
                    )?
                    $(
                        let $body_of = &$this;
                        request.body(JSON, $body?);
                    )?
                    service.send(request, options).await
                })
            }
        }

        impl Action for $name {
            type Output = $output;

            fn read(response: &RawResponse) -> azure_core::Result<$output> {
                let read: fn(&RawResponse) -> azure_core::Result<$output> = $read;
                read(response)
            }
        }

        $($(action!(@$capability $name);)+)?
    };
    (@filter $name:ident) => {
        impl Filtered for $name {
            fn filter_mut(&mut self) -> &mut Option<String> { &mut self.filter }
        }
    };
    (@excluded $name:ident) => {
        impl Excluding for $name {
            fn excluded_mut(&mut self) -> &mut Vec<String> { &mut self.excluded }
        }
    };
    (@reason $name:ident) => {
        impl Closing for $name {
            fn reason_mut(&mut self) -> &mut Option<String> { &mut self.reason }
        }
    };
    (@delivery $name:ident) => {
        impl Sending for $name {
            fn delivery_mut(&mut self) -> &mut Delivery { &mut self.delivery }
        }
    };
}

mod connections;
mod groups;
mod messages;
mod permissions;

fn no_content(_: &RawResponse) -> azure_core::Result<()> {
    Ok(())
}

/// Operations for which 404 is a success use it for "no". For all others it became an error earlier.
#[allow(clippy::unnecessary_wraps, reason = "all readers have this type")]
fn yes_or_no(response: &RawResponse) -> azure_core::Result<bool> {
    Ok(response.status() != StatusCode::NotFound)
}
