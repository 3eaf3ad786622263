// Own_miner passes jobs on to a worker of its own, which answers them later. The worker dials in to the router, as it
// would from another machine.
package main

import (
	"context"
	"fmt"
	"log"
	"strings"
	"time"

	cortensor "cortensor.internal/router"
)

// answer stands for a model: it says the words of the prompt in reverse order.
func answer(job *cortensor.Job) {
	words := strings.Fields(job.Prompt())
	for i := len(words) - 1; i >= 0; i-- {
		if err := job.Emit(words[i] + " "); err != nil {
			return // the caller has gone
		}
	}
	count := int64(len(words))
	usage := &cortensor.UsageOptions{PromptTokens: &count, CompletionTokens: &count}
	if err := job.Finish(cortensor.Answer{Usage: usage}); err != nil {
		log.Print(err)
	}
}

func main() {
	router, err := cortensor.Open(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer router.Close()
	token := map[string]any{"value": "a-token-for-the-miner", "scopes": []string{"miner"}}
	listener, err := router.Listen(map[string]any{"port": 0, "token": []any{token}})
	if err != nil {
		log.Fatal(err)
	}

	jobs := make(chan *cortensor.Job)
	go func() {
		for job := range jobs {
			answer(job)
		}
	}()
	settings := cortensor.MinerClientSettings{
		Routers: []string{"ws://" + listener.Address()}, Name: "desk", Models: []string{"tiny"},
		Token: "a-token-for-the-miner",
	}
	miner, err := cortensor.RunMiner(settings, cortensor.MinerFunc(func(_ context.Context, job *cortensor.Job) error {
		job.Later()
		jobs <- job
		return nil
	}))
	if err != nil {
		log.Fatal(err)
	}
	defer miner.Close()
	for {
		stats, err := miner.Stats()
		if err != nil {
			log.Fatal(err)
		}
		if stats.Connected {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}

	request := cortensor.Request{Prompt: "one two three", Model: "tiny"}
	completion, err := router.Complete(context.Background(), request)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(completion.Text(), completion.Usage.CompletionTokens)
}
