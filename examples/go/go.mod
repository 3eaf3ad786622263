module cortensor.internal/examples

go 1.19

require cortensor.internal/router v0.1.0

// `cargo xtask dist go` makes this directory.
replace cortensor.internal/router => ../../target/dist/go
