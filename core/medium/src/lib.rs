//! A disk below `SQLite` that fails when a test says so, and that knows what a power loss would leave of it.
//!
//! [`Medium::over`] watches the files of one directory. [`Medium::fail`] makes the n-th operation of a kind fail,
//! [`Medium::heal`] ends that, and [`Medium::power_loss`] writes the files as a machine would find them that lost its
//! power at this moment: whatever was synced is there, and of the rest any part.
//!
//! The disk stands in for the system's one in the whole process, but only watched directories see a difference. Syncs
//! do not reach the real disk, so that thousands of runs take seconds.

mod image;
mod medium;
mod vfs;

pub use medium::{Fault, Medium, Operation, Strike};
