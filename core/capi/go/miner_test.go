package cortensor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	cortensor "cortensor.internal/router"
)

// opened is a router that is closed with its test.
func opened(t testing.TB, config any, options ...cortensor.Option) *cortensor.Router {
	t.Helper()
	router, err := cortensor.Open(config, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := router.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return router
}

func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits for what another goroutine brings about.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(until)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come about", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func add(t testing.TB, router *cortensor.Router, name string, capacity int64, work cortensor.MinerFunc) *cortensor.LocalMiner {
	t.Helper()
	miner, err := router.AddMiner(cortensor.MinerOptions{Name: name, Capacity: &capacity}, work)
	if err != nil {
		t.Fatal(err)
	}
	return miner
}

// once lets a task have one attempt alone.
var once = map[string]any{"dispatch": map[string]any{"max_attempts": 1}}

func prompt(text string) cortensor.Request { return cortensor.Request{Prompt: text} }

func TestAMinerThatDoesNotAnswerFailsItsJob(t *testing.T) {
	for name, work := range map[string]cortensor.MinerFunc{
		"panics":             func(context.Context, *cortensor.Job) error { panic("a bad day") },
		"ends its goroutine": func(context.Context, *cortensor.Job) error { runtime.Goexit(); return nil },
		"errs":               func(context.Context, *cortensor.Job) error { return errors.New("a bad day") },
		"has another code": func(context.Context, *cortensor.Job) error {
			return &cortensor.JobError{Code: "no such code", Message: "a bad day"}
		},
		"gives nothing": func(context.Context, *cortensor.Job) error { return nil },
		"drops":         func(_ context.Context, job *cortensor.Job) error { job.Drop(); return nil },
		"forgets": func(_ context.Context, job *cortensor.Job) error {
			// The garbage collector finds the job.
			job.Later()
			go func() {
				for i := 0; i < 50; i++ {
					runtime.GC()
					time.Sleep(time.Millisecond)
				}
			}()
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			router := opened(t, once)
			add(t, router, "m", 1, work)
			_, err := router.Complete(soon(t), prompt("x"))
			if !errors.Is(err, cortensor.ErrMinerFailed) {
				t.Fatalf("%v", err)
			}
			if name == "panics" && !strings.Contains(err.Error(), "a bad day") {
				t.Fatalf("the words of the panic are lost: %v", err)
			}
		})
	}
}

func TestAMinerThatNeverAnswersLosesItsTaskAndIsTold(t *testing.T) {
	router := opened(t, once)
	var told atomic.Bool
	add(t, router, "m", 1, func(ctx context.Context, _ *cortensor.Job) error {
		<-ctx.Done()
		told.Store(true)
		return ctx.Err()
	})
	_, err := router.Complete(soon(t), cortensor.Request{Prompt: "x", Timeout: cortensor.Ptr(0.1)})
	if !errors.Is(err, cortensor.ErrTimeout) {
		t.Fatalf("a task without an answer: %v", err)
	}
	eventually(t, "the end of the miner's context", told.Load)
}

func TestAJobIsAnsweredLaterFromAnyGoroutine(t *testing.T) {
	router := opened(t, nil)
	jobs := make(chan *cortensor.Job, 1)
	add(t, router, "m", 1, func(_ context.Context, job *cortensor.Job) error {
		job.Later()
		jobs <- job
		return nil
	})
	task, err := router.Submit(soon(t), prompt("x"))
	if err != nil {
		t.Fatal(err)
	}
	job := <-jobs
	if job.Answered() || job.Context().Err() != nil {
		t.Fatal("the job ended with the function")
	}
	if _, ok := job.Context().Deadline(); !ok {
		t.Fatal("a job has a deadline")
	}
	if _, err := io.Copy(job, strings.NewReader("later")); err != nil {
		t.Fatal(err)
	}
	usage := &cortensor.UsageOptions{PromptTokens: cortensor.Ptr[int64](3), CompletionTokens: cortensor.Ptr[int64](4)}
	if err := job.Finish(cortensor.Answer{Usage: usage}); err != nil {
		t.Fatal(err)
	}
	completion, err := task.Result(soon(t))
	if err != nil || completion.Text() != "later" || completion.Usage.CompletionTokens != 4 {
		t.Fatalf("%+v %v", completion, err)
	}
	for name, err := range map[string]error{
		"emit": job.Emit("x"), "finish": job.Finish(cortensor.Answer{}), "fail": job.Fail(cortensor.FailInternal, "x"),
		"reject": job.Reject("x"),
	} {
		if !errors.Is(err, cortensor.ErrClosed) {
			t.Errorf("%s after the answer: %v", name, err)
		}
	}
	if !job.Answered() || job.Context().Err() == nil {
		t.Error("the job's context outlived its answer")
	}
}

func TestAWrongAnswerCanBeMended(t *testing.T) {
	router := opened(t, nil)
	add(t, router, "m", 1, func(_ context.Context, job *cortensor.Job) error {
		err := job.Finish(cortensor.Answer{Text: cortensor.Ptr("x"), Embedding: "no vector"})
		if !errors.Is(err, cortensor.ErrInvalidArgument) || job.Answered() {
			return fmt.Errorf("a wrong vector was taken: %w", err)
		}
		return job.Finish(cortensor.Answer{Text: cortensor.Ptr("")})
	})
	completion, err := router.Complete(soon(t), prompt("x"))
	if err != nil || completion.Text() != "" {
		t.Fatalf("%v %v", completion, err)
	}
}

func TestTheRouterIsClosedFromInsideOfAMiner(t *testing.T) {
	router := opened(t, nil)
	closed := make(chan error, 1)
	add(t, router, "m", 1, func(ctx context.Context, job *cortensor.Job) error {
		closed <- router.Close()
		<-ctx.Done()
		return job.Emit("too late")
	})
	if _, err := router.Complete(soon(t), prompt("x")); err == nil {
		t.Fatal("a closed router gave an answer")
	}
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if err := router.Wait(soon(t)); err != nil {
		t.Fatal(err)
	}
}

func TestNoFunctionStartsAfterTheMinerIsRemoved(t *testing.T) {
	router := opened(t, nil)
	var started atomic.Int64
	for round := 0; round < 20; round++ {
		miner := add(t, router, fmt.Sprint("m", round), 8, func(_ context.Context, job *cortensor.Job) error {
			started.Add(1)
			return job.Emit("x")
		})
		ctx, cancel := context.WithCancel(soon(t))
		var crowd sync.WaitGroup
		for i := 0; i < 4; i++ {
			crowd.Add(1)
			go func() {
				defer crowd.Done()
				for ctx.Err() == nil {
					_, _ = router.Complete(ctx, prompt("x"))
				}
			}()
		}
		eventually(t, "work", func() bool { return started.Load() > 0 })
		if err := miner.Remove(); err != nil {
			t.Fatal(err)
		}
		<-miner.Dropped()
		// A function that was to start before the removal may not have come to its first line yet.
		if err := router.Wait(soon(t)); err != nil {
			t.Fatal(err)
		}
		before := started.Load()
		if err := miner.Remove(); err != nil && !errors.Is(err, cortensor.ErrNotFound) {
			t.Fatal(err)
		}
		cancel()
		crowd.Wait()
		if after := started.Swap(0); after != before {
			t.Fatalf("%d functions started after the removal", after-before)
		}
	}
}

func TestASlowReaderSlowsTheMiner(t *testing.T) {
	router := opened(t, nil)
	var emitted atomic.Int64
	// More than limits.stream_window_bytes.
	const pieces = 20_000
	piece := strings.Repeat("x", 100)
	read := make(chan struct{})
	add(t, router, "m", 1, func(_ context.Context, job *cortensor.Job) error {
		// A task that is not read has nobody to wait for.
		<-read
		for i := 0; i < pieces; i++ {
			if err := job.Emit(piece); err != nil {
				return err
			}
			emitted.Add(1)
		}
		return nil
	})
	task, err := router.Submit(soon(t), prompt("x"))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := task.Stream(0)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	close(read)
	size := 0
	take := func() bool {
		event, err := stream.Next(soon(t))
		if err != nil {
			t.Fatal(err)
		}
		size += len(event.Text)
		return event.Kind == cortensor.Token
	}
	take()
	// The reader stops for as long as the miner goes on.
	before := int64(-1)
	eventually(t, "the halt of the miner", func() bool {
		time.Sleep(20 * time.Millisecond)
		last := before
		before = emitted.Load()
		return last == before
	})
	if before == pieces {
		t.Fatal("the miner gave the whole answer to a reader that had stopped")
	}
	for take() {
	}
	if size != pieces*len(piece) || emitted.Load() != pieces {
		t.Fatalf("%d bytes of %d pieces", size, emitted.Load())
	}
}
