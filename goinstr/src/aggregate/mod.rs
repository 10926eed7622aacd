//! Events and kernel histograms → statistics and the ledger.

mod aggregator;
mod call_stack;
mod call_tree;
mod compare;
mod condition;
mod coverage;
mod distribution;
mod durations;
mod exported;
mod inflight;
mod profile;
mod reading;
mod report;
mod saved;
mod states;
mod value;

pub use aggregator::Aggregator;
pub use call_stack::CallStack;
pub use call_tree::{CallTree, Nested, Nesting, Path};
pub use compare::{Difference, Moved, Sample, Verdict, compare, judge};
pub use coverage::{CoverLedger, CoverReport, Coverage};
pub use distribution::{Distribution, Slot};
pub use exported::Exported;
pub use inflight::{Inflight, OpenStack};
pub use profile::{Block, Profile, ProfileFile, ProfileFunction};
pub use reading::{Bytes, TypeNames, values};
pub use report::{
    BegunCall, Books, CallEvent, CallValues, CallerReport, End, FollowedStates, FunctionReport,
    Ledger, Mode, OpenCall, Outcome, ProbeCosts, Report, SessionInfo, ShedEvent,
};
pub use saved::SavedError;
pub use states::States;
pub use value::{Content, Deadline, Value, Values, go_float, hex};
