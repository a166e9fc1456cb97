//! The axum handlers that accept a user event of a given type.

use axum::handler::Handler;

use crate::user_event::UserEventRequest;

/// An axum handler whose first argument is a `UserEventRequest<T>`, or which has no arguments. More extractors may follow.
///
/// All such functions implement this trait; you never implement it yourself.
#[diagnostic::on_unimplemented(
    message = "this is no handler for a user event with the payload `{T}`",
    note = "its first argument must be `UserEventRequest<{T}>`, and the others axum extractors"
)]
pub trait UserEventHandler<T, M, S>: Handler<M, S> + sealed::Sealed<T, M, S> {}

impl<H, T, M, S> UserEventHandler<T, M, S> for H where H: Handler<M, S> + sealed::Sealed<T, M, S> {}

mod sealed {
    /// States that the first of the arguments `M` contains a `T`.
    #[expect(
        unnameable_types,
        reason = "sealed: nobody else may implement the trait above"
    )]
    pub trait Sealed<T, M, S> {}

    impl<H, T, M: super::First<T>, S> Sealed<T, M, S> for H {}
}

/// The arguments of an axum handler, as listed by its marker type, the first of which is a `UserEventRequest<T>`.
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
