//go:build go1.23

package cortensor

import (
	"context"
	"iter"
)

// All gives the texts of the task's tokens to a range loop: for text, err := range task.All(ctx). Leaving the loop
// cancels the task, unless it is detached, or another caller submitted it. The last pair has the error of a task that failed.
func (t *Task) All(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		left := false
		err := t.give(ctx, func(text string) bool {
			left = !yield(text, nil)
			return !left
		})
		if err != nil && !left {
			yield("", err)
		}
	}
}
