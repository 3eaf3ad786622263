package cortensor

// #include "bridge.h"
import "C"

import (
	"runtime/cgo"
	"time"
)

// The functions that the library calls. None of them blocks or lets a panic out, and each handle is deleted by the last
// call that gets it.

//export cortensorGoJob
func cortensorGoJob(user C.uintptr_t, job *C.cortensor_job) {
	cgo.Handle(user).Value().(*workshop).take(job)
}

//export cortensorGoDrop
func cortensorGoDrop(user C.uintptr_t) {
	handle := cgo.Handle(user)
	held := handle.Value()
	handle.Delete()
	if workshop, ok := held.(*workshop); ok {
		workshop.close()
	}
}

//export cortensorGoLog
func cortensorGoLog(user C.uintptr_t, timeMS C.uint64_t, level, target, message *C.char) {
	write := cgo.Handle(user).Value().(func(LogRecord))
	// A panic must not run into the library; there is nobody to tell of it but the log itself.
	defer func() { _ = recover() }()
	write(LogRecord{
		Time:    time.UnixMilli(int64(timeMS)),
		Level:   C.GoString(level),
		Target:  C.GoString(target),
		Message: C.GoString(message),
	})
}

//export cortensorGoWake
func cortensorGoWake(user C.uintptr_t) {
	handle := cgo.Handle(user)
	woken := handle.Value().(waker)
	handle.Delete()
	woken.wake()
}

//export cortensorGoSubmitted
func cortensorGoSubmitted(user C.uintptr_t, task *C.cortensor_task, failure *C.cortensor_error) {
	handle := cgo.Handle(user)
	answer := handle.Value().(chan submitted)
	handle.Delete()
	// The channel has room for the one answer.
	answer <- submitted{task, failure}
}

// waker is told once that a call which waits would return at once.
type waker interface{ wake() }

// bell is a waker that rings a channel with room for one.
type bell chan struct{}

func (b bell) wake() {
	select {
	case b <- struct{}{}:
	default:
	}
}

// handleOf gives the number under which the library gets a value of Go.
func handleOf(value any) C.uintptr_t {
	return C.uintptr_t(cgo.NewHandle(value))
}
