//! Every call of SeaORM does through the wrapper what it does on a plain connection, on SQLite,
//! PostgreSQL and MariaDB.
//!
//! Most tests are a script that is run on a plain connection, through the wrapper, and in a
//! transaction of each, on databases of their own. What it saw must be the same in all of them;
//! and through the wrapper, after every step, each cached read must be what the plain connection
//! reads.

#[path = "../support/mod.rs"]
mod support;
#[macro_use]
mod run;
mod world;

mod bakeries;
mod bakery_reads;
mod crud;
mod enums;
mod errors;
mod graphs;
mod keys;
mod queries;
mod raw;
mod relations;
mod returning;
mod rows;
mod transactions;
mod types;
mod upsert;
mod values;
