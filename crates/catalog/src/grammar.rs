//! The grammar of product files, as data: checks, schema and reference follow it.
