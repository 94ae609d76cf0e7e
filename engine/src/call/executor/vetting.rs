//! Who has answered a dial, where that matters before both are joined.
use super::super::dial::{DialEnd, Dialled};
use super::super::leg::{End, Input};
use super::super::see_off::Escorted;
use super::super::tones::{OnMachine, Vetting};
use super::Executor;
use crate::media::Attention;
use std::time::Instant;

impl Executor<'_> {
    /// Listens to the callee as asked; the caller waits meanwhile. What is returned is the end of the dial: a machine is not to be joined, or
    /// the callee has hung up.
    pub(super) async fn vet(
        &mut self,
        on: OnMachine,
        callee: &mut Escorted,
        label: &str,
    ) -> Result<Option<Dialled>, End> {
        let detect = on.detect();
        if let Err(reason) = callee.attend(detect.attention()) {
            tracing::warn!(reason, with = label, "nobody listens who has answered");
            return Ok(None);
        }
        if on == OnMachine::Continue {
            return Ok(None);
        }
        let mut vetting = Vetting::new(Instant::now(), &detect);
        loop {
            tokio::select! {
                biased;
                input = self.next() => match input {
                    Input::Ended(end) => return Err(end),
                    Input::Key(key) => self.leg.keep(key),
                    _ => {}
                },
                input = tokio::time::timeout_at(vetting.deadline.into(), callee.next()) => match input {
                    Err(_) => break,
                    Ok(Input::AnswererBegins) => vetting.begin(Instant::now()),
                    Ok(Input::Answerer(finding)) if vetting.take(Instant::now(), finding) => break,
                    Ok(Input::Ended(end)) => {
                        let how = DialEnd::Answered { seconds: 0 };
                        return Ok(Some(over(how, label, 200, end.q850.unwrap_or(16))));
                    }
                    Ok(Input::Message(message)) => self.message(message),
                    Ok(_) => {}
                },
            }
        }
        let _ = callee.attend(Attention::default());
        let refused = on == OnMachine::Hangup && vetting.found.is_machine();
        Ok(refused.then(|| over(DialEnd::Machine, label, 480, 16)))
    }
}

fn over(how: DialEnd, label: &str, status: u16, cause: u8) -> Dialled {
    Dialled {
        how,
        target: label.to_owned(),
        status,
        cause,
        tone: None,
        retry_after: None,
    }
}
