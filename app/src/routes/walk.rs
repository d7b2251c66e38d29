//! A walk: a route turned step by step, which looks at each step what a guard says of both sides.

use std::time::Duration;

use banyan_kernel::{Actor, Timestamp};
use banyan_net::route::{Counts, Gauge, Side};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{By, ITEMS_MIN, RouteError, Routes, Target, Verdict, judge, log};

/// Between two looks of the guard.
const LOOK: Duration = Duration::from_millis(250);

/// Where a walk goes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Of a thousand keys, to the module's own process, one after the other.
    pub steps: Vec<u16>,
    /// The least time of each.
    pub every: Duration,
}

/// A walk, under way or ended.
pub struct Walk {
    state: WalkState,
    since: Timestamp,
    stop: CancellationToken,
}

/// How a walk stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WalkState {
    /// Its steps, in per cent.
    pub steps: Vec<f64>,
    /// The step that it is at, counted from 1.
    pub step: usize,
    /// Whose it is, as `role:id`.
    pub by: String,
    /// Why.
    pub why: String,
    /// Since when.
    pub since: String,
    /// What the guard says.
    pub says: String,
    /// Where it ended.
    pub end: Option<WalkEnd>,
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WalkEnd {
    /// At its last step.
    Arrived,
    /// The guard has turned the route back.
    TurnedBack,
    /// Somebody stopped it, or the shop; the route is where it was.
    Stopped,
    /// The route could not be turned on; it is where it was.
    Stuck,
}

impl Walk {
    pub(super) fn state(&self) -> WalkState {
        self.state.clone()
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.state.end.is_none()
    }

    pub(super) fn in_the_way(&self, module: &'static str) -> RouteError {
        let WalkState { by, why, .. } = self.state.clone();
        RouteError::Walked { module, by, why, since: log::text(self.since) }
    }
}

impl Routes {
    /// Begins to walk a route; returns when it is at the first step.
    ///
    /// # Errors
    /// As [`Routes::turn`].
    pub async fn begin_walk(&self, module: &str, plan: Plan, by: By) -> Result<(), RouteError> {
        let (module, both) = self.find(module)?;
        let (stop, now) = (self.0.stop.child_token(), self.0.clock.now());
        let state = WalkState {
            steps: plan.steps.iter().map(|step| f64::from(*step) / 10.0).collect(),
            step: 1,
            by: by.who.to_string(),
            why: by.why.clone(),
            since: log::text(now),
            says: "it begins".to_owned(),
            end: None,
        };
        {
            let mut walks = self.walks();
            if let Some(walk) = walks.get(module).filter(|walk| walk.is_under_way()) {
                return Err(walk.in_the_way(module));
            }
            walks.insert(module, Walk { state, since: now, stop: stop.clone() });
        }
        let seen = Seen::now(&both.gauge);
        let first = plan.steps.first().copied().unwrap_or_default();
        match self.turned(module, Target::Remote(first), &by).await {
            Ok(revision) => {
                let walker = Walker { routes: self.clone(), module, plan, by: By { revision, ..by }, seen };
                tokio::spawn(walker.walk(stop));
                Ok(())
            }
            Err(why) => {
                self.walks().remove(module);
                Err(why)
            }
        }
    }

    /// Stops a walk; the route stays where it is.
    ///
    /// # Errors
    /// When there is none.
    pub fn stop_walk(&self, module: &str) -> Result<(), RouteError> {
        let (module, _) = self.find(module)?;
        match self.walks().get(module).filter(|walk| walk.is_under_way()) {
            Some(walk) => walk.stop.cancel(),
            None => return Err(RouteError::NoWalk(module)),
        }
        Ok(())
    }

    fn says(&self, module: &str, step: usize, says: String, end: Option<WalkEnd>) {
        if let Some(walk) = self.walks().get_mut(module) {
            let state = &mut walk.state;
            (state.step, state.says, state.end) = (step, says, end);
        }
    }
}

/// What was counted up to some moment.
#[derive(Clone, Copy)]
struct Seen {
    here: Counts,
    there: Counts,
    different: u64,
}

impl Seen {
    const NOTHING: Self = Self { here: Counts::NONE, there: Counts::NONE, different: 0 };

    fn now(gauge: &Gauge) -> Self {
        let [here, there] = [Side::Here, Side::There].map(|side| gauge.counts(side));
        Self { here, there, different: gauge.shadowed().different }
    }
}

struct Walker {
    routes: Routes,
    module: &'static str,
    plan: Plan,
    by: By,
    /// When the walk began.
    seen: Seen,
}

impl Walker {
    async fn walk(mut self, stop: CancellationToken) {
        let steps = self.plan.steps.clone();
        for (n, step) in steps.iter().enumerate() {
            if n > 0
                && let Err(why) = self.turn(Target::Remote(*step), self.by.clone()).await
            {
                return self.says(n, format!("{why}"), Some(WalkEnd::Stuck));
            }
            match stop.run_until_cancelled(self.step(n + 1)).await {
                None => return self.says(n + 1, "it was stopped".to_owned(), Some(WalkEnd::Stopped)),
                Some(Err(why)) => return self.turn_back(n + 1, why).await,
                Some(Ok(())) => {}
            }
        }
        self.says(steps.len(), "it has arrived".to_owned(), Some(WalkEnd::Arrived));
    }

    /// Until its time is over and the guard says well; or why to turn back.
    async fn step(&self, step: usize) -> Result<(), String> {
        let (began, seen) = (Instant::now(), self.now());
        loop {
            tokio::time::sleep(LOOK).await;
            match self.judged(&seen) {
                Verdict::TurnBack(why) => return Err(why),
                Verdict::Advance if began.elapsed() >= self.plan.every => return Ok(()),
                Verdict::Advance => self.says(step, "both sides do as well".to_owned(), None),
                Verdict::Wait(why) => self.says(step, why, None),
            }
        }
    }

    fn now(&self) -> Seen {
        self.routes.find(self.module).map_or(Seen::NOTHING, |(_, both)| Seen::now(&both.gauge))
    }

    /// There by what was counted since the step began. Here as well, if it was enough: at the last steps little is asked here, and what
    /// was since the walk began, or before, must do.
    fn judged(&self, step: &Seen) -> Verdict {
        let now = self.now();
        let here = [step.here, self.seen.here, Counts::NONE].map(|since| now.here.since(&since));
        let here = here.iter().find(|here| here.items >= ITEMS_MIN).unwrap_or(&here[2]);
        judge(here, &now.there.since(&step.there), now.different - self.seen.different)
    }

    async fn turn(&mut self, to: Target, by: By) -> Result<(), RouteError> {
        self.by.revision = self.routes.turned(self.module, to, &by).await?;
        Ok(())
    }

    async fn turn_back(mut self, step: usize, why: String) {
        let by = By { who: Actor::system("guard"), why: why.clone(), revision: self.by.revision };
        match self.turn(Target::Local, by).await {
            Ok(()) => self.says(step, why, Some(WalkEnd::TurnedBack)),
            // Somebody else has turned it, who knows more; or it cannot be turned, which must be seen.
            Err(error) => {
                tracing::error!(module = self.module, %error, why, correlation = "", "a route must be turned back, and is not");
                self.says(step, format!("{why}; it is not turned back: {error}"), Some(WalkEnd::Stuck));
            }
        }
    }

    fn says(&self, step: usize, says: String, end: Option<WalkEnd>) {
        self.routes.says(self.module, step, says, end);
    }
}
