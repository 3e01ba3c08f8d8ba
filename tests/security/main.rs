//! The attack cases that an API server can judge, each a test named by its id, and the guard rails themselves.

mod a_access;
mod a_pods;
mod b_rights;
mod b_tokens;
mod c_secrets;
mod c_tenants;
mod c_users;
mod c_volumes;
mod d_keys;
mod d_paths;
mod d_text;
mod e_lifetime;
mod e_quota;
mod e_resources;
mod g_canary;
mod g_dns;
mod g_install;
mod guard;
mod policy_homes;
mod policy_images;
mod policy_labels;
mod policy_objects;
mod policy_owner;
mod policy_parameters;
