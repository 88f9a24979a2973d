package intake

import (
	"compress/gzip"
	"errors"
	"io"

	"github.com/juncture/juncture"
)

// Inflate reads a gzip body of at most limit bytes, inflated and as sent. It stops at the limit, so that a body that
// would become gigabytes costs no more than one of limit bytes. Only the tracking routes take such bodies.
//
// Errors: CodeTooLarge, CodeInvalidRequest (not gzip, cut short, or damaged).
func Inflate(r io.Reader, limit int) ([]byte, error) {
	sent := &io.LimitedReader{R: r, N: int64(limit) + 1}
	z, err := gzip.NewReader(sent)
	if err != nil {
		return nil, notGzip(err)
	}
	b, err := io.ReadAll(io.LimitReader(z, int64(limit)+1))
	switch {
	case len(b) > limit, sent.N == 0:
		return nil, tooLarge(limit)
	case err != nil:
		return nil, notGzip(err)
	}
	return b, nil
}

func notGzip(err error) error {
	e := &juncture.Error{Code: juncture.CodeInvalidRequest, Message: "the body is not gzip", Err: err,
		Hint: "compress it whole, or send no Content-Encoding"}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrChecksum) {
		e.Message = "the gzip body is cut short or damaged"
	}
	return e
}
