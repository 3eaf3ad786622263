#![no_main]

cortensor_router_fuzz_coverage::target!("translated");
