package intake

import (
	"testing"
)

func TestWhereAVisitCameFrom(t *testing.T) {
	for context, want := range map[string]string{
		`{}`: "",
		`{"campaign": {"name": "spring", "source": "Google", "medium": "CPC"}}`:                                                 "google / cpc",
		`{"campaign": {"source": "newsletter"}, "page": {"referrer": "https://mail.example/"}}`:                                 "newsletter",
		`{"page": {"referrer": "https://www.Search.example/?q=dress", "url": "https://shop.example/dresses"}}`:                  "search.example",
		`{"page": {"referrer": "https://www.shop.example/", "url": "https://shop.example/dresses"}}`:                            "", // the shop itself
		`{"page": {"referrer": "no address"}}`:                                                                                  "",
		`{"page": {"referrer": 7}, "campaign": {"source": {}}}`:                                                                 "",
		`{"campaign": {"source": "pregnancy-club"}, "page": {"referrer": "https://search.example/", "url": "https://x.test/"}}`: "",
	} {
		tracked, err := ParseTracking("page", []byte(`{"anonymousId": "a", "messageId": "m", "context": `+context+`}`), live())
		if err != nil || len(tracked.Items) != 1 || tracked.Items[0].Broken != nil {
			t.Fatalf("%s: %+v, %v", context, tracked, err)
		}
		if got := tracked.Items[0].Incoming.Event.Source; got != want {
			t.Errorf("%s: %q, want %q", context, got, want)
		}
	}
}
