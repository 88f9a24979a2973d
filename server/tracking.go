package server

import (
	"cmp"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/intake"
)

// trackingCalls are the routes of the Segment HTTP tracking API, long and short.
func trackingCalls() []string {
	return []string{"batch", "track", "identify", "page", "screen", "group", "alias", "b", "t", "i", "p", "s", "g", "a"}
}

// postTracking takes events. The write key is any key with scope events: the user name of Basic auth, a Bearer token,
// or writeKey in the body.
func (s *Server) postTracking(call string) gin.HandlerFunc {
	return func(c *gin.Context) {
		secret := headerKey(c)
		if secret != "" { // a key in the body can only be checked once that is read
			if err := s.authorise(c, secret, access.ScopeEvents); err != nil {
				s.fail(c, err)
				return
			}
		}
		b, err := trackingBody(c)
		if err != nil {
			s.fail(c, err)
			return
		}
		now, err := s.now(c)
		if err != nil {
			s.fail(c, err)
			return
		}
		declared, err := s.reports.Declared(c.Request.Context())
		if err != nil {
			s.fail(c, err)
			return
		}
		tracked, err := intake.ParseTracking(call, b, intake.TrackingOptions{Received: now, Currency: declared.Declaration.Store.Currency})
		if err == nil && secret == "" {
			err = s.authorise(c, tracked.WriteKey, access.ScopeEvents)
		}
		if err != nil {
			s.fail(c, err)
			return
		}
		if who := caller(c); who.Public && len(tracked.Items) > 1 { // the request itself is paid for
			if err := s.events.allow(who.KeyID, c.ClientIP(), s.o.Now(), len(tracked.Items)-1); err != nil {
				s.fail(c, err)
				return
			}
		}
		var in []engine.Incoming
		var broken []juncture.Quarantined
		for _, item := range tracked.Items {
			switch i := item.Incoming; {
			case item.Broken != nil:
				broken = append(broken, juncture.Quarantined{Reason: string(item.Broken.Reason), Message: item.Broken.Message,
					Example: item.Broken.Raw, Latest: now})
			default:
				who := caller(c)
				scope := ""
				if who.Public { // a stranger's message must not stand in the way of the shop's
					scope = who.KeyID
				}
				in = append(in, engine.Incoming{Event: i.Event, Trusted: !who.Public, Scope: scope, Agent: cmp.Or(i.UserAgent, who.Agent), Address: who.Address, UserID: i.UserID, AnonymousID: i.AnonymousID, PreviousID: i.PreviousID, Raw: i.Raw,
					Consent: juncture.ConsentRecord{Personalization: said(i.Consent.Personalization), Analytics: said(i.Consent.Analytics)}})
			}
		}
		taken, err := s.engine.Ingest(c.Request.Context(), now, in, broken)
		if err != nil {
			s.fail(c, err)
			return
		}
		s.metrics.events.Add(float64(len(in)))
		s.metrics.quarantined.Add(float64(len(broken) + taken.Refused))
		s.json(c, map[string]bool{"success": true})
	}
}

// said is an answer, empty where it says nothing.
func said(v string) string {
	if v == juncture.ConsentUnknown {
		return ""
	}
	return v
}

// headerKey finds the write key of a tracking call in its headers.
func headerKey(c *gin.Context) string {
	if user, _, ok := c.Request.BasicAuth(); ok {
		return user
	}
	return bearer(c)
}

// trackingBody reads a body that may be gzipped, whatever its content type says; both sizes are capped.
func trackingBody(c *gin.Context) ([]byte, error) {
	readBy(c)
	switch enc := strings.ToLower(c.GetHeader("Content-Encoding")); enc {
	case "", "identity":
		return intake.ReadBody(c.Request.Body, intake.MaxEventBatch)
	case "gzip":
		return intake.Inflate(c.Request.Body, intake.MaxEventBatch)
	default:
		return nil, juncture.Errorf(juncture.CodeInvalidRequest, "Content-Encoding %.20q is not taken here", enc).WithHint("send gzip, or the JSON as it is")
	}
}
