// Own_server has the whole API inside a server of net/http, beside a page of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"

	cortensor "cortensor.internal/router"
)

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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	router, err := cortensor.Open(nil)
	if err != nil {
		log.Fatal(err)
	}
	options := cortensor.MinerOptions{Name: "tick", Capacity: cortensor.Ptr[int64](8)}
	if _, err := router.AddMiner(options, cortensor.MinerFunc(tick)); err != nil {
		log.Fatal(err)
	}
	handler, err := router.Handler(nil)
	if err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(writer http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(writer, "a page of this program")
	})
	mux.Handle("/", handler)

	// With an argument: any port that is free.
	address := "127.0.0.1:3000"
	if len(os.Args) > 1 {
		address = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on http://" + listener.Addr().String())
	server := &http.Server{Handler: mux}
	go func() {
		<-ctx.Done()
		if err := router.Close(); err != nil {
			log.Print(err)
		}
		_ = server.Shutdown(context.Background())
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}
