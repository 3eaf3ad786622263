package cortensor_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	cortensor "cortensor.internal/router"
)

// holding is a miner that gives one piece and then waits for the end of its job's context, which it tells.
func holding(t testing.TB, router *cortensor.Router) (begun <-chan struct{}, ended <-chan struct{}) {
	first, last := make(chan struct{}, 100), make(chan struct{}, 100)
	add(t, router, "hold", 4, func(ctx context.Context, job *cortensor.Job) error {
		if err := job.Emit("begun"); err != nil {
			return err
		}
		first <- struct{}{}
		<-ctx.Done()
		last <- struct{}{}
		return ctx.Err()
	})
	return first, last
}

func TestTheContextOfASubmissionGovernsTheTaskAndReachesTheMiner(t *testing.T) {
	router := opened(t, nil)
	begun, ended := holding(t, router)
	for name, wait := range map[string]func(context.Context, *cortensor.Task) error{
		"result": func(_ context.Context, task *cortensor.Task) error {
			_, err := task.Result(soon(t))
			return err
		},
		"tokens": func(ctx context.Context, task *cortensor.Task) error {
			tokens := task.Tokens(ctx)
			for range tokens.C {
			}
			return tokens.Err()
		},
	} {
		ctx, cancel := context.WithCancel(context.Background())
		task, err := router.Submit(ctx, prompt("x"))
		if err != nil {
			t.Fatal(err)
		}
		<-begun
		cancel()
		if err := wait(ctx, task); !errors.Is(err, context.Canceled) || !errors.Is(err, cortensor.ErrCancelled) {
			t.Errorf("%s: %v", name, err)
		}
		<-ended
		<-task.Done()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := router.Complete(ctx, prompt("x")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("complete: %v", err)
	}
	<-ended
	if _, err := router.Submit(ctx, prompt("x")); !errors.Is(err, cortensor.ErrTimeout) {
		t.Errorf("submit with an ended context: %v", err)
	}
}

func TestTheTaskOfAnotherCallerIsNotCancelled(t *testing.T) {
	router := opened(t, nil)
	begun, ended := holding(t, router)
	request := cortensor.Request{Prompt: "x", IdempotencyKey: "one"}
	task, err := router.Submit(soon(t), request)
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	ctx, cancel := context.WithCancel(context.Background())
	same, err := router.Submit(ctx, request)
	if err != nil || !same.Joined {
		t.Fatalf("%+v %v", same, err)
	}
	attached, err := router.Attach(soon(t), task.SessionID, task.ID)
	if err != nil {
		t.Fatal(err)
	}
	var readers []*cortensor.Tokens
	for _, other := range []*cortensor.Task{same, attached} {
		tokens := other.Tokens(ctx)
		if piece := <-tokens.C; piece != "begun" {
			t.Fatalf("%q", piece)
		}
		readers = append(readers, tokens)
	}
	cancel()
	for _, tokens := range readers {
		for range tokens.C {
		}
		if !errors.Is(tokens.Err(), context.Canceled) {
			t.Fatal(tokens.Err())
		}
	}
	if late, err := router.Submit(over{context.Background()}, request); err == nil {
		late.Release()
	}
	same.Release()
	attached.Release()
	if record, err := task.Record(); err != nil || record.Ended {
		t.Fatalf("%+v %v", record, err)
	}
	task.Release()
	<-ended
}

// over is a context that ends as soon as a call waits for it.
type over struct{ context.Context }

func (over) Done() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

func TestAnAttachThatWasGivenUpHoldsNoTask(t *testing.T) {
	router := opened(t, nil)
	begun, ended := holding(t, router)
	task, err := router.Submit(soon(t), prompt("x"))
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	for i := 0; i < 64; i++ {
		// The second call lets the first one come to its end, which nobody waits for.
		for _, ctx := range []context.Context{over{context.Background()}, soon(t)} {
			if attached, err := router.Attach(ctx, task.SessionID, task.ID); err == nil {
				attached.Release()
			}
		}
	}
	// The last holder lets go, so the miner is told.
	task.Release()
	select {
	case <-ended:
	case <-soon(t).Done():
		t.Fatal("a task that nobody holds goes on")
	}
}

func TestADetachedTaskOutlivesItsContext(t *testing.T) {
	router := opened(t, nil)
	begun, _ := holding(t, router)
	ctx, cancel := context.WithCancel(context.Background())
	task, err := router.Submit(ctx, cortensor.Request{Prompt: "x", Detach: cortensor.Ptr(true)})
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	tokens := task.Tokens(ctx)
	if piece := <-tokens.C; piece != "begun" {
		t.Fatalf("%q", piece)
	}
	cancel()
	for range tokens.C {
	}
	record, err := router.Task(soon(t), task.SessionID, task.ID)
	if err != nil || record.Ended {
		t.Fatalf("%+v %v", record, err)
	}
	task.Release()
	if _, err := task.Result(soon(t)); !errors.Is(err, cortensor.ErrClosed) {
		t.Fatalf("a released task: %v", err)
	}
}

func TestAStreamHasOneReaderAndCanBeReadOnAfterATimeout(t *testing.T) {
	router := opened(t, nil)
	begun, _ := holding(t, router)
	task, err := router.Submit(soon(t), prompt("x"))
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	stream, err := task.Stream(0)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if event, err := stream.Next(soon(t)); err != nil || event.Text != "begun" || event.Seq != 1 {
		t.Fatalf("%+v %v", event, err)
	}
	short, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	if _, err := stream.Next(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	waits := make(chan error, 1)
	go func() {
		err := error(cortensor.ErrConflict)
		// The other reader may be first.
		for errors.Is(err, cortensor.ErrConflict) {
			_, err = stream.Next(context.Background())
		}
		waits <- err
	}()
	eventually(t, "a refused second reader", func() bool {
		short, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		_, err := stream.Next(short)
		return errors.Is(err, cortensor.ErrConflict)
	})
	if err := task.Cancel(); err != nil {
		t.Fatal(err)
	}
	if err := <-waits; !errors.Is(err, cortensor.ErrCancelled) {
		t.Fatal(err)
	}
	if _, err := stream.Next(soon(t)); err != io.EOF {
		t.Fatal(err)
	}
}

func TestErrorsSayWhatIsWrong(t *testing.T) {
	_, err := cortensor.Open(map[string]any{"limits": map[string]any{"max_sesions": 1}})
	var failure *cortensor.Error
	if !errors.As(err, &failure) || failure.Kind != cortensor.KindInvalidArgument || failure.Details.Param == nil {
		t.Fatalf("%v", err)
	}
	if _, err := cortensor.Open(func() {}); !errors.Is(err, cortensor.ErrInvalidArgument) {
		t.Fatalf("%v", err)
	}
	router := opened(t, map[string]any{"dispatch": map[string]any{"no_miner_grace_ms": 0}})
	_, err = router.Complete(soon(t), prompt("x"))
	if !errors.As(err, &failure) || failure.Code != "no_miner" || !failure.Retryable {
		t.Fatalf("%+v", err)
	}
	if _, err := router.AddMiner(cortensor.MinerOptions{Name: "m"}, nil); !errors.Is(err, cortensor.ErrInvalidArgument) {
		t.Fatalf("%v", err)
	}
	if _, err := router.Session(99); !errors.Is(err, cortensor.ErrNotFound) || errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	both := cortensor.Request{Prompt: "x", Extra: map[string]any{"prompt": "y"}}
	if _, err := router.Submit(soon(t), both); !errors.As(err, &failure) || failure.Kind != cortensor.KindInvalidArgument {
		t.Fatalf("%v", err)
	}
}

func TestTheLogIsHeard(t *testing.T) {
	var lock sync.Mutex
	var lines []cortensor.LogRecord
	var heard sync.Once
	first := make(chan struct{})
	router, err := cortensor.Open(map[string]any{"runtime": map[string]any{"log_level": "trace"}},
		cortensor.WithLog(func(record cortensor.LogRecord) {
			lock.Lock()
			lines = append(lines, record)
			lock.Unlock()
			heard.Do(func() { close(first) })
			panic("a log that panics ends nothing")
		}))
	if err != nil {
		t.Fatal(err)
	}
	// Nobody serves there, which is worth a line.
	if err := router.AddUpstream("http://127.0.0.1:1/v1"); err != nil {
		t.Fatal(err)
	}
	<-first
	if err := router.Close(); err != nil {
		t.Fatal(err)
	}
	if len(lines) == 0 || lines[0].Message == "" || lines[0].Level == "" || time.Since(lines[0].Time) > time.Hour {
		t.Fatalf("%+v", lines)
	}
}

func TestADistantMinerKeysUsageAndTheListener(t *testing.T) {
	router := opened(t, nil)
	listener, err := router.Listen(map[string]any{"port": 0})
	if err != nil {
		t.Fatal(err)
	}
	key, err := router.CreateKey(soon(t), cortensor.KeyOptions{Name: "desk", Scopes: []string{"miner", "read"}})
	if err != nil {
		t.Fatal(err)
	}
	miner, err := cortensor.RunMiner(cortensor.MinerClientSettings{
		Routers: []string{strings.Replace(listener.URL(), "http", "ws", 1)}, Name: "desk", Token: key.Token,
		Models: []string{"tiny"}, Capacity: cortensor.Ptr[int64](2),
	}, cortensor.Text(func(_ context.Context, job *cortensor.Job) (string, error) {
		return strings.ToUpper(job.Prompt()), nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the connection", func() bool {
		stats, err := miner.Stats()
		return err == nil && stats.Connected
	})
	completion, err := router.Complete(soon(t), cortensor.Request{Prompt: "hello", Model: "tiny", KeyID: "me"})
	if err != nil || completion.Text() != "HELLO" {
		t.Fatalf("%v %v", completion, err)
	}
	usage, err := router.Usage(soon(t), cortensor.UsageQuery{By: "key"})
	if err != nil || len(usage.Usage) != 1 {
		t.Fatalf("%+v %v", usage, err)
	}
	request, _ := http.NewRequest("GET", listener.URL()+"/api/v1/status", nil)
	request.Header.Set("Authorization", "Bearer "+key.Token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil || answer.StatusCode != 200 {
		t.Fatalf("%v %v", answer, err)
	}
	answer.Body.Close()
	if err := router.DeleteKey(soon(t), key.ID); err != nil {
		t.Fatal(err)
	}
	if keys, err := router.Keys(soon(t)); err != nil || keys.Count != 0 {
		t.Fatalf("%+v %v", keys, err)
	}
	if err := miner.Drain(soon(t)); err != nil && !errors.Is(err, cortensor.ErrTimeout) {
		t.Fatal(err)
	}
	if err := miner.Close(); err != nil {
		t.Fatal(err)
	}
	if err := miner.Wait(soon(t)); err != nil {
		t.Fatal(err)
	}
	if err := listener.Stop(soon(t)); err != nil {
		t.Fatal(err)
	}
	<-listener.Done()
}

func TestAServerOfTheProgramHasTheWholeAPI(t *testing.T) {
	router := opened(t, nil)
	_, ended := holding(t, router)
	handler, err := router.Handler(nil)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	ctx, cancel := context.WithCancel(soon(t))
	body := strings.NewReader(`{"prompt": "x", "stream": true}`)
	request, _ := http.NewRequestWithContext(ctx, "POST", server.URL+"/api/v1/completions", body)
	request.Header.Set("Authorization", "Bearer default-dev-token")
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil || answer.StatusCode != 200 || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") {
		t.Fatalf("%+v %v", answer, err)
	}
	piece := make([]byte, 4096)
	read, err := answer.Body.Read(piece)
	if err != nil || !strings.Contains(string(piece[:read]), "begun") {
		t.Fatalf("%q %v", piece[:read], err)
	}
	// A client that goes away cancels its task.
	cancel()
	<-ended
	refused, err := http.Get(server.URL + "/api/v1/status")
	if err != nil || refused.StatusCode != 401 {
		t.Fatalf("%+v %v", refused, err)
	}
}

func TestABodyThatBreaksOffIsNoWholeOne(t *testing.T) {
	for round := 0; round < 5; round++ {
		router := opened(t, nil)
		holding(t, router)
		handler, err := router.Handler(nil)
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(handler)
		body := strings.NewReader(`{"prompt": "x", "stream": true}`)
		request, _ := http.NewRequestWithContext(soon(t), "POST", server.URL+"/api/v1/completions", body)
		request.Header.Set("Authorization", "Bearer default-dev-token")
		request.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if read, err := answer.Body.Read(make([]byte, 4096)); err != nil || read == 0 {
			t.Fatal(err)
		}
		if err := router.Close(); err != nil {
			t.Fatal(err)
		}
		// The router may have told of the end still.
		rest, err := io.ReadAll(answer.Body)
		if err == nil && !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
			t.Fatalf("a body without its end is whole: %q", rest)
		}
		answer.Body.Close()
		server.Close()
	}
}

func TestTheVersionIsThatOfTheLibrary(t *testing.T) {
	if cortensor.LibraryVersion() != cortensor.Version {
		t.Fatalf("the library is %s, the module %s", cortensor.LibraryVersion(), cortensor.Version)
	}
}
