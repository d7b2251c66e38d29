//! The HTTP edge: tokens, problems, and the page of calls to the outside.
