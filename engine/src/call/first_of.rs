//! Waiting for the first of several legs to tell something.
use std::future::{Future, poll_fn};
use std::task::Poll;

/// The first event of any of `all`, and its index; of several that are ready the first in the list. Can be dropped without losing an
/// event if `next` can.
pub(super) async fn first_of<'a, T, F>(
    all: &'a mut [T],
    next: impl FnMut(&'a mut T) -> F,
) -> (usize, F::Output)
where
    F: Future,
{
    let mut all: Vec<_> = all.iter_mut().map(next).map(Box::pin).collect();
    poll_fn(|context| {
        for (index, next) in all.iter_mut().enumerate() {
            if let Poll::Ready(event) = next.as_mut().poll(context) {
                return Poll::Ready((index, event));
            }
        }
        Poll::Pending
    })
    .await
}
