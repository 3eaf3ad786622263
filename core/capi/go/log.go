package cortensor

import "time"

// LogRecord is a line of the log.
type LogRecord struct {
	// Time is the time of the line.
	Time time.Time
	// Level is "error", "warn", "info", "debug" or "trace".
	Level string
	// Target is the part of the router that writes.
	Target string
	// Message is the text.
	Message string
}

// Option is an option of Open and of RunMiner.
type Option func(*settings)

type settings struct {
	log func(LogRecord)
}

// WithLog gives the log to a function, from the level `runtime.log_level` of the configuration on. Calls come one at a
// time. The function must not call the router.
func WithLog(write func(LogRecord)) Option {
	return func(s *settings) { s.log = write }
}

func settled(options []Option) settings {
	var s settings
	for _, option := range options {
		option(&s)
	}
	return s
}
