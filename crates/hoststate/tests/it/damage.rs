//! A backup that was cut, changed or made to do harm is refused; one of form 1 is read for ever.
