//! Every refusal of this program is one `check!` or `some!`, each with an id of its own: `npm run programs:mutate` takes
//! them out one at a time and demands that a test goes red for each. What no input can bring about is not a refusal: it
//! ends in one of Solana's own errors.

/// Refuses with `$error` unless `$condition` holds.
macro_rules! check {
    ($id:literal, $condition:expr, $error:ident) => {
        if !($condition) {
            return Err($crate::error::AnchorError::$error.into());
        }
    };
}

/// The value of `$option`; refuses with `$error` if there is none.
macro_rules! some {
    ($id:literal, $option:expr, $error:ident) => {
        match $option {
            Some(value) => value,
            None => return Err($crate::error::AnchorError::$error.into()),
        }
    };
}

/// Refuses with `$error`.
macro_rules! refuse {
    ($id:literal, $error:ident) => {
        return Err($crate::error::AnchorError::$error.into())
    };
}
