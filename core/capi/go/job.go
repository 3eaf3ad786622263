package cortensor

// #include "bridge.h"
import "C"

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// Job is one attempt at a task, in a miner's hands. Any goroutine may use it. It is answered exactly once, by Finish,
// Fail or Reject, or by the return of the miner's function.
type Job struct {
	*handle[*C.cortensor_job]
	// guard is collected with the job. The job itself refers to itself by its context, and what does so is not collected
	// if it has a finalizer.
	guard *jobGuard
	later atomic.Bool
	once  sync.Once
	info  *JobInfo
	// infoErr is the reason why there is no info.
	infoErr error
	ctx     jobContext
}

func newJob(c *C.cortensor_job) *Job {
	held := &handle[*C.cortensor_job]{c: c}
	job := &Job{handle: held, guard: &jobGuard{held}}
	runtime.SetFinalizer(job.guard, (*jobGuard).free)
	job.ctx.job = job
	job.ctx.done = make(chan struct{})
	return job
}

// jobGuard frees a job that was left for later and then forgotten, which fails it.
type jobGuard struct {
	held *handle[*C.cortensor_job]
}

func (g *jobGuard) free() {
	g.held.free(func(c *C.cortensor_job) { C.cortensor_job_free(c) })
}

// Info is the router's record of the job. It is read once; read it before the answer.
func (j *Job) Info() (*JobInfo, error) {
	j.once.Do(func() {
		j.info, j.infoErr = ask[JobInfo](j.handle, "job", func(c *C.cortensor_job, out **C.cortensor_bytes, failure **C.cortensor_error) C.cortensor_status {
			return C.cortensor_job_info(c, out, failure)
		})
	})
	return j.info, j.infoErr
}

// Prompt is the whole text that the model must read; empty after the answer, unless Info was read before.
func (j *Job) Prompt() string {
	c, err := j.enter("job")
	if err != nil {
		if j.info != nil {
			return j.info.Prompt
		}
		return ""
	}
	defer j.leave()
	var bytes *C.cortensor_bytes
	if C.cortensor_job_prompt(c, &bytes, nil) != C.CORTENSOR_STATUS_OK {
		return ""
	}
	return string(taken(bytes))
}

// Context ends when the job is answered or no longer wanted, and has the deadline of the task.
func (j *Job) Context() context.Context {
	return &j.ctx
}

// Later says that the job will be answered after the miner's function has returned, by whatever goroutine has it.
func (j *Job) Later() {
	j.later.Store(true)
}

// Emit gives the next piece of the answer. It waits while the reader is slow. After an error of the kind "cancelled"
// nobody wants the answer: stop working.
func (j *Job) Emit(text string) error {
	err := j.emit(func(c *C.cortensor_job) C.cortensor_go_emitted {
		data, size := chars(text)
		return C.cortensor_go_emit(c, data, size)
	})
	runtime.KeepAlive(text)
	return err
}

// Write is Emit for bytes, so that a job is an io.Writer. The last character may be incomplete if the next bytes begin
// with the rest of it.
func (j *Job) Write(piece []byte) (int, error) {
	if err := j.Emit(string(piece)); err != nil {
		return 0, err
	}
	return len(piece), nil
}

// EmitParts gives the next piece of the answer with its reasoning and its calls of tools. Like Emit, it waits while the
// reader is slow.
func (j *Job) EmitParts(parts PieceParts) error {
	text, err := encoded("parts", parts)
	if err != nil {
		return err
	}
	return j.emit(func(c *C.cortensor_job) C.cortensor_go_emitted {
		data, size := chars(text)
		return C.cortensor_go_emit_parts(c, data, size)
	})
}

func (j *Job) emit(give func(*C.cortensor_job) C.cortensor_go_emitted) error {
	c, err := j.enter("job")
	if err != nil {
		return err
	}
	said := give(c)
	if said.status != C.CORTENSOR_STATUS_OK {
		j.leave()
		return failed(said.error)
	}
	if !said.full {
		j.leave()
		return nil
	}
	writable := make(bell, 1)
	C.cortensor_go_job_writable(c, handleOf(waker(writable)))
	j.leave()
	<-writable
	return nil
}

// Finish ends the job with success. The pieces that were emitted are the text; an answer without any content fails the
// job with the code "no_answer", so an empty answer needs Text: cortensor.Ptr("").
func (j *Job) Finish(answer Answer) error {
	text, err := encoded("answer", answer)
	if err != nil {
		return err
	}
	return j.answer(func(c *C.cortensor_job, failure **C.cortensor_error) C.cortensor_status {
		data, size := chars(text)
		return C.cortensor_job_finish(c, data, size, failure)
	})
}

// Fail ends the job with a failure. The code says whether another miner is tried and whether this one is blamed.
func (j *Job) Fail(code FailCode, message string) error {
	message = valid(message)
	return j.answer(func(c *C.cortensor_job, failure **C.cortensor_error) C.cortensor_status {
		word, wordSize := chars(string(code))
		data, size := chars(message)
		return C.cortensor_job_fail(c, word, wordSize, data, size, failure)
	})
}

// Reject gives the job back: another miner is tried, and this one is not blamed.
func (j *Job) Reject(reason string) error {
	reason = valid(reason)
	return j.answer(func(c *C.cortensor_job, failure **C.cortensor_error) C.cortensor_status {
		data, size := chars(reason)
		return C.cortensor_job_reject(c, data, size, failure)
	})
}

// Drop lets go of the job. A job that was not answered fails.
func (j *Job) Drop() {
	j.guard.free()
}

// Answered says whether the job was answered or dropped.
func (j *Job) Answered() bool {
	c, err := j.enter("job")
	if err != nil {
		return true
	}
	defer j.leave()
	return bool(C.cortensor_job_is_answered(c))
}

// answer makes a call that answers the job, and frees it if it is answered then.
func (j *Job) answer(call func(*C.cortensor_job, **C.cortensor_error) C.cortensor_status) error {
	c, err := j.enter("job")
	if err != nil {
		return local(KindClosed, "job_answered", "the job was answered already")
	}
	var failure *C.cortensor_error
	status := call(c, &failure)
	answered := bool(C.cortensor_job_is_answered(c))
	j.leave()
	if answered {
		j.Drop()
	}
	if status != C.CORTENSOR_STATUS_OK {
		return failed(failure)
	}
	return nil
}

// valid is a text of the program as UTF-8, which the library demands.
func valid(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	return fmt.Sprintf("%q", text)
}

// JobError is a failure of a miner with its code. A miner's function that returns one fails its job so.
type JobError struct {
	// Code says whether another miner is tried and whether this one is blamed.
	Code FailCode
	// Message reaches the caller.
	Message string
}

// Error is the code and the message.
func (e *JobError) Error() string {
	return string(e.Code) + ": " + e.Message
}

// end answers the job with what the miner's function returned.
func (j *Job) end(err error) {
	if err == nil {
		if !j.later.Load() {
			_ = j.Finish(Answer{})
			j.Drop()
		}
		return
	}
	var own *JobError
	var inner *Error
	code, message := FailInternal, err.Error()
	switch {
	case errors.As(err, &own):
		code, message = own.Code, own.Message
	case errors.Is(err, context.Canceled):
		code = FailCancelled
	case errors.As(err, &inner) && inner.Kind == KindOverloaded:
		// The miner called a router itself.
		code = FailOverloaded
	}
	if j.Fail(code, message) != nil && !j.Answered() {
		// There is no such code.
		_ = j.Fail(FailInternal, err.Error())
	}
	j.Drop()
}

// jobContext is the context of a job. The library is asked to tell of the end only if somebody wants to know.
type jobContext struct {
	job  *Job
	once sync.Once
	done chan struct{}
}

// closer is a waker that closes a channel.
type closer chan struct{}

func (c closer) wake() { close(c) }

// Deadline is the time after which nobody wants the answer.
func (c *jobContext) Deadline() (time.Time, bool) {
	info, err := c.job.Info()
	if err != nil {
		return time.Time{}, false
	}
	return time.UnixMilli(info.DeadlineMs), true
}

// Done is closed when the job is answered or no longer wanted.
func (c *jobContext) Done() <-chan struct{} {
	c.once.Do(func() {
		job, err := c.job.enter("job")
		if err != nil {
			close(c.done)
			return
		}
		defer c.job.leave()
		C.cortensor_go_job_cancelled(job, handleOf(waker(closer(c.done))))
	})
	return c.done
}

// Err is context.Canceled once Done is closed.
func (c *jobContext) Err() error {
	select {
	case <-c.Done():
		return context.Canceled
	default:
		return nil
	}
}

// Value is nil: a job's context has no values.
func (c *jobContext) Value(any) any {
	return nil
}

// Request reads the caller's request into a value, with the names of the REST API.
func (j *Job) Request(into any) error {
	info, err := j.Info()
	if err != nil {
		return err
	}
	return json.Unmarshal(info.Request, into)
}
