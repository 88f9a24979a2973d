package client_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/client"
)

// A page asks what to show, shows it, and tells that it was clicked.
func Example() {
	server := httptest.NewServer(standIn()) // your Juncture: http://127.0.0.1:8080
	defer server.Close()
	c := client.New(server.URL, "jk_...", client.Options{Timeout: 300 * time.Millisecond})
	ctx := context.Background()

	d, err := c.Choose(ctx, &juncture.ChooseRequest{Surface: "home_hero", ShopperID: "s-1024",
		Layers: &juncture.LayerValues{Moment: "first-time.cart-abandoned.researching"}})
	switch {
	case err != nil:
		fmt.Println("show the page as it is:", err)
		return
	case d.ActionID == nil:
		fmt.Println("holdout: show the page as it is")
	default:
		fmt.Println(*d.ActionID, "says", d.Copy.Headline)
	}

	told, err := c.Reward(ctx, &juncture.RewardRequest{DecisionID: d.DecisionID, Event: "click", OutcomeID: "click-77"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(told.Status)
	// Output:
	// five_off says 5% off today
	// recorded
}

// standIn answers as a Juncture would.
func standIn() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("POST /choose", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"decisionId":"AQEB","actionId":"five_off","copy":{"id":"plain","version":1,"headline":"5% off today"},"group":"policy"}`)
	})
	m.HandleFunc("POST /reward", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"status":"recorded","attributedTo":[],"reward":1,"learned":true}`)
	})
	return m
}
