package cortensor

// #include "bridge.h"
import "C"

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Error is everything that the router refuses or fails at. errors.As gives it, and errors.Is compares it with the
// errors of the kinds: ErrNotFound, ErrOverloaded and so on. An error of the kind "timeout" is also
// context.DeadlineExceeded, and one of the kind "cancelled" is also context.Canceled.
type Error struct {
	// Kind says what the caller can do about it.
	Kind Kind
	// Code is the finest code there is: "session_not_found", "no_miner", "queue_full" ...
	Code string
	// Message says the problem and how to mend it.
	Message string
	// Retryable says whether the same call may succeed later, unchanged.
	Retryable bool
	// Details are all of the above, and the field, the session and the task that the error is about.
	Details ErrorDetails
	// cause is the error of the context whose end made the call return.
	cause error
}

// Error is the message.
func (e *Error) Error() string {
	return e.Message
}

// Unwrap is the error of the context whose end made the call return, or nil.
func (e *Error) Unwrap() error {
	return e.cause
}

// Is compares with a Kind, and with the errors of contexts.
func (e *Error) Is(target error) bool {
	switch target {
	case context.DeadlineExceeded:
		return e.Kind == KindTimeout
	case context.Canceled:
		return e.Kind == KindCancelled
	}
	kind, ok := target.(Kind)
	return ok && kind == e.Kind
}

// RetryAfter is the time after which a retry may succeed; 0 if the router does not say.
func (e *Error) RetryAfter() time.Duration {
	if e.Details.RetryAfterMs == nil {
		return 0
	}
	return time.Duration(*e.Details.RetryAfterMs) * time.Millisecond
}

// Error is the name of the kind.
func (k Kind) Error() string {
	return string(k)
}

// failed takes over an error of the library.
func failed(failure *C.cortensor_error) error {
	defer C.cortensor_error_free(failure)
	return copied(failure)
}

// copied is an error that belongs to the library.
func copied(failure *C.cortensor_error) *Error {
	var details ErrorDetails
	if err := json.Unmarshal([]byte(C.GoString(C.cortensor_error_details(failure))), &details); err != nil {
		return local(KindInternal, "unreadable_error", "the library gave an error that cannot be read: "+err.Error())
	}
	return from(details)
}

func from(details ErrorDetails) *Error {
	retryable := details.Retryable != nil && *details.Retryable
	return &Error{Kind: details.Kind, Code: details.Code, Message: details.Message, Retryable: retryable, Details: details}
}

// local is an error of the module itself.
func local(kind Kind, code, message string) *Error {
	return from(ErrorDetails{Kind: kind, Code: code, Message: message})
}

func invalid(param, message string) *Error {
	details := ErrorDetails{Kind: KindInvalidArgument, Code: string(KindInvalidArgument), Message: message, Param: &param}
	return from(details)
}

// left is the error of a call whose context has ended.
func left(cause error) error {
	kind := KindCancelled
	if errors.Is(cause, context.DeadlineExceeded) {
		kind = KindTimeout
	}
	err := local(kind, "context_ended", fmt.Sprintf("the call was given up: %v", cause))
	err.cause = cause
	return err
}

// milliseconds is the rest of a context's time for a call that waits; negative: no limit.
func milliseconds(ctx context.Context) C.int64_t {
	deadline, ok := ctx.Deadline()
	if !ok {
		return C.CORTENSOR_FOREVER
	}
	rest := time.Until(deadline)
	if rest < 0 {
		rest = 0
	}
	return C.int64_t(rest / time.Millisecond)
}
