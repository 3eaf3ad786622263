package cortensor

// #include "bridge.h"
import "C"

import "context"

// Session is an open account for work.
type Session struct {
	router *Router
	// ID is the session's id.
	ID uint64
	// Record is the record as it was when the Session was made.
	Record SessionRecord
}

// CreateSession opens a session; the Name of the options is required. It returns when the session is durable.
func (r *Router) CreateSession(ctx context.Context, options SessionOptions) (*Session, error) {
	spec, err := encoded("session", options)
	if err != nil {
		return nil, err
	}
	made, err := askApart[SessionRecord](ctx, r, func(c *C.cortensor_router, out **C.cortensor_bytes, failure **C.cortensor_error) C.cortensor_status {
		data, size := chars(spec)
		return C.cortensor_router_create_session(c, data, size, nil, out, failure)
	})
	return r.account(made, err)
}

// Session gives an existing session, or an error of the kind "not_found".
func (r *Router) Session(id uint64) (*Session, error) {
	return r.account(ask[SessionRecord](&r.handle, "router", func(c *C.cortensor_router, out **C.cortensor_bytes, failure **C.cortensor_error) C.cortensor_status {
		return C.cortensor_router_session(c, C.uint64_t(id), out, failure)
	}))
}

func (r *Router) account(made *SessionRecord, err error) (*Session, error) {
	if err != nil {
		return nil, err
	}
	return &Session{router: r, ID: made.ID, Record: *made}, nil
}

// SessionPage is a part of the list of sessions.
type SessionPage struct {
	// Count is the number of sessions on all pages.
	Count int64 `json:"count"`
	// Sessions are the sessions of this page.
	Sessions []SessionRecord `json:"sessions"`
}

// Sessions gives a page of sessions.
func (r *Router) Sessions(query PageQuery) (*SessionPage, error) {
	text, err := encoded("query", query)
	if err != nil {
		return nil, err
	}
	return ask[SessionPage](&r.handle, "router", func(c *C.cortensor_router, out **C.cortensor_bytes, failure **C.cortensor_error) C.cortensor_status {
		data, size := chars(text)
		return C.cortensor_router_sessions(c, data, size, out, failure)
	})
}

// UpdateSession changes a session and gives its record. It returns when the change is durable.
func (r *Router) UpdateSession(ctx context.Context, id uint64, changes SessionChanges) (*SessionRecord, error) {
	text, err := encoded("session", changes)
	if err != nil {
		return nil, err
	}
	return askApart[SessionRecord](ctx, r, func(c *C.cortensor_router, out **C.cortensor_bytes, failure **C.cortensor_error) C.cortensor_status {
		data, size := chars(text)
		return C.cortensor_router_update_session(c, C.uint64_t(id), data, size, out, failure)
	})
}

// CloseSession closes a session and gives its record: new tasks are refused, present ones finish.
func (r *Router) CloseSession(ctx context.Context, id uint64) (*SessionRecord, error) {
	return askApart[SessionRecord](ctx, r, func(c *C.cortensor_router, out **C.cortensor_bytes, failure **C.cortensor_error) C.cortensor_status {
		return C.cortensor_router_close_session(c, C.uint64_t(id), out, failure)
	})
}

// Submit submits a task to this session; see Router.Submit.
func (s *Session) Submit(ctx context.Context, request Request) (*Task, error) {
	request.SessionID = s.ID
	return s.router.Submit(ctx, request)
}

// Complete submits a task to this session and waits for its end; see Router.Complete.
func (s *Session) Complete(ctx context.Context, request Request) (*Completion, error) {
	request.SessionID = s.ID
	return s.router.Complete(ctx, request)
}

// Embed makes the vectors of the texts in the Input of the request; see Router.Embed.
func (s *Session) Embed(ctx context.Context, request Request) (*Embeddings, error) {
	request.SessionID = s.ID
	return s.router.Embed(ctx, request)
}

// Tasks gives a page of the session's tasks.
func (s *Session) Tasks(ctx context.Context, query TaskQuery) (*TaskPage, error) {
	return s.router.Tasks(ctx, s.ID, query)
}

// Task gives the record of a task of this session.
func (s *Session) Task(ctx context.Context, taskID uint64) (*TaskRecord, error) {
	return s.router.Task(ctx, s.ID, taskID)
}

// Attach joins a task of this session, running or ended.
func (s *Session) Attach(ctx context.Context, taskID uint64) (*Task, error) {
	return s.router.Attach(ctx, s.ID, taskID)
}

// Update changes the session and gives its record.
func (s *Session) Update(ctx context.Context, changes SessionChanges) (*SessionRecord, error) {
	return s.router.UpdateSession(ctx, s.ID, changes)
}

// Close closes the session and gives its record: new tasks are refused, present ones finish.
func (s *Session) Close(ctx context.Context) (*SessionRecord, error) {
	return s.router.CloseSession(ctx, s.ID)
}
