// Package cortensor is a router for AI inference that lives inside your program: you submit tasks to sessions, and
// miners (inference workers) do the work. There is no service to start and nothing to configure.
//
//	router, err := cortensor.Open(nil)
//	if err != nil {
//		return err
//	}
//	defer router.Close()
//	_, err = router.AddMiner(cortensor.MinerOptions{Name: "shout"}, cortensor.MinerFunc(
//		func(ctx context.Context, job *cortensor.Job) error { return job.Emit(strings.ToUpper(job.Prompt())) }))
//	if err != nil {
//		return err
//	}
//	completion, err := router.Complete(ctx, cortensor.Request{Prompt: "hello"})
//
// Every method may be called from any goroutine. A method with a context returns early, with an error that wraps
// ctx.Err(), when the context ends.
//
// No goroutine that waits for a task, a token or a slow reader holds a thread of the system. Calls that wait for the
// disk hold one for that long, at most 64 together. Close, Shutdown, the goroutine behind Listener.Done, and a request
// that waits in a Handler hold one each.
package cortensor
