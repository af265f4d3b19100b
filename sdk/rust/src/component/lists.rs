//! The lists of a call, in memory that stays from call to call.
//!
//! Generated glue allocates the requests of each call and frees them, allocates its effects, and is called once more to free those. Here the
//! host writes the requests where those of the call before were, and the effects stay where they are until the next call.

use std::alloc::{Layout, alloc, handle_alloc_error, realloc};
use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::ptr::without_provenance_mut;

use crate::{Game, batch};

/// A list with more room than this is not kept.
const KEPT_BYTES_MAX: usize = 256 << 10;

thread_local! {
    /// Between two calls, where nothing but the requests of the next one is asked for: their memory. `None` otherwise.
    static REQUESTS: Cell<Option<Vec<u8>>> = const { Cell::new(None) };
    /// Room of the memory that was given out for requests.
    static ROOM: Cell<usize> = const { Cell::new(0) };
    static EFFECTS: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// Address and length of the effects, as the host reads them.
    static RETURNED: Cell<[usize; 2]> = const { Cell::new([0; 2]) };
}

/// Begins an export: what is asked for from here on is not for requests.
pub(super) fn begin() {
    drop(REQUESTS.take());
}

/// Begins an export that was passed this list: the generated glue took it for one that has no more room than it has bytes.
#[allow(unsafe_code, reason = "lists are raw pointers in the canonical ABI")]
pub(super) fn adopted(list: Vec<u8>) -> Vec<u8> {
    begin();
    let room = ROOM.take();
    if room <= list.len() {
        return list;
    }
    let mut list = ManuallyDrop::new(list);
    // SAFETY: it is the memory of a list that was given up between two calls, with that room, and has no other owner.
    unsafe { Vec::from_raw_parts(list.as_mut_ptr(), list.len(), room) }
}

/// The export `handle-batch`.
///
/// # Safety
/// `requests` is what [`cabi_realloc`] gave out last, for so many bytes, and they are written.
#[doc(hidden)]
#[allow(unsafe_code, reason = "lists are raw pointers in the canonical ABI")]
#[allow(clippy::panic, reason = "a trap tells the host that it sent what nobody can read")]
pub unsafe fn handle_batch<G: Game>(requests: *mut u8, bytes: usize) -> *const [usize; 2] {
    wit_bindgen::rt::run_ctors_once();
    begin();
    // SAFETY: they are the memory of a list that was given up for this, with that room; or of the first call of an instance, an allocation
    // of exactly so many bytes. Either has the alignment 1 and no other owner. An empty one is dangling, as that of a list is.
    let mut list = unsafe { Vec::from_raw_parts(requests, bytes, ROOM.take().max(bytes)) };
    let mut effects = emptied(EFFECTS.take());
    if let Err(malformed) = batch::handle_batch::<G>(&mut list, &mut effects) {
        panic!("{malformed}");
    }
    RETURNED.set([effects.as_ptr().addr(), effects.len()]);
    EFFECTS.set(effects);
    REQUESTS.set(Some(emptied(list)));
    RETURNED.with(|returned| returned.as_ptr().cast_const())
}

/// The memory of a list for another one, unless it is large.
fn emptied(mut list: Vec<u8>) -> Vec<u8> {
    if list.capacity() > KEPT_BYTES_MAX {
        return Vec::new();
    }
    list.clear();
    list
}

/// Gives out memory for what the host passes: the requests of a call, and what imports return.
///
/// # Safety
/// As the canonical ABI has it: `old` came from here, with this alignment and so many bytes, or there are none.
#[allow(unsafe_code, reason = "lists are raw pointers in the canonical ABI")]
#[unsafe(export_name = "cabi_realloc")]
unsafe extern "C" fn cabi_realloc(old: *mut u8, old_bytes: usize, align: usize, bytes: usize) -> *mut u8 {
    if (old_bytes, align) == (0, 1)
        && let Some(mut list) = REQUESTS.take()
    {
        list.reserve(bytes);
        ROOM.set(list.capacity());
        return ManuallyDrop::new(list).as_mut_ptr();
    }
    if (old_bytes, bytes) == (0, 0) {
        return without_provenance_mut(align);
    }
    // SAFETY: the host asks with powers of two and for what fits into the memory.
    let layout = |bytes| unsafe { Layout::from_size_align_unchecked(bytes, align) };
    // SAFETY: neither layout is empty, and `old` was allocated with the first.
    let place = unsafe { if old_bytes == 0 { alloc(layout(bytes)) } else { realloc(old, layout(old_bytes), bytes) } };
    if place.is_null() {
        handle_alloc_error(layout(bytes));
    }
    place
}
