// Serve is a router that serves the REST API and OpenAI's until Ctrl-C.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	cortensor "cortensor.internal/router"
)

// tick gives `tick` until no client reads, but not for ever.
func tick(_ context.Context, job *cortensor.Job) error {
	for i := 0; i < 100_000; i++ {
		if err := job.Emit("tick "); err != nil {
			if errors.Is(err, cortensor.ErrCancelled) {
				fmt.Println("the client hung up")
			}
			return err
		}
	}
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	router, err := cortensor.Open(nil, cortensor.WithLog(func(record cortensor.LogRecord) {
		log.Printf("%s %s: %s", record.Level, record.Target, record.Message)
	}))
	if err != nil {
		log.Fatal(err)
	}
	options := cortensor.MinerOptions{Name: "tick", Capacity: cortensor.Ptr[int64](8)}
	if _, err := router.AddMiner(options, cortensor.MinerFunc(tick)); err != nil {
		log.Fatal(err)
	}
	// With an argument: any port that is free.
	port := 5010
	if len(os.Args) > 1 {
		port = 0
	}
	listener, err := router.Listen(map[string]any{"port": port})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on " + listener.URL())

	<-ctx.Done()
	fmt.Println("ending")
	// Ten seconds for what runs; Close cancels the rest.
	within, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := router.Drain(within); err != nil {
		log.Print(err)
	}
	if err := router.Close(); err != nil {
		log.Fatal(err)
	}
}
