package cortensor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	cortensor "cortensor.internal/router"
)

// leastScenarios is the number of scenarios below which some are missing.
const leastScenarios = 72

// until is the time for which a step is repeated, and limit that of anything else.
const (
	until = 10 * time.Second
	limit = 20 * time.Second
)

// unbuildable are the members of the scenarios that are no fields of the module's types, or of another type than their
// field: a program that gives one does not build, so Go cannot play these steps. All but the last expect a refusal.
var unbuildable = []string{"colour", "grammar", "max_token", "name", "page", "temprature", "maxNumOfNodes"}

// untyped is the error of a step that does not build.
type untyped struct{ text, member string }

func (u *untyped) Error() string { return u.text }

func scenarios(t *testing.T) map[string][]map[string]any {
	t.Helper()
	directory := os.Getenv("CORTENSOR_CONFORMANCE")
	if directory == "" {
		directory = "../../tests/conformance"
	}
	files, err := filepath.Glob(filepath.Join(directory, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios in %s (%v)", directory, err)
	}
	all := map[string][]map[string]any{}
	count := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var list []map[string]any
		if err := json.Unmarshal(text, &list); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[filepath.Base(file)] = list
		count += len(list)
	}
	if count < leastScenarios {
		t.Fatalf("only %d scenarios were found", count)
	}
	return all
}

func TestConformance(t *testing.T) {
	met := map[string]bool{}
	for file, list := range scenarios(t) {
		for _, scenario := range list {
			scenario := scenario
			t.Run(file+": "+scenario["name"].(string), func(t *testing.T) {
				play(t, scenario, met)
			})
		}
	}
	for _, member := range unbuildable {
		if !met[member] {
			t.Errorf("no scenario gives %q any more: take it out of the table", member)
		}
		delete(met, member)
	}
	for member := range met {
		t.Errorf("the step with %q does not build in Go and is not in the table", member)
	}
}

// seen are the counts of a scenario's miner.
type seen struct{ jobs, cancelled atomic.Int64 }

type stage struct {
	router *cortensor.Router
	kept   map[string]any
	tasks  map[string]*cortensor.Task
	seen   map[string]*seen
	// met has the members of steps that do not build.
	met map[string]bool
}

func play(t *testing.T, scenario map[string]any, met map[string]bool) {
	router, err := cortensor.Open(scenario["config"])
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{router, map[string]any{}, map[string]*cortensor.Task{}, map[string]*seen{}, met}
	defer func() {
		if err := router.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	for _, miner := range scenario["miners"].([]any) {
		if err := s.addMiner(miner.(map[string]any)); err != nil {
			t.Fatal(err)
		}
	}
	for index, one := range scenario["steps"].([]any) {
		step := s.resolved(one).(map[string]any)
		if wrong := s.perform(step); wrong != "" {
			text, _ := json.Marshal(one)
			t.Fatalf("step %d %s\n    %s", index+1, text, wrong)
		}
	}
}

func (s *stage) addMiner(miner map[string]any) error {
	options, err := into[cortensor.MinerOptions](miner["spec"])
	if err != nil {
		return err
	}
	counts := &seen{}
	with, _ := miner["with"].(map[string]any)
	_, err = s.router.AddMiner(options, behaviour(miner["behaviour"].(string), with, counts))
	if err == nil {
		s.seen[options.Name] = counts
	}
	return err
}

// into reads a part of a scenario into a type of the module; every name must be a field.
func into[T any](value any) (T, error) {
	var out T
	text, err := json.Marshal(value)
	if err != nil {
		return out, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&out); err != nil {
		member := strings.Trim(strings.TrimPrefix(err.Error(), "json: unknown field "), `"`)
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			member = wrong.Field
		}
		return out, &untyped{fmt.Sprintf("%s: %v", text, err), member}
	}
	return out, nil
}

// resolved is the step with every "$name.path" put in.
func (s *stage) resolved(value any) any {
	switch value := value.(type) {
	case string:
		path := strings.Split(strings.TrimPrefix(value, "$"), ".")
		kept, ok := s.kept[path[0]]
		if !strings.HasPrefix(value, "$") || len(path) == 1 || !ok {
			return value
		}
		for _, part := range path[1:] {
			kept = kept.(map[string]any)[part]
		}
		return kept
	case []any:
		list := make([]any, len(value))
		for i, item := range value {
			list[i] = s.resolved(item)
		}
		return list
	case map[string]any:
		object := map[string]any{}
		for name, member := range value {
			object[name] = s.resolved(member)
		}
		return object
	}
	return value
}

// perform plays a step as often as it wants; the text says what is wrong.
func (s *stage) perform(step map[string]any) string {
	deadline := time.Now().Add(until)
	for {
		wrong := s.attempt(step)
		if wrong == "" || step["until"] != true || time.Now().After(deadline) {
			return wrong
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (s *stage) attempt(step map[string]any) string {
	wanted, fails := step["error"].(map[string]any)
	outcome, task, err := s.play(step)
	var failure *cortensor.Error
	var unbuilt *untyped
	switch {
	case errors.As(err, &unbuilt) && (wanted["kind"] == "invalid_argument" || unbuilt.member == "maxNumOfNodes"):
		s.met[unbuilt.member] = true
		return ""
	case err != nil && !errors.As(err, &failure):
		return fmt.Sprintf("no error of the router: %v", err)
	case err != nil && !fails:
		return fmt.Sprintf("failed: %+v", failure.Details)
	case err != nil:
		if !errors.Is(err, failure.Kind) {
			return "an error is not of its own kind"
		}
		return mismatch(wanted, plain(failure.Details), "")
	case fails:
		return fmt.Sprintf("expected the error %v, got %v", wanted, outcome)
	}
	if expected, ok := step["expect"]; ok {
		if wrong := mismatch(expected, outcome, ""); wrong != "" {
			return wrong
		}
	}
	if name, ok := step["as"].(string); ok {
		s.kept[name] = outcome
		if task != nil {
			s.tasks[name] = task
		}
	}
	return ""
}

// plain is a value as encoding/json reads it.
func plain(value any) any {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		panic(err)
	}
	return out
}

func (s *stage) play(step map[string]any) (any, *cortensor.Task, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	router := s.router
	number := func(name string) uint64 { value, _ := step[name].(float64); return uint64(value) }
	task := func() *cortensor.Task { return s.tasks[strings.TrimPrefix(step["task"].(string), "$")] }
	given := func(value any, err error) (any, *cortensor.Task, error) {
		if err != nil {
			return nil, nil, err
		}
		return plain(value), nil, nil
	}
	handle := func(task *cortensor.Task, err error) (any, *cortensor.Task, error) {
		if err != nil {
			return nil, nil, err
		}
		shown := map[string]any{"session_id": task.SessionID, "task_id": task.ID, "gid": task.GID, "joined": task.Joined}
		return plain(shown), task, nil
	}
	// A task outlives the step that submits it.
	lasting := context.Background()
	switch do := step["do"]; do {
	case "info":
		return given(router.Info())
	case "status":
		return given(router.Status())
	case "miners":
		return given(router.Miners())
	case "models":
		return given(router.Models())
	case "metrics":
		text, err := router.Metrics()
		return given(map[string]any{"text": text}, err)
	case "create_session":
		options, err := into[cortensor.SessionOptions](step["spec"])
		if err != nil {
			return nil, nil, err
		}
		session, err := router.CreateSession(ctx, options)
		if err != nil {
			return nil, nil, err
		}
		return given(session.Record, nil)
	case "session":
		session, err := router.Session(number("session"))
		if err != nil {
			return nil, nil, err
		}
		return given(session.Record, nil)
	case "close_session":
		return given(router.CloseSession(ctx, number("session")))
	case "update_session":
		changes, err := into[cortensor.SessionChanges](step["patch"])
		if err != nil {
			return nil, nil, err
		}
		return given(router.UpdateSession(ctx, number("session"), changes))
	case "sessions":
		query, err := into[cortensor.PageQuery](step["query"])
		if err != nil {
			return nil, nil, err
		}
		return given(router.Sessions(query))
	case "submit":
		text, _ := json.Marshal(step["request"])
		return handle(router.SubmitJSON(lasting, number("session"), text))
	case "submit_prompt":
		options, _ := step["options"].(map[string]any)
		extra, _ := options["extra"].(map[string]any)
		delete(options, "extra")
		request, err := into[cortensor.Request](options)
		if err != nil {
			return nil, nil, err
		}
		request.SessionID, request.Prompt, request.Extra = number("session"), step["prompt"].(string), extra
		return handle(router.Submit(lasting, request))
	case "embed":
		return given(router.Embed(ctx, cortensor.Request{SessionID: number("session"), Input: step["input"]}))
	case "text":
		completion, err := task().Result(ctx)
		if err != nil {
			return nil, nil, err
		}
		return given(map[string]any{"text": completion.Text()}, nil)
	case "attach":
		return handle(router.Attach(ctx, number("session"), number("task_id")))
	case "task":
		return given(router.Task(ctx, number("session"), number("task_id")))
	case "cancel":
		return given(router.Cancel(ctx, number("session"), number("task_id")))
	case "tasks":
		query, err := into[cortensor.TaskQuery](step["query"])
		if err != nil {
			return nil, nil, err
		}
		return given(router.Tasks(ctx, number("session"), query))
	case "record":
		return given(task().Record())
	case "result":
		return given(task().Result(ctx))
	case "cancel_task":
		return nil, nil, task().Cancel()
	case "detach":
		return nil, nil, task().Detach()
	case "release":
		task().Release()
		return nil, nil, nil
	case "stream":
		return given(read(ctx, task(), step))
	case "add_miner":
		return nil, nil, s.addMiner(step["miner"].(map[string]any))
	case "remove_miner":
		return nil, nil, router.RemoveMiner(step["name"].(string))
	case "miner_saw":
		counts := s.seen[step["name"].(string)]
		return given(map[string]any{"jobs": counts.jobs.Load(), "cancelled": counts.cancelled.Load()}, nil)
	case "drain":
		within, cancel := context.WithTimeout(ctx, time.Duration(number("timeout_ms"))*time.Millisecond)
		defer cancel()
		err := router.Drain(within)
		if errors.Is(err, cortensor.ErrTimeout) {
			return given(map[string]any{"drained": false}, nil)
		}
		return given(map[string]any{"drained": true}, err)
	case "shutdown":
		return nil, nil, router.Shutdown(ctx)
	default:
		panic(fmt.Sprintf("no such step: %v", do))
	}
}

func read(ctx context.Context, task *cortensor.Task, step map[string]any) (any, error) {
	after, _ := step["after"].(float64)
	take, takes := step["take"].(float64)
	stream, err := task.Stream(uint64(after))
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	tokens, text, restarts := []any{}, "", 0
	var end any
	for !takes || len(tokens) < int(take) {
		event, err := stream.Next(ctx)
		var failure *cortensor.Error
		switch {
		case errors.Is(err, io.EOF):
			return nil, errors.New("a stream was read beyond its end")
		case err != nil && event.Kind != cortensor.End:
			return nil, err
		case err != nil && errors.As(err, &failure):
			end = map[string]any{"error": failure.Details}
		case event.Kind == cortensor.Token:
			tokens = append(tokens, map[string]any{"seq": event.Seq, "text": event.Text})
			text += event.Text
		case event.Kind == cortensor.Restart:
			text = ""
			restarts++
		default:
			end = event.Completion
		}
		if end != nil {
			if _, err := stream.Next(ctx); !errors.Is(err, io.EOF) {
				return nil, errors.New("something came after the end of a stream")
			}
			break
		}
	}
	return map[string]any{"tokens": tokens, "text": text, "restarts": restarts, "end": end}, nil
}
