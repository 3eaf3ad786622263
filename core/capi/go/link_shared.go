//go:build cortensor_shared

package cortensor

// With the build tag cortensor_shared, pkg-config finds the installed shared library.

// #cgo pkg-config: cortensor_router
import "C"
