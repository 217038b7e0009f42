//! Faulty variants: each breaks the promise that is named, and the search finds it.
