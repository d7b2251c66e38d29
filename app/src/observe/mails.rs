//! Mails that wait to be sent: how many, and for how long the oldest.

use banyan_kernel::Answer;
use notifications_api::MailFacts;

use super::{gauge, natural, seconds};

/// What is not known is not told.
pub(super) async fn look(mails: &dyn MailFacts) {
    let Answer::Done(due) = mails.due().await else { return };
    gauge("banyan.mails.due", "Mails that wait to be sent").record(natural(due.mails), &[]);
    gauge("banyan.mails.refused", "Mails that the mail server refused for good")
        .record(natural(due.refused), &[]);
    seconds("banyan.mails.oldest", "Since what the oldest of them tells of").record(due.oldest_s, &[]);
}
