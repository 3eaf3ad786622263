package cortensor_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	cortensor "cortensor.internal/router"
)

// behaviour is a miner of the scenarios; core/tests/conformance/README.md describes them.
func behaviour(name string, with map[string]any, counts *seen) cortensor.Miner {
	text := func(name string) string { value, _ := with[name].(string); return value }
	pieces := func(job *cortensor.Job) error {
		list, _ := with["pieces"].([]any)
		for _, piece := range list {
			if _, err := job.Write(bytesOf(piece)); err != nil {
				return err
			}
		}
		return nil
	}
	finish := func(job *cortensor.Job) error {
		if with["answer"] == nil {
			return nil
		}
		answer, err := into[cortensor.Answer](with["answer"])
		if err != nil {
			return err
		}
		return job.Finish(answer)
	}
	return cortensor.MinerFunc(func(ctx context.Context, job *cortensor.Job) error {
		number := counts.jobs.Add(1)
		switch name {
		case "words":
			return words(job)
		case "pieces", "whole":
			if err := pieces(job); err != nil {
				return err
			}
			return finish(job)
		case "hold":
			if err := pieces(job); err != nil {
				return err
			}
			<-ctx.Done()
			counts.cancelled.Add(1)
			return ctx.Err()
		case "fail":
			if err := pieces(job); err != nil {
				return err
			}
			return &cortensor.JobError{Code: cortensor.FailCode(text("code")), Message: text("message")}
		case "flaky":
			if times, _ := with["times"].(float64); number <= int64(times) {
				return &cortensor.JobError{Code: cortensor.FailCode(text("code")), Message: "not this time"}
			}
			return words(job)
		case "reject":
			return job.Reject(text("reason"))
		case "drop":
			job.Drop()
			return nil
		case "parts":
			for _, parts := range with["parts"].([]any) {
				piece, err := into[cortensor.PieceParts](parts)
				if err == nil {
					err = job.EmitParts(piece)
				}
				if err != nil {
					return err
				}
			}
			return finish(job)
		case "silent":
			return nil
		}
		panic("no such behaviour: " + name)
	})
}

// words gives the prompt's words, each with the blanks behind it.
func words(job *cortensor.Job) error {
	for _, word := range strings.SplitAfter(job.Prompt(), " ") {
		if word == "" {
			continue
		}
		if err := job.Emit(word); err != nil {
			return err
		}
	}
	return job.Finish(cortensor.Answer{})
}

func bytesOf(piece any) []byte {
	if text, ok := piece.(string); ok {
		return []byte(text)
	}
	var bytes []byte
	for _, number := range piece.(map[string]any)["bytes"].([]any) {
		bytes = append(bytes, byte(number.(float64)))
	}
	return bytes
}

// mismatch says where and why an outcome is not what a scenario expects; empty: it matches.
func mismatch(expected, actual any, path string) string {
	wrong := func() string {
		wanted, _ := json.Marshal(expected)
		got, _ := json.Marshal(actual)
		return fmt.Sprintf("%s: expected %s, got %s", path, wanted, got)
	}
	holds := true
	switch expected := expected.(type) {
	case map[string]any:
		if part, ok := expected["$contains"]; ok {
			text, _ := actual.(string)
			holds = strings.Contains(text, part.(string))
			break
		}
		object, ok := actual.(map[string]any)
		if !ok {
			return wrong()
		}
		for name, member := range expected {
			if fault := mismatch(member, object[name], path+"."+name); fault != "" {
				return fault
			}
		}
	case []any:
		list, ok := actual.([]any)
		if !ok || len(list) != len(expected) {
			return wrong()
		}
		for i, item := range expected {
			if fault := mismatch(item, list[i], fmt.Sprintf("%s[%d]", path, i)); fault != "" {
				return fault
			}
		}
	case string:
		_, isNumber := actual.(float64)
		text, isText := actual.(string)
		switch expected {
		case "$any":
			holds = actual != nil
		case "$number":
			holds = isNumber
		case "$text":
			holds = isText && text != ""
		case "$absent":
			holds = actual == nil
		default:
			if strings.HasPrefix(expected, "$") {
				panic("no such matcher: " + expected)
			}
			holds = isText && text == expected
		}
	default:
		holds = expected == actual
	}
	if holds {
		return ""
	}
	return wrong()
}
