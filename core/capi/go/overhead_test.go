package cortensor_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	cortensor "cortensor.internal/router"
)

// The figures of `cargo xtask bench go`: a completion with one and with 32 under way, and a token of a stream, with
// miners in Go, beside equal work in Rust in the same run.
const (
	together = 32
	tokens   = 200_000
)

func TestOverhead(t *testing.T) {
	given := os.Getenv("CORTENSOR_BENCH_REFERENCE")
	if given == "" {
		t.Skip("cargo xtask bench go runs it")
	}
	var rust map[string]float64
	if err := json.Unmarshal([]byte(given), &rust); err != nil {
		t.Fatal(err)
	}
	calls := 20_000
	if os.Getenv("CORTENSOR_BENCH_QUICK") != "" {
		calls = 4_000
	}
	router := opened(t, map[string]any{"runtime": map[string]any{"log_level": "off"}})
	serve(t, router, "tiny", 256, func(_ context.Context, job *cortensor.Job) error {
		return job.Finish(cortensor.Answer{Text: cortensor.Ptr("x")})
	})
	serve(t, router, "flood", 1, func(_ context.Context, job *cortensor.Job) error {
		for i := 0; i < tokens; i++ {
			if err := job.Emit("tok "); err != nil {
				return err
			}
		}
		return nil
	})
	ask := func(count int) {
		for i := 0; i < count; i++ {
			if _, err := router.Complete(context.Background(), cortensor.Request{Prompt: "hello", Model: "tiny"}); err != nil {
				t.Error(err)
			}
		}
	}
	ask(calls / 10)
	figures := map[string]float64{"call_c1_us": micros(calls, func() { ask(calls) })}
	figures["call_c32_us"] = micros(calls, func() {
		done := make(chan struct{})
		for i := 0; i < together; i++ {
			go func() { ask(calls / together); done <- struct{}{} }()
		}
		for i := 0; i < together; i++ {
			<-done
		}
	})
	for name, read := range map[string]func(*cortensor.Task) int{"token_us": next, "channel_token_us": channel} {
		figures[name] = micros(tokens, func() {
			task, err := router.Submit(context.Background(), cortensor.Request{Prompt: "go", Model: "flood"})
			if err != nil {
				t.Fatal(err)
			}
			if count := read(task); count != tokens {
				t.Errorf("%d tokens instead of %d", count, tokens)
			}
		})
	}
	results := map[string]any{
		"machine": map[string]any{"cpus": runtime.NumCPU(), "go": runtime.Version(), "version": cortensor.Version},
		"rust":    rust, "go": figures,
	}
	text, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(string(text))
	for name, reference := range rust {
		fmt.Printf("bench: %s: %.2f in Rust, %.2f in Go, %.2f more\n", name, reference, figures[name], figures[name]-reference)
	}
	if path := os.Getenv("CORTENSOR_BENCH_JSON"); path != "" {
		if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func serve(t *testing.T, router *cortensor.Router, model string, capacity int64, work cortensor.MinerFunc) {
	t.Helper()
	options := cortensor.MinerOptions{Name: model, Models: []string{model}, Capacity: &capacity}
	if _, err := router.AddMiner(options, work); err != nil {
		t.Fatal(err)
	}
}

// micros are the microseconds for each of `count`, with three digits.
func micros(count int, work func()) float64 {
	start := time.Now()
	work()
	each := float64(time.Since(start).Nanoseconds()) / 1e3 / float64(count)
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(each, 'f', 3, 64), 64)
	return rounded
}

func next(task *cortensor.Task) int {
	stream, err := task.Stream(0)
	if err != nil {
		return 0
	}
	defer stream.Close()
	for count := 0; ; count++ {
		if event, err := stream.Next(context.Background()); err != nil || event.Kind != cortensor.Token {
			return count
		}
	}
}

func channel(task *cortensor.Task) int {
	count := 0
	for range task.Tokens(context.Background()).C {
		count++
	}
	return count
}
