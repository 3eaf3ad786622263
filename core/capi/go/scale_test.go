package cortensor_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	cortensor "cortensor.internal/router"
)

// ending is the variable that makes the test program end in mid-stream; its value says how.
const ending = "CORTENSOR_TEST_ENDING"

func TestMain(m *testing.M) {
	if how := os.Getenv(ending); how != "" {
		endInMidStream(how)
	}
	os.Exit(m.Run())
}

// endInMidStream ends the process while tasks are answered and read.
func endInMidStream(how string) {
	must := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	router, err := cortensor.Open(map[string]any{"runtime": map[string]any{"log_level": "trace"}},
		cortensor.WithLog(func(cortensor.LogRecord) {}))
	must(err)
	capacity := int64(4)
	_, err = router.AddMiner(cortensor.MinerOptions{Name: "endless", Capacity: &capacity},
		cortensor.MinerFunc(func(_ context.Context, job *cortensor.Job) error {
			for {
				if err := job.Emit("x"); err != nil {
					return err
				}
			}
		}))
	must(err)
	read := make(chan struct{}, 1000)
	for i := 0; i < 4; i++ {
		task, err := router.Submit(context.Background(), cortensor.Request{Prompt: "x"})
		must(err)
		go func() {
			for range task.Tokens(context.Background()).C {
				select {
				case read <- struct{}{}:
				default:
				}
			}
		}()
	}
	for i := 0; i < 50; i++ {
		<-read
	}
	switch how {
	case "close":
		must(router.Close())
	case "panic":
		defer func() { _ = recover(); os.Exit(0) }()
		panic("the program panics")
	}
	os.Exit(0)
}

func TestAProcessEndsWellInMidStream(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short")
	}
	runs := 15
	if set := os.Getenv("CORTENSOR_GO_EXIT_RUNS"); set != "" {
		number, err := strconv.Atoi(set)
		if err != nil {
			t.Fatalf("CORTENSOR_GO_EXIT_RUNS: %v", err)
		}
		runs = number
	}
	rounds := make(chan int)
	var crowd sync.WaitGroup
	for runner := 0; runner < 4; runner++ {
		crowd.Add(1)
		go func() {
			defer crowd.Done()
			for round := range rounds {
				how := []string{"exit", "panic", "close"}[round%3]
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				child := exec.CommandContext(ctx, os.Args[0])
				child.Env = append(os.Environ(), ending+"="+how)
				output, err := child.CombinedOutput()
				cancel()
				if err != nil || len(output) > 0 {
					t.Errorf("round %d (%s): %v\n%s", round, how, err, output)
				}
			}
		}()
	}
	for round := 0; round < runs; round++ {
		rounds <- round
	}
	close(rounds)
	crowd.Wait()
}

func TestThingsAreLetGoInEveryOrder(t *testing.T) {
	for order := 0; order < 24; order++ {
		router, err := cortensor.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		things := map[string]any{"miner": add(t, router, "m", 4, func(_ context.Context, job *cortensor.Job) error {
			return words(job)
		})}
		session, err := router.CreateSession(soon(t), cortensor.SessionOptions{Name: "s"})
		if err != nil {
			t.Fatal(err)
		}
		task, err := session.Submit(soon(t), prompt("a b c"))
		if err != nil {
			t.Fatal(err)
		}
		stream, err := task.Stream(0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Next(soon(t)); err != nil {
			t.Fatal(err)
		}
		listener, err := router.Listen(map[string]any{"port": 0})
		if err != nil {
			t.Fatal(err)
		}
		things["session"], things["task"], things["stream"], things["listener"] = session, task, stream, listener
		session, task, stream, listener = nil, nil, nil, nil
		names := []string{"miner", "session", "task", "stream", "listener", "router"}
		// A different order each time: the numbers of permutations of four, with the rest turned.
		for turn := 0; turn < len(names); turn++ {
			at := (order*7 + turn*(order%5+1)) % len(names)
			names[at], names[turn] = names[turn], names[at]
		}
		for _, name := range names {
			if name == "router" {
				if err := router.Close(); err != nil {
					t.Fatal(err)
				}
			}
			delete(things, name)
			runtime.GC()
		}
	}
}

func TestTenThousandTasksAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short")
	}
	const tasks = 10_000
	router := opened(t, map[string]any{
		"limits": map[string]any{"default_timeout_secs": 280}, "dispatch": map[string]any{"progress_timeout_ms": 280_000},
	})
	var meeting sync.WaitGroup
	meeting.Add(tasks)
	add(t, router, "meet", tasks, func(_ context.Context, job *cortensor.Job) error {
		// Every task waits until all are here.
		meeting.Done()
		meeting.Wait()
		return job.Emit(job.Prompt())
	})
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	failures := make(chan error, tasks)
	for i := 0; i < tasks; i++ {
		go func(text string) {
			completion, err := router.Complete(ctx, prompt(text))
			if err == nil && completion.Text() != text {
				err = fmt.Errorf("%q instead of %q", completion.Text(), text)
			}
			failures <- err
		}(strconv.Itoa(i))
	}
	for i := 0; i < tasks; i++ {
		if err := <-failures; err != nil {
			t.Fatal(err)
		}
	}
	// The library has threads of its own, and at most 64 are inside of its calls.
	if threads := len(entries(t, "/proc/self/task")); threads > 1_000 {
		t.Fatalf("%d threads for tasks that wait", threads)
	}
}

func entries(t *testing.T, directory string) []os.DirEntry {
	t.Helper()
	list, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// resident is the memory of the process in bytes.
func resident(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(bytes.TrimSpace(text)))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

func TestMemoryStaysFlatOverAMillionTokens(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short")
	}
	const tasks, pieces = 1_000, 1_000
	// Ended tasks that are kept to be read again would hide what is kept by mistake.
	router := opened(t, map[string]any{
		"limits": map[string]any{"recent_tasks": 16}, "retention": map[string]any{"max_memory_bytes": 100_000},
	})
	add(t, router, "flood", 1, func(_ context.Context, job *cortensor.Job) error {
		for i := 0; i < pieces; i++ {
			if err := job.Emit("token "); err != nil {
				return err
			}
		}
		return nil
	})
	var base int64
	for number := 0; number < tasks; number++ {
		task, err := router.Submit(soon(t), prompt("x"))
		if err != nil {
			t.Fatal(err)
		}
		read := task.Tokens(context.Background())
		count := 0
		for range read.C {
			count++
		}
		if read.Err() != nil || count != pieces {
			t.Fatalf("%d tokens, %v", count, read.Err())
		}
		if number == tasks/4 {
			debug.FreeOSMemory()
			base = resident(t)
		}
	}
	debug.FreeOSMemory()
	if grown := resident(t) - base; grown > 8*tasks*pieces*3/4 {
		t.Fatalf("%d bytes for %d tokens", grown, tasks*pieces*3/4)
	}
}
