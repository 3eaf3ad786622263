package cortensor

// #include "bridge.h"
import "C"

import (
	"context"
	"fmt"
	"runtime"
	"sync"
)

// Miner does the work of tasks. Work is called on a goroutine of its own for each job, as many at once as the miner's
// capacity.
//
// If it returns nil, the job is finished with the pieces that it emitted, unless the miner answered it or called Later.
// If it returns an error or panics, the job has failed, and the router tries another miner.
type Miner interface {
	Work(ctx context.Context, job *Job) error
}

// MinerFunc is a function that is a Miner. Its context is that of the job.
type MinerFunc func(ctx context.Context, job *Job) error

// Work calls the function.
func (f MinerFunc) Work(ctx context.Context, job *Job) error {
	return f(ctx, job)
}

// Text is a Miner that answers with the text of a function.
func Text(answer func(ctx context.Context, job *Job) (string, error)) Miner {
	return MinerFunc(func(ctx context.Context, job *Job) error {
		text, err := answer(ctx, job)
		if err != nil {
			return err
		}
		return job.Finish(Answer{Text: &text})
	})
}

// crew counts the functions of miners that run.
type crew struct {
	lock    sync.Mutex
	running int
	// idle is closed when none runs any more; nil: nobody waits.
	idle chan struct{}
}

func (c *crew) come() {
	c.lock.Lock()
	c.running++
	c.lock.Unlock()
}

func (c *crew) leave() {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.running--
	if c.running == 0 && c.idle != nil {
		close(c.idle)
		c.idle = nil
	}
}

func (c *crew) wait(ctx context.Context) error {
	c.lock.Lock()
	if c.running == 0 {
		c.lock.Unlock()
		return nil
	}
	if c.idle == nil {
		c.idle = make(chan struct{})
	}
	idle := c.idle
	c.lock.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return left(ctx.Err())
	}
}

// workshop is the place of one miner's jobs.
type workshop struct {
	miner Miner
	crew  *crew
	// dropped is closed when the library lets go of the miner: no job comes any more.
	dropped chan struct{}
}

func newWorkshop(miner Miner, crew *crew) (*workshop, error) {
	if miner == nil {
		return nil, invalid("miner", "the miner is nil: give a Miner, or a function as MinerFunc")
	}
	return &workshop{miner: miner, crew: crew, dropped: make(chan struct{})}, nil
}

// take gets a job from the library, on the thread that dispatches.
func (w *workshop) take(c *C.cortensor_job) {
	w.crew.come()
	go w.run(newJob(c))
}

func (w *workshop) close() {
	close(w.dropped)
}

func (w *workshop) run(job *Job) {
	defer w.crew.leave()
	select {
	case <-w.dropped:
		// The miner was removed while this goroutine was about to begin.
		job.Drop()
		return
	default:
	}
	returned := false
	defer func() {
		// A function that ends its goroutine by runtime.Goexit has not returned either.
		if failure := recover(); failure != nil {
			job.end(&JobError{FailInternal, fmt.Sprintf("the miner panicked: %v", failure)})
		} else if !returned {
			job.end(&JobError{FailInternal, "the miner ended its goroutine"})
		}
	}()
	err := w.miner.Work(job.Context(), job)
	returned = true
	job.end(err)
}

// LocalMiner is a miner of this program that was added. It works on if nobody refers to it.
type LocalMiner struct {
	handle[*C.cortensor_miner]
	dropped <-chan struct{}
}

// AddMiner adds a miner of this program; the Name of the options is required.
func (r *Router) AddMiner(options MinerOptions, miner Miner) (*LocalMiner, error) {
	spec, err := encoded("miner", options)
	if err != nil {
		return nil, err
	}
	shop, err := newWorkshop(miner, &r.crew)
	if err != nil {
		return nil, err
	}
	c, err := r.enter("router")
	if err != nil {
		return nil, err
	}
	defer r.leave()
	added := &LocalMiner{dropped: shop.dropped}
	var failure *C.cortensor_error
	data, size := chars(spec)
	if C.cortensor_go_add_miner(c, data, size, handleOf(shop), &added.c, &failure) != C.CORTENSOR_STATUS_OK {
		return nil, failed(failure)
	}
	runtime.SetFinalizer(added, func(m *LocalMiner) {
		m.free(func(c *C.cortensor_miner) { C.cortensor_miner_free(c) })
	})
	return added, nil
}

// AddUpstream adds an OpenAI-compatible server as a miner: its URL, or anything that encoding/json writes as an
// `upstream` of docs/configuration.md.
func (r *Router) AddUpstream(upstream any) error {
	if url, ok := upstream.(string); ok {
		upstream = map[string]string{"url": url}
	}
	text, err := encoded("upstream", upstream)
	if err != nil {
		return err
	}
	return r.do("router", func(c *C.cortensor_router, failure **C.cortensor_error) C.cortensor_status {
		data, size := chars(text)
		return C.cortensor_router_add_upstream(c, data, size, failure)
	})
}

// RemoveMiner removes the miner of this name, of any kind. Other miners take over its tasks.
func (r *Router) RemoveMiner(name string) error {
	return r.do("router", func(c *C.cortensor_router, failure **C.cortensor_error) C.cortensor_status {
		data, size := chars(name)
		return C.cortensor_router_remove_miner(c, data, size, failure)
	})
}

// Drain stops new jobs for the miner, which finishes those that it has.
func (m *LocalMiner) Drain() error {
	return m.do("miner", func(c *C.cortensor_miner, failure **C.cortensor_error) C.cortensor_status {
		return C.cortensor_miner_drain(c, failure)
	})
}

// SetCapacity sets how many jobs the miner takes at a time from now on.
func (m *LocalMiner) SetCapacity(jobs uint32) error {
	return m.do("miner", func(c *C.cortensor_miner, failure **C.cortensor_error) C.cortensor_status {
		return C.cortensor_miner_set_capacity(c, C.uint32_t(jobs), failure)
	})
}

// Remove removes the miner: no job comes to it any more, and other miners take over its tasks. The Wait of the router
// waits for the functions that got their jobs before.
func (m *LocalMiner) Remove() error {
	return m.do("miner", func(c *C.cortensor_miner, failure **C.cortensor_error) C.cortensor_status {
		return C.cortensor_miner_remove(c, C.CORTENSOR_FOREVER, failure)
	})
}

// Dropped is closed when the router has let go of the miner: no job comes to it any more.
func (m *LocalMiner) Dropped() <-chan struct{} {
	return m.dropped
}
