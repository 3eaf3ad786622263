//! The facade that every binding wraps: as a program uses it, and over the conformance scenarios.

mod conformance;
mod facade;
mod matching;
mod miners;
