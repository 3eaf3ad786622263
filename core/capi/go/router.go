package cortensor

// #include "bridge.h"
import "C"

import (
	"context"
	"encoding/json"
)

// Router is a router inside this process. Close it when it is not needed any more: the garbage collector does not.
type Router struct {
	handle[*C.cortensor_router]
	// crew has the miners' functions that run.
	crew crew
}

// Open opens a router. The configuration is nil, or anything that encoding/json writes in the form of
// docs/configuration.md: a map, a struct, a json.RawMessage. Without one, all is kept in memory.
func Open(config any, options ...Option) (*Router, error) {
	if err := checkABI(); err != nil {
		return nil, err
	}
	text, err := encoded("config", config)
	if err != nil {
		return nil, err
	}
	var log C.uintptr_t
	if write := settled(options).log; write != nil {
		log = handleOf(write)
	}
	router := &Router{}
	var failure *C.cortensor_error
	data, size := chars(text)
	if C.cortensor_go_open(data, size, log, &router.c, &failure) != C.CORTENSOR_STATUS_OK {
		return nil, failed(failure)
	}
	return router, nil
}

// Close ends the router: it stops the listeners, cancels running tasks and closes the store. Afterwards no job
// comes to a miner, and the functions that have one see their contexts end; Wait waits for them. A second Close does
// nothing.
func (r *Router) Close() error {
	err := r.Shutdown(context.Background())
	if err == nil {
		r.free(func(c *C.cortensor_router) { C.cortensor_router_free(c) })
	}
	return err
}

// Shutdown is Close within the context's time. After an error of the kind "timeout" the router is closed, but some of
// its work has not ended; call it again, or Close, to wait on.
func (r *Router) Shutdown(ctx context.Context) error {
	c, err := r.enterLong("router")
	if err != nil {
		return nil
	}
	defer r.leaveLong()
	var failure *C.cortensor_error
	if C.cortensor_router_shutdown(c, milliseconds(ctx), &failure) != C.CORTENSOR_STATUS_OK {
		return failed(failure)
	}
	return nil
}

// Wait waits until every function of a miner of this router has returned.
func (r *Router) Wait(ctx context.Context) error {
	return r.crew.wait(ctx)
}

// Drain takes no new tasks and waits until the present ones have ended. An error of the kind "timeout": the context's
// time was over first.
func (r *Router) Drain(ctx context.Context) error {
	return r.doApart(ctx, "router", func(c *C.cortensor_router, failure **C.cortensor_error) C.cortensor_status {
		return C.cortensor_router_drain(c, milliseconds(ctx), failure)
	})
}

// askApart is ask for a call that may block.
func askApart[T any](ctx context.Context, r *Router, call func(*C.cortensor_router, **C.cortensor_bytes, **C.cortensor_error) C.cortensor_status) (*T, error) {
	return apart(ctx, func() (*T, error) {
		c, err := r.enterLong("router")
		if err != nil {
			return nil, err
		}
		defer r.leaveLong()
		var bytes *C.cortensor_bytes
		var failure *C.cortensor_error
		status := call(c, &bytes, &failure)
		return record[T](status, bytes, failure)
	}, nil)
}

// Config is the configuration with every default, as JSON without secrets.
func (r *Router) Config() (json.RawMessage, error) {
	config, err := ask[json.RawMessage](&r.handle, "router", func(c *C.cortensor_router, out **C.cortensor_bytes, failure **C.cortensor_error) C.cortensor_status {
		return C.cortensor_router_config(c, out, failure)
	})
	if err != nil {
		return nil, err
	}
	return *config, nil
}

// Info is the router's name, version and abilities: the record of `GET /api/v1/info`.
func (r *Router) Info() (*NodeInfo, error) {
	return ask[NodeInfo](&r.handle, "router", func(c *C.cortensor_router, out **C.cortensor_bytes, failure **C.cortensor_error) C.cortensor_status {
		return C.cortensor_router_info(c, out, failure)
	})
}

// Status is the router's present state: the record of `GET /api/v1/status`.
func (r *Router) Status() (*NodeStatus, error) {
	return ask[NodeStatus](&r.handle, "router", func(c *C.cortensor_router, out **C.cortensor_bytes, failure **C.cortensor_error) C.cortensor_status {
		return C.cortensor_router_status(c, out, failure)
	})
}

// Metrics are all metrics in Prometheus' text format.
func (r *Router) Metrics() (string, error) {
	c, err := r.enter("router")
	if err != nil {
		return "", err
	}
	defer r.leave()
	var bytes *C.cortensor_bytes
	var failure *C.cortensor_error
	if C.cortensor_router_metrics(c, &bytes, &failure) != C.CORTENSOR_STATUS_OK {
		return "", failed(failure)
	}
	return string(taken(bytes)), nil
}

// MinerPage is a list of miners.
type MinerPage struct {
	// Count is the number of miners.
	Count int64 `json:"count"`
	// Miners are the miners.
	Miners []MinerInfo `json:"miners"`
}

// Miners are the miners of every kind.
func (r *Router) Miners() (*MinerPage, error) {
	return ask[MinerPage](&r.handle, "router", func(c *C.cortensor_router, out **C.cortensor_bytes, failure **C.cortensor_error) C.cortensor_status {
		return C.cortensor_router_miners(c, out, failure)
	})
}

// ModelPage is a list of models.
type ModelPage struct {
	// Count is the number of models.
	Count int64 `json:"count"`
	// Models are the models.
	Models []ModelInfo `json:"models"`
}

// Models are the models that clients can ask for.
func (r *Router) Models() (*ModelPage, error) {
	return ask[ModelPage](&r.handle, "router", func(c *C.cortensor_router, out **C.cortensor_bytes, failure **C.cortensor_error) C.cortensor_status {
		return C.cortensor_router_models(c, out, failure)
	})
}
