use super::feed::{Filter, Next};
use super::*;
use crate::call::{Event, Events};
use axum::extract::ws::Message;
use futures_util::{Sink, Stream};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

fn bus() -> (Arc<Events>, Arc<Recent>) {
    let (events, recent) = (Arc::<Events>::default(), Recent::new(0xabc));
    events.sink(recent.clone());
    (events, recent)
}

fn tell(events: &Events, call: &str) {
    events.emit(Event::now(
        EventKind::CallAnswered,
        Some(call),
        json!({ "codec": "PCMU" }),
    ));
}

async fn number(feed: &mut Feed) -> u64 {
    match feed.next().await {
        Next::Event((number, _)) => number,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn who_comes_back_gets_what_it_missed_and_nothing_twice() {
    let (events, recent) = bus();
    (0..5).for_each(|_| tell(&events, "c"));
    let last = recent.id(3);
    let mut feed = Feed::new(&events, recent.clone(), Filter::default(), Some(&last));
    tell(&events, "c");
    for expected in 4..=6 {
        assert_eq!(number(&mut feed).await, expected);
    }
    for _ in 0..KEPT {
        tell(&events, "c");
    }
    let mut late = Feed::new(&events, recent.clone(), Filter::default(), Some(&last));
    assert!(matches!(late.next().await, Next::Away(Some(3))));
    assert_eq!(number(&mut late).await, 7);
    let mut other = Feed::new(&events, recent.clone(), Filter::default(), Some("000001-3"));
    assert!(matches!(other.next().await, Next::Away(None)));
    let far = recent.id(u64::MAX);
    let _ = Feed::new(&events, recent.clone(), Filter::default(), Some(&far));
    let mut made_up = Feed::new(&events, recent, Filter::default(), Some("x"));
    assert!(matches!(made_up.next().await, Next::Away(None)));
}

#[tokio::test]
async fn only_what_is_wanted_is_told() {
    let (events, recent) = bus();
    let wants =
        |names, call: Option<&str>| Filter::new(names, call.map(str::to_owned)).expect("good");
    let mut feed = Feed::new(
        &events,
        recent.clone(),
        wants(Some("leg.*, call.answered"), Some("b")),
        None,
    );
    tell(&events, "a");
    events.emit(Event::now(EventKind::Digit, Some("b"), json!({})));
    tell(&events, "b");
    assert_eq!(number(&mut feed).await, 3);
    let problem = Filter::new(Some("call.anwered"), None).expect_err("there is none");
    assert!(
        problem.detail.contains("call.answered"),
        "{}",
        problem.detail
    );
    assert!(Filter::new(Some(""), None).is_err() && Filter::new(Some("x*"), None).is_err());
    assert_eq!(recent.after(0, &wants(None, Some("a")), 9).len(), 1);
    let latest = |most| {
        let latest = recent.latest(&wants(Some("call.*"), None), most);
        latest.iter().map(|(number, _)| *number).collect::<Vec<_>>()
    };
    assert_eq!((latest(1), latest(9)), (vec![3], vec![1, 3]));
}

/// A WebSocket whose far end takes as many messages as there is room for.
struct Far {
    room: mpsc::Sender<Message>,
    says: mpsc::Receiver<Message>,
}

impl Stream for Far {
    type Item = Result<Message, ()>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.says.poll_recv(context).map(|said| said.map(Ok))
    }
}

impl Sink<Message> for Far {
    type Error = ();

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
        match self.room.capacity() {
            // Nobody wakes us: the far end takes nothing.
            0 => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), ()> {
        self.room.try_send(message).map_err(drop)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
        Poll::Ready(Ok(()))
    }
}

fn far(room: usize) -> (Far, mpsc::Receiver<Message>, mpsc::Sender<Message>) {
    let (send, taken) = mpsc::channel(room);
    let (say, says) = mpsc::channel(1);
    (Far { room: send, says }, taken, say)
}

#[tokio::test]
async fn a_watcher_that_takes_nothing_is_cut_off_and_holds_up_nobody() {
    let (events, recent) = bus();
    let watchers = Arc::<Watchers>::default();
    let feed = || Feed::new(&events, recent.clone(), Filter::default(), None);
    let (stuck, mut quick) = (feed(), feed());
    let (socket, mut taken, _say) = far(2);
    (0..10).for_each(|_| tell(&events, "c"));
    let cut = socket::serve(socket, stuck, &watchers, Duration::from_millis(1)).await;
    assert_eq!(cut, Some(Cut::Stuck));
    assert_eq!(watchers.cut_by()[Cut::Stuck as usize], ("stuck", 1));
    assert!(
        matches!(taken.recv().await, Some(Message::Text(text)) if text.contains("call.answered"))
    );
    for expected in 1..=10 {
        assert_eq!(number(&mut quick).await, expected, "others get all");
    }
}

#[tokio::test]
async fn a_watcher_that_misses_events_is_told_why_it_is_cut_off() {
    let (events, recent) = bus();
    let watchers = Arc::<Watchers>::default();
    let feed = Feed::new(&events, recent, Filter::default(), None);
    for _ in 0..crate::call::EVENT_RING + 5 {
        tell(&events, "c");
    }
    let (socket, mut taken, _say) = far(8);
    let cut = socket::serve(socket, feed, &watchers, Duration::from_secs(60)).await;
    assert_eq!(cut, Some(Cut::TooSlow));
    match taken.recv().await {
        Some(Message::Close(Some(frame))) => {
            assert_eq!((frame.code, &*frame.reason), (1013, "too-slow"))
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_no_watcher_says_ends_it() {
    let (events, recent) = bus();
    let watchers = Arc::<Watchers>::default();
    let feed = || Feed::new(&events, recent.clone(), Filter::default(), None);
    let (socket, _taken, say) = far(8);
    say.send(Message::Text("hello".into()))
        .await
        .expect("there");
    let cut = socket::serve(socket, feed(), &watchers, Duration::from_secs(60)).await;
    assert_eq!(cut, Some(Cut::Odd));
    let (socket, _taken, say) = far(8);
    drop(say);
    let over = socket::serve(socket, feed(), &watchers, Duration::from_secs(60)).await;
    assert_eq!(over, None, "who leaves is not cut off");
}

#[test]
fn there_is_an_end_to_watchers() {
    let watchers = Arc::<Watchers>::default();
    let places: Vec<_> = (0..MOST_WATCHERS)
        .map(|_| watchers.enter().expect("room"))
        .collect();
    assert_eq!(watchers.enter().expect_err("full").kind, Kind::Unavailable);
    drop(places);
    assert!(watchers.enter().is_ok());
}
