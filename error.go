package juncture

import (
	"errors"
	"fmt"
	"time"
)

// Code names a kind of failure, the same in Go, in problem+json (errorCode) and in the docs.
type Code string

// The codes. Status maps each to its HTTP status.
const (
	CodeInvalidRequest      Code = "INVALID_REQUEST"       // 400
	CodeInvalidContext      Code = "INVALID_CONTEXT"       // 400
	CodeTargetingKeyMissing Code = "TARGETING_KEY_MISSING" // 400
	CodeUnauthorized        Code = "UNAUTHORIZED"          // 401
	CodeForbidden           Code = "FORBIDDEN"             // 403
	CodeNotFound            Code = "NOT_FOUND"             // 404
	CodeSurfaceNotFound     Code = "SURFACE_NOT_FOUND"     // 404
	CodeDecisionNotFound    Code = "DECISION_NOT_FOUND"    // 404
	CodeMethodNotAllowed    Code = "METHOD_NOT_ALLOWED"    // 405
	CodeDecisionConflict    Code = "DECISION_CONFLICT"     // 409
	CodeOutcomeConflict     Code = "OUTCOME_CONFLICT"      // 409
	CodeTooLarge            Code = "TOO_LARGE"             // 413
	CodeUnprocessable       Code = "UNPROCESSABLE"         // 422
	CodeTooManyRequests     Code = "TOO_MANY_REQUESTS"     // 429
	CodeUnavailable         Code = "UNAVAILABLE"           // 503: the write could not be made durable
	CodeInternal            Code = "INTERNAL"              // 500
)

// Status is the HTTP status of a code: the one place that maps them. What is not listed is 500.
func (c Code) Status() int {
	switch c {
	case CodeInvalidRequest, CodeInvalidContext, CodeTargetingKeyMissing:
		return 400
	case CodeUnauthorized:
		return 401
	case CodeForbidden:
		return 403
	case CodeNotFound, CodeSurfaceNotFound, CodeDecisionNotFound:
		return 404
	case CodeMethodNotAllowed:
		return 405
	case CodeDecisionConflict, CodeOutcomeConflict:
		return 409
	case CodeTooLarge:
		return 413
	case CodeUnprocessable:
		return 422
	case CodeTooManyRequests:
		return 429
	case CodeUnavailable:
		return 503
	}
	return 500
}

// Error is what Juncture returns: a code for programs, a message for the caller, a hint for an operator.
type Error struct {
	Code       Code
	Message    string
	Hint       string        // what to do about it; may be empty
	Field      string        // the request field or file path it is about; may be empty
	RetryAfter time.Duration // for 429 and 503; zero means one second
	Err        error         // the cause, for logs; may be nil
	Problems   []Problem     // all that is wrong, by field, the one of the message first; nil: no more than the message says
}

// Errorf makes an Error whose message is formatted; a %w operand becomes its cause.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// WithHint returns the error with its hint set.
func (e *Error) WithHint(hint string) *Error { e.Hint = hint; return e }

// WithField returns the error with the field that it is about.
func (e *Error) WithField(field string) *Error { e.Field = field; return e }

func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

func (e *Error) Unwrap() error { return e.Err }

// ErrorCode returns the code of err, CodeInternal for an error that is none of Juncture's, "" for nil.
func ErrorCode(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}
