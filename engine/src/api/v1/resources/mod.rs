//! What there is below `/api/v1`, a file for each kind of thing.
mod calls;
mod cdrs;
mod conferences;
mod deliveries;
mod endpoints;
mod figures;
pub(super) mod flows;
mod numbers;
mod queue_places;
mod queues;
mod recordings;
pub(super) mod schedules;
mod server;
mod trunks;
mod voicemail;

use super::book::Book;

/// All of them.
pub(super) fn routes(book: Book) -> Book {
    let book = server::routes(book);
    let book = trunks::routes(book);
    let book = endpoints::routes(book);
    let book = numbers::routes(book);
    let book = calls::routes(book);
    let book = conferences::routes(book);
    let book = queues::routes(book);
    let book = queue_places::routes(book);
    let book = cdrs::routes(book);
    let book = recordings::routes(book);
    let book = deliveries::routes(book);
    let book = voicemail::routes(book);
    let book = flows::routes(book);
    schedules::routes(book)
}
