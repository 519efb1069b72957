//! Tests of the embedded queue through its traits: conformance, comparison with the queue in memory,
//! crashes, damage.

mod compare;
mod conformance;
mod crash;
mod damage;
mod directory;
mod scenario;
