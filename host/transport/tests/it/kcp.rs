//! The KCP listener against clients of other makers, bad networks and hostile peers.

mod admission;
mod alone;
mod anew;
mod echo;
mod go;
mod limits;
mod loss;
mod measure;
mod network;
mod panics;
mod proof;
mod raw;
mod relay;
mod server;
