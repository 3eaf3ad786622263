package cortensor

// #include "bridge.h"
import "C"

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/textproto"
	"runtime"
	"strings"
)

// patience is the time in milliseconds after which a handler that waits for the router looks whether its client is still
// there.
const patience = 200

// bodyOver is the code of the error behind the last piece of a body.
const bodyOver = "body_over"

// Handler answers requests as the listener would: the routes, tokens and limits are equal.
type Handler struct {
	handle[*C.cortensor_http_handler]
}

// Handler gives the REST API and the APIs of OpenAI and others as an http.Handler, for a server of this program. The
// configuration is as for Listen; addresses do not apply. A request that waits holds a thread of the system.
func (r *Router) Handler(config any) (*Handler, error) {
	text, err := encoded("listen", config)
	if err != nil {
		return nil, err
	}
	handler := &Handler{}
	err = r.do("router", func(c *C.cortensor_router, failure **C.cortensor_error) C.cortensor_status {
		data, size := chars(text)
		return C.cortensor_router_http_handler(c, data, size, &handler.c, failure)
	})
	if err != nil {
		return nil, err
	}
	runtime.SetFinalizer(handler, func(h *Handler) {
		h.free(func(c *C.cortensor_http_handler) { C.cortensor_http_handler_free(c) })
	})
	return handler, nil
}

// ServeHTTP answers a request. A client that goes away cancels its task.
func (h *Handler) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	response, err := h.begin(request)
	if err != nil {
		http.Error(writer, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer C.cortensor_http_response_free(response)
	if err := head(request.Context(), response, writer); err != nil {
		if request.Context().Err() == nil {
			http.Error(writer, err.Error(), http.StatusServiceUnavailable)
		}
		return
	}
	flusher, _ := writer.(http.Flusher)
	for {
		piece, err := next(request.Context(), response)
		if over, ok := err.(*Error); ok && over.Code == bodyOver {
			return
		}
		if err != nil {
			// A return would end the body as if it were whole; this breaks the connection off.
			panic(http.ErrAbortHandler)
		}
		if _, err := writer.Write(piece); err != nil {
			return
		}
		if flusher != nil {
			flusher.Flush()
		}
	}
}

// begin passes the request on to the library.
func (h *Handler) begin(request *http.Request) (*C.cortensor_http_response, error) {
	c, err := h.enterLong("handler")
	if err != nil {
		return nil, err
	}
	defer h.leaveLong()
	// One byte more than the library takes: it refuses such a body itself.
	body, err := io.ReadAll(io.LimitReader(request.Body, int64(C.cortensor_http_handler_max_body_bytes(c))+1))
	if err != nil {
		return nil, invalid("body", "the body could not be read: "+err.Error())
	}
	var wire bytes.Buffer
	wire.WriteString(request.Method + " " + request.URL.RequestURI() + " HTTP/1.1\r\nHost: " + request.Host + "\r\n")
	_ = request.Header.Write(&wire)
	wire.WriteString("\r\n")
	lines, content := wire.String(), string(body)
	data, size := chars(lines)
	text, length := chars(content)
	peer, peerSize := chars(request.RemoteAddr)
	var response *C.cortensor_http_response
	var failure *C.cortensor_error
	status := C.cortensor_http_handler_handle(c, data, size, text, length, peer, peerSize, &response, &failure)
	runtime.KeepAlive(lines)
	runtime.KeepAlive(content)
	if status != C.CORTENSOR_STATUS_OK {
		return nil, failed(failure)
	}
	return response, nil
}

// head waits for the head of the response and writes it.
func head(ctx context.Context, response *C.cortensor_http_response, writer http.ResponseWriter) error {
	var code C.uint16_t
	var lines *C.cortensor_bytes
	err := waited(ctx, func(failure **C.cortensor_error) C.cortensor_status {
		return C.cortensor_http_response_head(response, patience, &code, &lines, failure)
	})
	if err != nil {
		return err
	}
	for _, line := range strings.Split(string(taken(lines)), "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			writer.Header().Add(textproto.CanonicalMIMEHeaderKey(name), strings.TrimSpace(value))
		}
	}
	writer.WriteHeader(int(code))
	return nil
}

// next waits for a piece of the body.
func next(ctx context.Context, response *C.cortensor_http_response) ([]byte, error) {
	var piece *C.cortensor_bytes
	err := waited(ctx, func(failure **C.cortensor_error) C.cortensor_status {
		return C.cortensor_http_response_next(response, patience, &piece, failure)
	})
	if err != nil {
		return nil, err
	}
	return taken(piece), nil
}

// waited repeats a call until it has an answer, or until the context ends.
func waited(ctx context.Context, call func(**C.cortensor_error) C.cortensor_status) error {
	for {
		var failure *C.cortensor_error
		switch status := call(&failure); {
		case status == C.CORTENSOR_STATUS_OK:
			return nil
		case status != C.CORTENSOR_STATUS_TIMEOUT:
			return failed(failure)
		}
		C.cortensor_error_free(failure)
		if err := ctx.Err(); err != nil {
			return left(err)
		}
	}
}
