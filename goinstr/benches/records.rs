//! How many records of finished calls goinstr takes in a second, on one CPU: each decoded, checked and
//! added to its function's distribution, as `attach --aggregate ring` does. No kernel is needed.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use goinstr::{
    aggregate::Aggregator,
    event::{Event, decode},
};
use goinstr_common::record::{CallRecord, KIND_CALL, NO_PARENT};

/// Functions that are called in turn.
const FUNCTIONS: u32 = 1_000;
/// Records of a pass.
const RECORDS: u32 = 100_000;

/// A record as it stands in the ring buffer.
type Bytes = [u8; size_of::<CallRecord>()];

/// Calls of all functions, on a few goroutines, of durations from 100 ns to 100 ms.
fn records() -> Vec<Bytes> {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut record = |number: u32| {
        // xorshift64: the same in each run.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let duration_ns = 100 << (random % 20);
        let record = CallRecord {
            kind: KIND_CALL,
            func: (random >> 32) as u32 % FUNCTIONS,
            goid: random >> 60,
            start_ns: u64::from(number) * 1_000,
            duration_ns,
            self_ns: duration_ns / 2,
            parent: NO_PARENT,
            ..CallRecord::default()
        };
        // SAFETY: a wire type without padding.
        unsafe { std::mem::transmute::<CallRecord, Bytes>(record) }
    };
    (0..RECORDS).map(&mut record).collect()
}

fn taken(criterion: &mut Criterion) {
    let records = records();
    let mut group = criterion.benchmark_group("records");
    group.throughput(Throughput::Elements(u64::from(RECORDS)));
    group.bench_function("decode", |b| {
        b.iter(|| {
            let decoded = records
                .iter()
                .map(|record| decode(record, FUNCTIONS as usize));
            decoded.filter(Result::is_ok).count()
        });
    });
    group.bench_function("decode and add", |b| {
        let mut aggregator = Aggregator::new(FUNCTIONS as usize);
        b.iter(|| {
            for record in &records {
                if let Ok(Event::Call(call, _)) = decode(record, FUNCTIONS as usize) {
                    aggregator.add_call(&call);
                }
            }
        });
    });
    group.finish();
}

criterion_group!(benches, taken);
criterion_main!(benches);
