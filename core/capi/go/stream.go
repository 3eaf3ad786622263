package cortensor

// #include "bridge.h"
import "C"

import (
	"context"
	"encoding/json"
	"io"
	"runtime"
	"sync"
	"unsafe"
)

// EventKind is the kind of an event.
type EventKind int

const (
	// Token is a piece of the text.
	Token EventKind = C.CORTENSOR_EVENT_KIND_TOKEN
	// Restart is a mark: all pieces before it are void, because another miner or a later start of the router begins
	// anew, or because the number to resume from does not belong to this text.
	Restart EventKind = C.CORTENSOR_EVENT_KIND_RESTART
	// End is the end, exactly one and last.
	End EventKind = C.CORTENSOR_EVENT_KIND_END
)

// Event is an event of a stream.
type Event struct {
	// Kind is the kind of the event.
	Kind EventKind
	// Seq is the number of the piece or mark, one more than that of the event before it; the first is 1, and 2^32 more
	// at each later start of the store. 0 for the end.
	Seq uint64
	// Text is the text of a piece: whole characters.
	Text string
	// Completion is the answer as a whole, at the end of a task that succeeded.
	Completion *Completion
}

// Stream gives the events of a task. Only one goroutine may read it at a time. Leaving it cancels nothing.
type Stream struct {
	handle[*C.cortensor_stream]
	event C.cortensor_event
	ready bell
	// armed says whether the library still has a wake for ready.
	armed bool
	over  bool
	read  sync.Mutex
}

// Stream opens the task's events after number `after`; 0: from the first on. The task may have ended.
func (t *Task) Stream(after uint64) (*Stream, error) {
	c, err := t.state.enter("task")
	if err != nil {
		return nil, err
	}
	defer t.state.leave()
	stream := &Stream{ready: make(bell, 1)}
	stream.event.struct_size = C.size_t(unsafe.Sizeof(stream.event))
	var failure *C.cortensor_error
	if C.cortensor_task_stream(c, C.uint64_t(after), &stream.c, &failure) != C.CORTENSOR_STATUS_OK {
		return nil, failed(failure)
	}
	runtime.SetFinalizer(stream, (*Stream).Close)
	return stream, nil
}

// Next waits for the next event. After the end it gives io.EOF. A task that failed gives its error with the event End.
// The context bounds this wait alone: after its end the stream can be read on.
func (s *Stream) Next(ctx context.Context) (Event, error) {
	if !s.read.TryLock() {
		return Event{}, local(KindConflict, "stream_in_use", "another goroutine reads this stream: a stream has one reader at a time")
	}
	defer s.read.Unlock()
	for {
		event, waits, err := s.look()
		if !waits {
			return event, err
		}
		select {
		case <-s.ready:
			s.armed = false
		case <-ctx.Done():
			return Event{}, left(ctx.Err())
		}
	}
}

// look takes an event if one is there. `waits`: none is there, and the bell will ring.
func (s *Stream) look() (event Event, waits bool, err error) {
	if s.over {
		return Event{}, false, io.EOF
	}
	c, err := s.enter("stream")
	if err != nil {
		return Event{}, false, err
	}
	defer s.leave()
	got := C.cortensor_go_stream_next(c, &s.event)
	switch got.status {
	case C.CORTENSOR_STATUS_OK:
		event, err = s.shown()
		return event, false, err
	case C.CORTENSOR_STATUS_TIMEOUT:
		C.cortensor_error_free(got.error)
		if !s.armed {
			s.armed = true
			C.cortensor_go_stream_notify(c, handleOf(waker(s.ready)))
		}
		return Event{}, true, nil
	default:
		return Event{}, false, failed(got.error)
	}
}

// shown copies the event out of the library.
func (s *Stream) shown() (Event, error) {
	event := Event{Kind: EventKind(s.event.kind), Seq: uint64(s.event.seq)}
	switch event.Kind {
	case Token:
		event.Text = C.GoStringN(s.event.data, C.int(s.event.len))
	case End:
		s.over = true
		if s.event.error != nil {
			return event, copied(s.event.error)
		}
		event.Completion = new(Completion)
		text := C.GoBytes(unsafe.Pointer(s.event.data), C.int(s.event.len))
		if err := json.Unmarshal(text, event.Completion); err != nil {
			return event, local(KindInternal, "unreadable_record", "the library gave a record that cannot be read: "+err.Error())
		}
	}
	return event, nil
}

// Close releases the stream. It cancels nothing while the task is held. A second Close does nothing.
func (s *Stream) Close() {
	s.free(func(c *C.cortensor_stream) { C.cortensor_stream_free(c) })
	s.ready.wake()
}

// Tokens gives the texts of a task's tokens in a channel. Err says why the channel was closed.
type Tokens struct {
	// C is closed after the last token, and when the context ends.
	C   <-chan string
	err error
}

// Err is nil after a whole answer, else the reason for the end. It may be called once C is closed.
func (t *Tokens) Err() error {
	return t.err
}

// Tokens reads the task from its beginning and gives the texts of its tokens, until the end of the task or of the
// context: leave the channel by ending the context. This cancels the task, unless it is detached, or another caller
// submitted it.
//
// If another miner begins the answer again, the channel is closed with the code "stream_restarted": the text so far is
// void. Stream tells of it by an event and goes on.
func (t *Task) Tokens(ctx context.Context) *Tokens {
	given := make(chan string)
	tokens := &Tokens{C: given}
	go func() {
		defer close(given)
		tokens.err = t.give(ctx, func(text string) bool {
			select {
			case given <- text:
				return true
			case <-ctx.Done():
				return false
			}
		})
	}()
	return tokens
}

// give passes every token on, until `take` answers false.
func (t *Task) give(ctx context.Context, take func(string) bool) error {
	stream, err := t.Stream(0)
	if err != nil {
		return err
	}
	defer stream.Close()
	for {
		event, err := stream.Next(ctx)
		switch {
		case err == nil && event.Kind == Token && take(event.Text):
			continue
		case err == nil && event.Kind == End:
			return nil
		case err == nil && event.Kind == Restart:
			return local(KindMinerFailed, "stream_restarted",
				"another miner started over: what was read is void; read the result, or the events of Stream")
		case err != nil && event.Kind == End && ctx.Err() == nil:
			return err
		}
		// The reader has left.
		t.abandon()
		if ctx.Err() != nil {
			return left(ctx.Err())
		}
		return err
	}
}
