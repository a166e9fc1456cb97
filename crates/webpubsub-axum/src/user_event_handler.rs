//! Which axum handlers can take a user event of a given type.

use axum::handler::Handler;

use crate::user_event::UserEventRequest;

/// An axum handler whose first argument is `UserEventRequest<T>`; others may follow. A handler without arguments is one,
/// too.
///
/// Implemented for all of them; there is nothing to implement by hand.
#[diagnostic::on_unimplemented(
    message = "this is no handler for a user event with the payload `{T}`",
    note = "its first argument must be `UserEventRequest<{T}>`, and the others axum extractors"
)]
pub trait UserEventHandler<T, M, S>: Handler<M, S> + sealed::Sealed<T, M, S> {}

impl<H, T, M, S> UserEventHandler<T, M, S> for H where H: Handler<M, S> + sealed::Sealed<T, M, S> {}

mod sealed {
    /// Says that the first of the arguments `M` carries `T`.
    #[expect(
        unnameable_types,
        reason = "sealed: nobody else may implement the trait above"
    )]
    pub trait Sealed<T, M, S> {}

    impl<H, T, M: super::First<T>, S> Sealed<T, M, S> for H {}
}

/// Arguments of an axum handler, as its marker type lists them, whose first is `UserEventRequest<T>`.
trait First<T> {}

impl First<()> for ((),) {}

macro_rules! first {
    ($($argument:ident)*) => {
        impl<V, T, $($argument),*> First<T> for (V, UserEventRequest<T>, $($argument,)*) {}
    };
}

first!();
first!(A);
first!(A B);
first!(A B C);
first!(A B C D);
first!(A B C D E);
first!(A B C D E F);
first!(A B C D E F G);
first!(A B C D E F G I);
first!(A B C D E F G I J);
first!(A B C D E F G I J K);
first!(A B C D E F G I J K L);
