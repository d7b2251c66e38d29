//! A rebuild whose steps are done by whatever process answers: a read model of a module that is here, or elsewhere.

use std::sync::Arc;

use async_trait::async_trait;
use banyan_bus::{Building, Decision, RebuildError, Rebuilding};
use banyan_kernel::Answer;
use banyan_store::StoreError;

use super::{By, Operations, refusals};

/// A model's rebuild, asked for step by step.
pub struct AskedRebuild {
    /// Who does the steps.
    pub of: Arc<dyn Operations>,
    /// Which model.
    pub model: String,
}

#[async_trait]
impl Rebuilding for AskedRebuild {
    async fn begin(&self) -> Result<Building, RebuildError> {
        heard(self.of.begin_rebuild(&self.model).await)
    }

    async fn step(&self, building: Building, by: &Decision) -> Result<Building, RebuildError> {
        let by = By { who: by.who().to_owned(), why: by.why().to_owned() };
        heard(self.of.rebuild_step(building, &by).await)
    }
}

fn heard(answer: Answer<Building>) -> Result<Building, RebuildError> {
    let later = |why| Err(RebuildError::Store(StoreError::Unavailable(why)));
    match answer {
        Answer::Done(building) => Ok(building),
        Answer::Pending => later("it is still at it".to_owned()),
        Answer::Unavailable(why) => later(why),
        Answer::Rejected(refusal) => Err(RebuildError::Refused(refusal.detail)),
        Answer::Broken(why) => Err(RebuildError::Refused(why)),
    }
}

/// What came of a step, as it is said to whoever asked for it.
pub(super) fn said(done: Result<Building, RebuildError>) -> Answer<Building> {
    match done {
        Ok(building) => Answer::Done(building),
        Err(error) if error.passes() => Answer::Unavailable(error.to_string()),
        Err(error) => Answer::rejected(refusals::NOT_REBUILT, error.to_string()),
    }
}
