package cortensor

// #include "bridge.h"
import "C"

import (
	"context"
	"runtime"
	"strings"
	"sync"
)

// Listener is a running HTTP listener. It serves until it is stopped or its router is closed.
type Listener struct {
	handle[*C.cortensor_listener]
	address string
	posture []string
	once    sync.Once
	ended   chan struct{}
}

// Listen starts the HTTP listener: the REST API and the APIs of OpenAI and others. The configuration is nil, for the
// router's own settings, or anything that encoding/json writes as the `listen` section of docs/configuration.md.
func (r *Router) Listen(config any) (*Listener, error) {
	text, err := encoded("listen", config)
	if err != nil {
		return nil, err
	}
	listener := &Listener{ended: make(chan struct{})}
	err = r.do("router", func(c *C.cortensor_router, failure **C.cortensor_error) C.cortensor_status {
		data, size := chars(text)
		return C.cortensor_router_listen(c, data, size, &listener.c, failure)
	})
	if err != nil {
		return nil, err
	}
	runtime.SetFinalizer(listener, func(l *Listener) {
		l.free(func(c *C.cortensor_listener) { C.cortensor_listener_free(c) })
	})
	var bytes *C.cortensor_bytes
	var failure *C.cortensor_error
	if C.cortensor_listener_address(listener.c, &bytes, &failure) != C.CORTENSOR_STATUS_OK {
		return nil, failed(failure)
	}
	listener.address = string(taken(bytes))
	if C.cortensor_listener_posture(listener.c, &bytes, &failure) != C.CORTENSOR_STATUS_OK {
		return nil, failed(failure)
	}
	listener.posture = strings.Split(strings.TrimSpace(string(taken(bytes))), "\n")
	return listener, nil
}

// Address is the address, for example "127.0.0.1:5010".
func (l *Listener) Address() string {
	return l.address
}

// URL is the address as a URL, for example "http://127.0.0.1:5010".
func (l *Listener) URL() string {
	return "http://" + l.address
}

// Posture are the open surfaces and how each one is protected, a line each.
func (l *Listener) Posture() []string {
	return l.posture
}

// Stop takes no new connections and waits until running requests have ended. An error of the kind "timeout": some have
// not ended within the context's time.
func (l *Listener) Stop(ctx context.Context) error {
	return l.doApart(ctx, "listener", func(c *C.cortensor_listener, failure **C.cortensor_error) C.cortensor_status {
		return C.cortensor_listener_stop(c, milliseconds(ctx), failure)
	})
}

// Done is closed when the listener has ended, for any reason.
func (l *Listener) Done() <-chan struct{} {
	l.once.Do(func() {
		go func() {
			defer close(l.ended)
			c, err := l.enterLong("listener")
			if err != nil {
				return
			}
			defer l.leaveLong()
			C.cortensor_listener_wait(c, C.CORTENSOR_FOREVER, nil)
		}()
	})
	return l.ended
}
