package cortensor

// #include "bridge.h"
import "C"

import "context"

// KeyPage is a list of API keys.
type KeyPage struct {
	// Count is the number of keys.
	Count int64 `json:"count"`
	// Keys are the keys, without their tokens.
	Keys []ApiKey `json:"keys"`
}

// CreateKey makes an API key for listeners; the Name of the options is required. The token cannot be read again later.
func (r *Router) CreateKey(ctx context.Context, options KeyOptions) (*NewKey, error) {
	spec, err := encoded("key", options)
	if err != nil {
		return nil, err
	}
	return askApart[NewKey](ctx, r, func(c *C.cortensor_router, out **C.cortensor_bytes, failure **C.cortensor_error) C.cortensor_status {
		data, size := chars(spec)
		return C.cortensor_router_create_key(c, data, size, out, failure)
	})
}

// Keys are the API keys, without their tokens.
func (r *Router) Keys(ctx context.Context) (*KeyPage, error) {
	return askApart[KeyPage](ctx, r, func(c *C.cortensor_router, out **C.cortensor_bytes, failure **C.cortensor_error) C.cortensor_status {
		return C.cortensor_router_keys(c, out, failure)
	})
}

// DeleteKey revokes an API key: listeners refuse it from now on and end its open requests.
func (r *Router) DeleteKey(ctx context.Context, id string) error {
	_, err := apart(ctx, func() (struct{}, error) {
		return struct{}{}, r.do("router", func(c *C.cortensor_router, failure **C.cortensor_error) C.cortensor_status {
			data, size := chars(id)
			return C.cortensor_router_delete_key(c, data, size, failure)
		})
	}, nil)
	return err
}

// Usage is the usage, by day, key, model, session or miner: the record of `GET /api/v1/usage`.
func (r *Router) Usage(ctx context.Context, query UsageQuery) (*UsageReport, error) {
	text, err := encoded("query", query)
	if err != nil {
		return nil, err
	}
	return askApart[UsageReport](ctx, r, func(c *C.cortensor_router, out **C.cortensor_bytes, failure **C.cortensor_error) C.cortensor_status {
		data, size := chars(text)
		return C.cortensor_router_usage(c, data, size, out, failure)
	})
}
