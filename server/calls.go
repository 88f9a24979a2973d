package server

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/intake"
)

// body reads a request's body, decoded as JSON whatever its content type says, and never inflated.
func body(c *gin.Context, limit int) ([]byte, error) {
	if enc := c.GetHeader("Content-Encoding"); enc != "" && enc != "identity" {
		return nil, juncture.Errorf(juncture.CodeInvalidRequest, "Content-Encoding %.20q is not taken here", enc).WithHint("send the JSON as it is")
	}
	if c.Request.ContentLength > int64(limit) {
		return nil, juncture.Errorf(juncture.CodeTooLarge, "the body is larger than %d bytes", limit)
	}
	readBy(c)
	return intake.ReadBody(c.Request.Body, limit)
}

// readBy makes a sender that stops in the middle of its body be answered within the request's deadline. What has no
// connection, such as a test's recorder, cannot stop there.
func readBy(c *gin.Context) {
	if until, ok := c.Request.Context().Deadline(); ok {
		_ = http.NewResponseController(c.Writer).SetReadDeadline(until)
	}
}

// asked reads one request and the time of its call; false when it has answered with a problem.
func asked[Q any](s *Server, c *gin.Context, d *intake.Decoder[Q]) (r *Q, warnings []string, now time.Time, ok bool) {
	b, err := body(c, intake.MaxBody)
	if err == nil {
		now, err = s.now(c)
	}
	if err == nil {
		r, warnings, err = decodeOne(d, b)
	}
	if err != nil {
		s.fail(c, err)
	}
	return r, warnings, now, err == nil
}

func (s *Server) postChoose(c *gin.Context) {
	r, warnings, now, ok := asked(s, c, s.choose)
	if !ok {
		return
	}
	res := s.engine.ChooseBatch(c.Request.Context(), now, caller(c), []*juncture.ChooseRequest{r})[0]
	if res.Err != nil {
		s.fail(c, res.Err)
		return
	}
	res.Answer.Warnings = append(res.Answer.Warnings, warnings...)
	s.json(c, res.Answer)
}

func (s *Server) postChooseBatch(c *gin.Context) {
	batch(s, c, s.choose, func(now time.Time, rs []*juncture.ChooseRequest) []engine.Result[juncture.ChooseAnswer] {
		return s.engine.ChooseBatch(c.Request.Context(), now, caller(c), rs)
	}, func(a *juncture.ChooseAnswer, warnings []string) { a.Warnings = append(a.Warnings, warnings...) })
}

func (s *Server) postActivate(c *gin.Context) {
	r, _, now, ok := asked(s, c, s.activate)
	if !ok {
		return
	}
	a, err := s.engine.Activate(c.Request.Context(), now, r)
	if err != nil {
		s.fail(c, err)
		return
	}
	s.json(c, a)
}

func (s *Server) postReward(c *gin.Context) {
	r, warnings, now, ok := asked(s, c, s.reward)
	if !ok {
		return
	}
	res := s.engine.RewardBatch(c.Request.Context(), now, []*juncture.RewardRequest{r})[0]
	if res.Err != nil {
		s.fail(c, res.Err)
		return
	}
	res.Answer.Warnings = warnings
	s.json(c, res.Answer)
}

func (s *Server) postRewardBatch(c *gin.Context) {
	batch(s, c, s.reward, func(now time.Time, rs []*juncture.RewardRequest) []engine.Result[juncture.RewardAnswer] {
		return s.engine.RewardBatch(c.Request.Context(), now, rs)
	}, func(a *juncture.RewardAnswer, warnings []string) { a.Warnings = warnings })
}

func decodeOne[T any](d *intake.Decoder[T], b []byte) (*T, []string, error) {
	r := new(T)
	warnings, err := d.Decode(b, r)
	return r, warnings, err
}

// batch decodes the items of a batch, has the good ones answered in one commit and writes an answer or a problem for
// each, in order.
func batch[Q, A any](s *Server, c *gin.Context, d *intake.Decoder[Q], answer func(time.Time, []*Q) []engine.Result[A], warn func(*A, []string)) {
	b, err := body(c, intake.MaxBatchBody)
	if err != nil {
		s.fail(c, err)
		return
	}
	items, err := intake.SplitItems(b, intake.MaxItems)
	if who := caller(c); err == nil && who.Public && len(items) > 1 { // the request itself is paid for
		err = s.limits.allow(who.KeyID, c.ClientIP(), s.o.Now(), len(items)-1)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	requests := make([]*Q, len(items))
	refused := make([]error, len(items))
	warnings := make([][]string, len(items))
	for i, item := range items {
		if len(item) > intake.MaxBody {
			refused[i] = juncture.Errorf(juncture.CodeTooLarge, "the item is larger than %d bytes", intake.MaxBody)
			continue
		}
		requests[i], warnings[i], refused[i] = decodeOne(d, item)
		if refused[i] != nil {
			requests[i] = nil
		}
	}
	now, err := s.now(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	answers := answer(now, requests)
	// A commit that failed for all is the batch's failure: nothing of it happened, and it may be sent again.
	for i := range answers {
		if juncture.ErrorCode(answers[i].Err) == juncture.CodeUnavailable {
			s.fail(c, answers[i].Err)
			return
		}
	}
	out := struct {
		Items []json.RawMessage `json:"items"`
	}{Items: make([]json.RawMessage, len(items))}
	for i := range items {
		var v any
		switch {
		case refused[i] != nil:
			v = s.problemOf(c, refused[i])
		case answers[i].Err != nil:
			v = s.problemOf(c, answers[i].Err)
		default:
			warn(answers[i].Answer, warnings[i])
			v = answers[i].Answer
		}
		if out.Items[i], err = json.Marshal(v); err != nil {
			s.fail(c, err)
			return
		}
	}
	s.json(c, out)
}
