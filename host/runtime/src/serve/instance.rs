//! What handles requests: a component, or a function that is linked in; and how to make one.

use crate::call::fault::Fault;
use crate::call::guest::Guest;
use crate::call::template::Template;

/// A handler that is linked into the binary: request records in (they may be changed in place), effect records out. The benchmark
/// uses it to tell what the sandbox costs.
pub type NativeHandler = fn(&mut [u8], &mut Vec<u8>);

/// The code of a plugin, from which instances are made.
pub(crate) enum Code {
    Wasm(Box<Template>),
    Native(NativeHandler),
}

/// One instance.
pub(crate) enum Instance {
    Wasm(Box<Guest>),
    Native(NativeHandler, Vec<u8>),
}

impl Code {
    /// Whether its calls may wait.
    pub(crate) const fn waits(&self) -> bool {
        match self {
            Self::Wasm(template) => template.waits(),
            Self::Native(..) => false,
        }
    }

    /// Bytes of all memories and tables of all instances.
    pub(crate) fn memory_bytes(&self) -> usize {
        match self {
            Self::Wasm(template) => template.memory_bytes(),
            Self::Native(..) => 0,
        }
    }

    /// A new instance, started.
    pub(crate) async fn instantiate(&self) -> Result<Instance, Fault> {
        Ok(match self {
            Self::Native(handler) => Instance::Native(*handler, Vec::new()),
            // On the heap while it is made: every call would carry the room for that along, and few make one.
            Self::Wasm(template) => Instance::Wasm(Box::new(Box::pin(template.instantiate()).await?)),
        })
    }
}

impl Instance {
    /// Handles request records and returns effect records.
    pub(crate) async fn call(&mut self, requests: &[u8]) -> Result<Vec<u8>, Fault> {
        match self {
            Self::Wasm(guest) => guest.call(requests).await,
            Self::Native(handler, memory) => {
                memory.clear();
                memory.extend_from_slice(requests);
                let mut list = Vec::with_capacity(requests.len());
                handler(memory, &mut list);
                Ok(list)
            }
        }
    }

    /// Bytes of all memories and tables.
    pub(crate) fn memory_bytes(&self) -> usize {
        match self {
            Self::Wasm(guest) => guest.memory_bytes(),
            Self::Native(..) => 0,
        }
    }

    /// The component, of which alone there is a state.
    pub(crate) fn guest(&mut self) -> Option<&mut Guest> {
        match self {
            Self::Wasm(guest) => Some(guest),
            Self::Native(..) => None,
        }
    }

    /// Ends it in good order, or says why that failed.
    pub(crate) async fn stop(self) -> Result<(), String> {
        match self {
            Self::Wasm(guest) => guest.stop().await,
            Self::Native(..) => Ok(()),
        }
    }
}
