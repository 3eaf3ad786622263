// Hello is the shortest program: a router, a miner, a task.
package main

import (
	"context"
	"fmt"
	"log"
	"strings"

	cortensor "cortensor.internal/router"
)

func main() {
	router, err := cortensor.Open(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer router.Close()
	shout := cortensor.Text(func(_ context.Context, job *cortensor.Job) (string, error) {
		return strings.ToUpper(job.Prompt()), nil
	})
	if _, err := router.AddMiner(cortensor.MinerOptions{Name: "shout"}, shout); err != nil {
		log.Fatal(err)
	}
	completion, err := router.Complete(context.Background(), cortensor.Request{Prompt: "hello from Go"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(completion.Text())
}
