// Stream shows tokens as they come, with a time limit. Ending the context cancels the work.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	cortensor "cortensor.internal/router"
)

// count stands for a model that never stops by itself.
func count(ctx context.Context, job *cortensor.Job) error {
	for number := 1; ; number++ {
		if err := job.Emit(fmt.Sprint(number, " ")); err != nil {
			fmt.Println("\nthe miner was told to stop")
			return err
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func main() {
	router, err := cortensor.Open(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer router.Close()
	options := cortensor.MinerOptions{Name: "counter", Models: []string{"tiny"}, Capacity: cortensor.Ptr[int64](4)}
	if _, err := router.AddMiner(options, cortensor.MinerFunc(count)); err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	session, err := router.CreateSession(ctx, cortensor.SessionOptions{Name: "chat", Model: "tiny"})
	if err != nil {
		log.Fatal(err)
	}
	task, err := session.Submit(ctx, cortensor.Request{Prompt: "count"})
	if err != nil {
		log.Fatal(err)
	}
	tokens := task.Tokens(ctx)
	for token := range tokens.C {
		fmt.Print(token)
		if token == "10 " {
			cancel()
		}
	}
	if err := tokens.Err(); !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
	if err := router.Wait(context.Background()); err != nil {
		log.Fatal(err)
	}
}
