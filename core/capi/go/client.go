package cortensor

// #include "bridge.h"
import "C"

import "context"

// MinerClient is a miner of this program that works for a distant router. Close it when it is not needed any more.
type MinerClient struct {
	handle[*C.cortensor_miner_client]
	crew crew
}

// RunMiner connects to a router and works for it; the Routers and the Name of the settings are required. It reconnects
// when the connection breaks, and loses no finished answer. It does not wait for the connection: Stats tells of it.
func RunMiner(settings MinerClientSettings, miner Miner, options ...Option) (*MinerClient, error) {
	if err := checkABI(); err != nil {
		return nil, err
	}
	text, err := encoded("config", settings)
	if err != nil {
		return nil, err
	}
	client := &MinerClient{}
	shop, err := newWorkshop(miner, &client.crew)
	if err != nil {
		return nil, err
	}
	var log C.uintptr_t
	if write := settled(options).log; write != nil {
		log = handleOf(write)
	}
	var failure *C.cortensor_error
	data, size := chars(text)
	if C.cortensor_go_start_client(data, size, handleOf(shop), log, &client.c, &failure) != C.CORTENSOR_STATUS_OK {
		return nil, failed(failure)
	}
	return client, nil
}

// Stats are the miner's counts and the state of its connection.
func (m *MinerClient) Stats() (*MinerClientStats, error) {
	return ask[MinerClientStats](&m.handle, "miner", func(c *C.cortensor_miner_client, out **C.cortensor_bytes, failure **C.cortensor_error) C.cortensor_status {
		return C.cortensor_miner_client_stats(c, out, failure)
	})
}

// SetCapacity sets how many jobs the miner takes at a time from now on, at most its first capacity.
func (m *MinerClient) SetCapacity(jobs uint32) error {
	return m.do("miner", func(c *C.cortensor_miner_client, failure **C.cortensor_error) C.cortensor_status {
		return C.cortensor_miner_client_set_capacity(c, C.uint32_t(jobs), failure)
	})
}

// Drain takes no new jobs, finishes the present ones, and ends the connection. An error of the kind "timeout": some jobs
// were not finished within the context's time, or the router does not have their answers.
func (m *MinerClient) Drain(ctx context.Context) error {
	return m.doApart(ctx, "miner", func(c *C.cortensor_miner_client, failure **C.cortensor_error) C.cortensor_status {
		return C.cortensor_miner_client_drain(c, milliseconds(ctx), failure)
	})
}

// Close ends the connection and cancels the work. Afterwards no job comes, and the functions that have one see their
// contexts end; Wait waits for them. A second Close does nothing.
func (m *MinerClient) Close() error {
	c, err := m.enterLong("miner")
	if err != nil {
		return nil
	}
	var failure *C.cortensor_error
	status := C.cortensor_miner_client_close(c, C.CORTENSOR_FOREVER, &failure)
	m.leaveLong()
	if status != C.CORTENSOR_STATUS_OK {
		return failed(failure)
	}
	m.free(func(c *C.cortensor_miner_client) { C.cortensor_miner_client_free(c) })
	return nil
}

// Wait waits until every function of the miner has returned.
func (m *MinerClient) Wait(ctx context.Context) error {
	return m.crew.wait(ctx)
}
