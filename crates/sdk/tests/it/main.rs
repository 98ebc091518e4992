//! The SDK as a product uses it.

mod example;
mod product;
mod vectors;
mod world;
