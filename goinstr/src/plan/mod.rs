//! Which functions, which sites: pure data, printable and testable without root.
//!
//! In: a [`GoBinary`](crate::binary::GoBinary) and the user's patterns. Out: a [`ProbePlan`].

mod body;
mod build;
mod capture;
mod choice;
mod condition;
mod coverage;
mod error;
mod modules;
mod nearest;
mod obstacle;
mod pattern;
mod probe_plan;
mod states;
mod survey;
mod wait_slots;

pub use build::plan;
pub use capture::{
    BadRedaction, BadSignature, CapturePlan, Chunk, ContextStep, ErrorShape, FunctionCapture,
    GivenSignature, InnerShape, Limits, Redaction, Shape, ShapeKind, Sieve, Unread, Wanted, Word,
};
pub use choice::choose;
pub use condition::{BadCondition, Comparison, Condition, Constant, Operator};
pub use coverage::{CoverFunction, CoverPlan, CoverSite, Level, SourceFile, SourceLine, cover};
pub use error::PlanError;
pub use modules::{Module, applicable, plan_modules};
pub use nearest::nearest;
pub use obstacle::Obstacle;
pub use pattern::{Pattern, PatternError, without_type_arguments};
pub use probe_plan::{Library, Location, PlannedFunction, ProbePlan, Site, Skipped, UnwindSites};
pub use states::{GoState, StatePlan, StateSite};
pub use survey::{Sites, Surveyed, survey};
pub use wait_slots::WaitSlots;
