//go:build !cortensor_shared

package cortensor

// The static library lies inside the module, as `cargo xtask dist go` puts it there. Go refuses the flags that leave out
// what is not called in this place, so the README has them.

/*
#cgo CFLAGS: -I${SRCDIR}/include
#cgo linux,amd64 LDFLAGS: ${SRCDIR}/lib/linux_amd64/libcortensor_router.a
#cgo linux,arm64 LDFLAGS: ${SRCDIR}/lib/linux_arm64/libcortensor_router.a
#cgo LDFLAGS: -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc
*/
import "C"
