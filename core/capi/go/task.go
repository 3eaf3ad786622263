package cortensor

// #include "bridge.h"
import "C"

import (
	"context"
	"encoding/json"
	"runtime"
	"sync/atomic"
)

// Task is a submitted task. It runs until it ends, whether it is read or not.
//
// A task that nobody refers to any more goes on, too, and the garbage collector frees it after its end.
type Task struct {
	state *taskState
	// SessionID is the session.
	SessionID uint64
	// ID is the task's number in its session.
	ID uint64
	// GID is the task's number among all sessions.
	GID uint64
	// Joined says whether an idempotency key led to a task that existed already.
	Joined bool
}

// taskState is the part of a task that the library's wake refers to until the end.
type taskState struct {
	handle[*C.cortensor_task]
	ended chan struct{}
	// owned says whether the task is cancelled when its context or its reader leaves: it was submitted here, for the
	// first time, and is not detached.
	owned atomic.Bool
}

func (s *taskState) wake() {
	close(s.ended)
}

// abandon cancels the task if nobody else may want it.
func (t *Task) abandon() {
	if t.state.owned.Load() {
		_ = t.Cancel()
	}
}

func (s *taskState) release() {
	s.free(func(c *C.cortensor_task) { C.cortensor_task_free(c) })
}

// submitted is the library's answer to a submission.
type submitted struct {
	task    *C.cortensor_task
	failure *C.cortensor_error
}

// Submit submits a task, to session 0 unless the request says another one. It returns when the task is as durable as
// `storage.durability` says.
//
// The context is the task's: when it ends before the task does, the task is cancelled, which reaches the miner. A
// request with Detach, and a task after Detach, goes on, and so does one that another caller submitted before under the
// same idempotency key.
func (r *Router) Submit(ctx context.Context, request Request) (*Task, error) {
	body, err := encoded("request", request)
	if err != nil {
		return nil, err
	}
	return r.submit(ctx, request.SessionID, body, request.Detach != nil && *request.Detach)
}

// SubmitJSON submits a task whose request is the body of `POST /api/v1/completions`, as a client sent it. Members that
// the router does not know reach the miner.
func (r *Router) SubmitJSON(ctx context.Context, sessionID uint64, request json.RawMessage) (*Task, error) {
	var asked struct {
		Detach any `json:"detach"`
	}
	// The router itself says how a request is wrong.
	_ = json.Unmarshal(request, &asked)
	return r.submit(ctx, sessionID, string(request), asked.Detach == true)
}

func (r *Router) submit(ctx context.Context, sessionID uint64, body string, detach bool) (*Task, error) {
	if err := ctx.Err(); err != nil {
		return nil, left(err)
	}
	c, err := r.enter("router")
	if err != nil {
		return nil, err
	}
	answer := make(chan submitted, 1)
	data, size := chars(body)
	C.cortensor_go_submit(c, C.uint64_t(sessionID), data, size, handleOf(answer))
	runtime.KeepAlive(body)
	r.leave()
	select {
	case got := <-answer:
		return joined(ctx, got, !detach)
	case <-ctx.Done():
		// The task may have been accepted already: its handle is freed as soon as it comes, which cancels the task.
		go func() { (<-answer).free() }()
		return nil, left(ctx.Err())
	}
}

// free lets go of an answer that nobody waits for any more.
func (s submitted) free() {
	cross()
	defer crossed()
	C.cortensor_task_free(s.task)
	C.cortensor_error_free(s.failure)
}

// joined makes a task of the library's answer, and lets the context govern it if it is the caller's own.
func joined(ctx context.Context, got submitted, owned bool) (*Task, error) {
	if got.failure != nil {
		return nil, failed(got.failure)
	}
	cross()
	defer crossed()
	state := &taskState{ended: make(chan struct{})}
	state.c = got.task
	task := &Task{
		state:     state,
		SessionID: uint64(C.cortensor_task_session_id(got.task)),
		ID:        uint64(C.cortensor_task_id(got.task)),
		GID:       uint64(C.cortensor_task_gid(got.task)),
		Joined:    bool(C.cortensor_task_joined(got.task)),
	}
	state.owned.Store(owned && !task.Joined)
	// The library's wake refers to the state until the end, so that garbage collection never decides whether a task runs.
	C.cortensor_go_task_notify(got.task, handleOf(waker(state)))
	runtime.SetFinalizer(state, (*taskState).release)
	if ctx.Done() != nil {
		go func() {
			select {
			case <-state.ended:
			case <-ctx.Done():
				task.abandon()
			}
		}()
	}
	return task, nil
}

// Complete submits a task and waits for its end. When the context ends first, the task is cancelled.
func (r *Router) Complete(ctx context.Context, request Request) (*Completion, error) {
	task, err := r.Submit(ctx, request)
	if err != nil {
		return nil, err
	}
	defer task.Release()
	return task.Result(ctx)
}

// Embed makes the vectors of the texts in the Input of the request, which is a text or a list of texts.
func (r *Router) Embed(ctx context.Context, request Request) (*Embeddings, error) {
	if request.Input == nil || request.Prompt != "" || request.Messages != nil {
		return nil, invalid("input", "an embedding needs Input, a text or a list of texts, and nothing else to read")
	}
	task, err := r.Submit(ctx, request)
	if err != nil {
		return nil, err
	}
	defer task.Release()
	if err := task.wait(ctx); err != nil {
		return nil, err
	}
	c, err := task.state.enter("task")
	if err != nil {
		return nil, err
	}
	defer task.state.leave()
	var vectors *C.cortensor_embeddings
	var bytes *C.cortensor_bytes
	var failure *C.cortensor_error
	if C.cortensor_task_embeddings(c, C.CORTENSOR_FOREVER, &vectors, &failure) != C.CORTENSOR_STATUS_OK {
		return nil, failed(failure)
	}
	status := C.cortensor_embeddings_record(vectors, &bytes, &failure)
	C.cortensor_embeddings_free(vectors)
	return record[Embeddings](status, bytes, failure)
}

// Attach joins a task by its ids, running or ended. The context governs the call alone, and leaving the channel of its
// tokens cancels nothing. The end of the task's last holder does not cancel a task that another caller submitted.
func (r *Router) Attach(ctx context.Context, sessionID, taskID uint64) (*Task, error) {
	got, err := apart(ctx, func() (submitted, error) {
		c, err := r.enterLong("router")
		if err != nil {
			return submitted{}, err
		}
		defer r.leaveLong()
		var got submitted
		C.cortensor_router_attach(c, C.uint64_t(sessionID), C.uint64_t(taskID), &got.task, &got.failure)
		return got, nil
	}, submitted.free)
	if err != nil {
		return nil, err
	}
	return joined(context.Background(), got, false)
}

// Task gives the record of a task by its ids.
func (r *Router) Task(ctx context.Context, sessionID, taskID uint64) (*TaskRecord, error) {
	return askApart[TaskRecord](ctx, r, func(c *C.cortensor_router, out **C.cortensor_bytes, failure **C.cortensor_error) C.cortensor_status {
		return C.cortensor_router_task(c, C.uint64_t(sessionID), C.uint64_t(taskID), out, failure)
	})
}

// Tasks gives a page of a session's tasks.
func (r *Router) Tasks(ctx context.Context, sessionID uint64, query TaskQuery) (*TaskPage, error) {
	text, err := encoded("query", query)
	if err != nil {
		return nil, err
	}
	return askApart[TaskPage](ctx, r, func(c *C.cortensor_router, out **C.cortensor_bytes, failure **C.cortensor_error) C.cortensor_status {
		data, size := chars(text)
		return C.cortensor_router_tasks(c, C.uint64_t(sessionID), data, size, out, failure)
	})
}

// Cancel cancels a task by its ids. It gives the record once the end is durable.
func (r *Router) Cancel(ctx context.Context, sessionID, taskID uint64) (*TaskRecord, error) {
	return askApart[TaskRecord](ctx, r, func(c *C.cortensor_router, out **C.cortensor_bytes, failure **C.cortensor_error) C.cortensor_status {
		return C.cortensor_router_cancel(c, C.uint64_t(sessionID), C.uint64_t(taskID), out, failure)
	})
}

// Done is closed when the task has ended, or was released.
func (t *Task) Done() <-chan struct{} {
	return t.state.ended
}

func (t *Task) wait(ctx context.Context) error {
	select {
	case <-t.state.ended:
		return nil
	default:
	}
	select {
	case <-t.state.ended:
		return nil
	case <-ctx.Done():
		return left(ctx.Err())
	}
}

// Result waits for the end, any number of times. The context bounds this wait alone; that of Submit governs the task.
func (t *Task) Result(ctx context.Context) (*Completion, error) {
	if err := t.wait(ctx); err != nil {
		return nil, err
	}
	return ask[Completion](&t.state.handle, "task", func(c *C.cortensor_task, out **C.cortensor_bytes, failure **C.cortensor_error) C.cortensor_status {
		// The end is announced by the library's own wait for it, so this one is at most as long as a thread switch.
		return C.cortensor_task_result(c, C.CORTENSOR_FOREVER, out, failure)
	})
}

// Record is the task's present record.
func (t *Task) Record() (*TaskRecord, error) {
	return ask[TaskRecord](&t.state.handle, "task", func(c *C.cortensor_task, out **C.cortensor_bytes, failure **C.cortensor_error) C.cortensor_status {
		return C.cortensor_task_record(c, out, failure)
	})
}

// Cancel cancels the task, even if other callers wait for it.
func (t *Task) Cancel() error {
	return t.state.do("task", func(c *C.cortensor_task, failure **C.cortensor_error) C.cortensor_status {
		return C.cortensor_task_cancel(c, failure)
	})
}

// Detach lets the task go on whatever becomes of its context and its holders.
func (t *Task) Detach() error {
	return t.state.do("task", func(c *C.cortensor_task, failure **C.cortensor_error) C.cortensor_status {
		t.state.owned.Store(false)
		return C.cortensor_task_detach(c, failure)
	})
}

// Release lets go of the task. This cancels it if no other caller holds it and it is not detached; streams hold it,
// too. Later calls of the task fail. A second Release does nothing.
func (t *Task) Release() {
	t.state.release()
}
