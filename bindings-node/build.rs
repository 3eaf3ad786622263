//! Link arguments of a Node addon; among them `-z nodelete`: threads of a router may outlive the environment that
//! loaded it.

fn main() {
    napi_build::setup();
}
