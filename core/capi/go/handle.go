package cortensor

// #include "bridge.h"
import "C"

import (
	"context"
	"encoding/json"
	"sync"
	"unsafe"
)

// handle is a pointer of the library that is not freed while a call uses it.
type handle[P comparable] struct {
	lock sync.RWMutex
	c    P
}

// crossings bounds the threads that are inside short calls of the library. Go starts a thread for each call that takes
// longer than a few microseconds, as calls do that wait for each other, and it ends a process with 10 000 threads.
var crossings = make(chan struct{}, 64)

func cross() {
	crossings <- struct{}{}
}

func crossed() {
	<-crossings
}

// enter begins a short call; after it without an error the caller must leave.
func (h *handle[P]) enter(what string) (P, error) {
	c, err := h.enterLong(what)
	if err == nil {
		cross()
	}
	return c, err
}

func (h *handle[P]) leave() {
	crossed()
	h.leaveLong()
}

// enterLong begins a call that may wait; after it without an error the caller must call leaveLong.
func (h *handle[P]) enterLong(what string) (P, error) {
	var none P
	h.lock.RLock()
	if h.c == none {
		h.lock.RUnlock()
		return none, local(KindClosed, "released", "the "+what+" was released")
	}
	return h.c, nil
}

func (h *handle[P]) leaveLong() {
	h.lock.RUnlock()
}

// free waits for the present calls, takes the pointer away from later ones, and frees it. A second time it does nothing.
func (h *handle[P]) free(release func(P)) {
	var none P
	h.lock.Lock()
	c := h.c
	h.c = none
	h.lock.Unlock()
	if c != none {
		cross()
		release(c)
		crossed()
	}
}

// do makes a short call without a result.
func (h *handle[P]) do(what string, call func(P, **C.cortensor_error) C.cortensor_status) error {
	c, err := h.enter(what)
	if err != nil {
		return err
	}
	defer h.leave()
	var failure *C.cortensor_error
	if call(c, &failure) != C.CORTENSOR_STATUS_OK {
		return failed(failure)
	}
	return nil
}

// doApart is do for a call that may block.
func (h *handle[P]) doApart(ctx context.Context, what string, call func(P, **C.cortensor_error) C.cortensor_status) error {
	_, err := apart(ctx, func() (struct{}, error) {
		c, err := h.enterLong(what)
		if err != nil {
			return struct{}{}, err
		}
		defer h.leaveLong()
		var failure *C.cortensor_error
		if call(c, &failure) != C.CORTENSOR_STATUS_OK {
			return struct{}{}, failed(failure)
		}
		return struct{}{}, nil
	}, nil)
	return err
}

// ask makes a short call that gives a record.
func ask[T any, P comparable](h *handle[P], what string, call func(P, **C.cortensor_bytes, **C.cortensor_error) C.cortensor_status) (*T, error) {
	c, err := h.enter(what)
	if err != nil {
		return nil, err
	}
	defer h.leave()
	var bytes *C.cortensor_bytes
	var failure *C.cortensor_error
	status := call(c, &bytes, &failure)
	return record[T](status, bytes, failure)
}

// chars lends a text to a call: its bytes without a copy, and their number.
func chars(s string) (*C.char, C.size_t) {
	if s == "" {
		return nil, 0
	}
	// The first word of a string is the address of its bytes.
	return (*C.char)(*(*unsafe.Pointer)(unsafe.Pointer(&s))), C.size_t(len(s))
}

// encoded is a value as JSON; nil is an empty text.
func encoded(param string, value any) (string, error) {
	if value == nil {
		return "", nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		return "", invalid(param, param+" cannot be written as JSON: "+err.Error())
	}
	return string(text), nil
}

// taken copies what the library gave, and frees it.
func taken(bytes *C.cortensor_bytes) []byte {
	data := C.GoBytes(unsafe.Pointer(C.cortensor_bytes_data(bytes)), C.int(C.cortensor_bytes_len(bytes)))
	C.cortensor_bytes_free(bytes)
	return data
}

// record reads what a call gave into a record, which has the names of the schema.
func record[T any](status C.cortensor_status, bytes *C.cortensor_bytes, failure *C.cortensor_error) (*T, error) {
	if status != C.CORTENSOR_STATUS_OK {
		return nil, failed(failure)
	}
	into := new(T)
	if err := json.Unmarshal(taken(bytes), into); err != nil {
		return nil, local(KindInternal, "unreadable_record", "the library gave a record that cannot be read: "+err.Error())
	}
	return into, nil
}

// slots bounds the threads that wait inside calls of the library.
var slots = make(chan struct{}, 64)

// outcome is the result of a call.
type outcome[T any] struct {
	value T
	err   error
}

// apart makes a call that may block for as long as the store takes. If the context ends first, the call goes on, and
// `dispose` gets what it gives in the end; nil: the garbage collector alone does.
func apart[T any](ctx context.Context, call func() (T, error), dispose func(T)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, left(err)
	}
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return none, left(ctx.Err())
	}
	if ctx.Done() == nil {
		defer func() { <-slots }()
		return call()
	}
	answer := make(chan outcome[T], 1)
	go func() {
		defer func() { <-slots }()
		value, err := call()
		answer <- outcome[T]{value, err}
	}()
	select {
	case got := <-answer:
		return got.value, got.err
	case <-ctx.Done():
		if dispose != nil {
			go func() {
				if got := <-answer; got.err == nil {
					dispose(got.value)
				}
			}()
		}
		return none, left(ctx.Err())
	}
}
