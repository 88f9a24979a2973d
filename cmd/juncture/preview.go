package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/juncture/juncture/console/preview"
	"github.com/juncture/juncture/server"
)

func (a *app) previewCommand() *cobra.Command {
	addr := "127.0.0.1:8081"
	c := &cobra.Command{Use: "preview", Args: cobra.NoArgs,
		Short: "Serve every page of the console over canned data, in every state, to build the console with",
		Long: `Preview serves a list of the console's pages in every state that they may be in: rich, with one of everything, empty, broken, refused, with
names at their longest, from right to left, and hostile. It has no database, asks nobody to sign in, and stores nothing.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.preview(cmd.Context(), addr) }}
	c.Flags().StringVar(&addr, "addr", addr, "address to listen on")
	return c
}

// preview serves the canned console until ctx ends.
func (a *app) preview(ctx context.Context, addr string) error {
	described, err := server.Description(version)
	if err != nil {
		return err
	}
	s, err := preview.New(described)
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("%w; choose another with --addr", err)
	}
	h := &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10}
	following, unfollow := context.WithCancel(ctx)
	defer unfollow()
	ran, failed := make(chan struct{}), make(chan error, 1)
	go func() { defer close(ran); s.Run(following) }()
	go func() { failed <- h.Serve(l) }()
	fmt.Fprintf(a.out, "every page in every state: http://%s/ (canned data: nothing is stored)\n", l.Addr())
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	unfollow() // the streams of open pages end before the listener waits for them
	<-ran
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	if shut := h.Shutdown(last); err == nil || errors.Is(err, http.ErrServerClosed) {
		err = shut
	}
	return err
}
