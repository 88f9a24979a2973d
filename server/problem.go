package server

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
)

// problemOf makes the problem details of an error. What is not Juncture's own is logged in full and told as INTERNAL.
func (s *Server) problemOf(c *gin.Context, err error) juncture.ProblemView {
	e, ok := errors.AsType[*juncture.Error](err)
	switch {
	case ok:
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		e = &juncture.Error{Code: juncture.CodeUnavailable, Message: "the request took too long or was given up", Err: err, Hint: "send it again"}
	default:
		e = &juncture.Error{Code: juncture.CodeInternal, Message: "something went wrong on the server", Err: err,
			Hint: "the server's log has the details under this requestId"}
	}
	status := e.Code.Status()
	if status >= 500 {
		level := slog.LevelError
		if errors.Is(err, context.Canceled) { // the caller went away
			level = slog.LevelInfo
		}
		s.log.LogAttrs(c.Request.Context(), level, "request failed", slog.String("requestId", requestID(c)),
			slog.String("route", c.FullPath()), slog.String("code", string(e.Code)), slog.Any("error", err), slog.Any("cause", e.Err))
	}
	v := juncture.ProblemView{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: e.Message,
		ErrorCode: e.Code, RequestID: requestID(c), Hint: e.Hint, Field: e.Field}
	for _, p := range e.Problems {
		v.Problems = append(v.Problems, juncture.FieldProblem{Field: p.Path, Detail: p.Message, Hint: p.Hint})
	}
	return v
}

// fail answers with the problem of an error and ends the request.
func (s *Server) fail(c *gin.Context, err error) {
	p := s.problemOf(c, err)
	if p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable {
		wait := time.Second
		if e, ok := errors.AsType[*juncture.Error](err); ok && e.RetryAfter > 0 {
			wait = e.RetryAfter
		}
		c.Header("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	}
	if p.Status == http.StatusUnauthorized {
		c.Header("WWW-Authenticate", `Bearer realm="juncture"`)
	}
	body, err := json.Marshal(p)
	if err != nil { // strings and numbers always encode
		panic(err)
	}
	c.Data(p.Status, "application/problem+json", body)
	c.Abort()
}
