//! What the API server accepts, refuses and shows: schemas, rules and columns of the three kinds.

mod bad_input;
mod bad_input_table;
mod examples;
mod flavor;
mod schema;
